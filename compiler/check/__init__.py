"""The standing check: the quantised file in onnxruntime against the integer graph made of it."""

from penstock.compiler.check.layers import check_graph
from penstock.compiler.check.original import compare_original
from penstock.compiler.check.reference import prepare
from penstock.compiler.check.result import (
    CheckError,
    CheckResult,
    GateFlips,
    LayerDifference,
    LogitDifference,
    OriginalDifference,
)

__all__ = [
    "CheckError",
    "CheckResult",
    "GateFlips",
    "LayerDifference",
    "LogitDifference",
    "OriginalDifference",
    "check_graph",
    "compare_original",
    "prepare",
]
