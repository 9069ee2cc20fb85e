"""The network of docs/networks.md, as it is written there."""

import re
from pathlib import Path

import pytest
import torch

from penstock.compiler.api import compile_onnx
from penstock.program.core.config import get_config


def test_network_of_the_document_compiles_and_skips(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository / "docs" / "networks.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    scope: dict[str, object] = {"__name__": "document"}
    exec(compile("".join(code), "networks.md", "exec"), scope)
    compiled = compile_onnx(tmp_path / "own.onnx", get_config("z7020"))
    assert len(compiled.package.meta["gates"]) == 4
