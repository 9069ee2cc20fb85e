"""The standing check: the quantised file in onnxruntime against the integer graph made of it."""

from penstock.compiler.check.file import check_file
from penstock.compiler.check.layers import check_graph
from penstock.compiler.check.reference import prepare
from penstock.compiler.check.result import CheckError, CheckResult

__all__ = ["CheckError", "CheckResult", "check_file", "check_graph", "prepare"]
