"""The count over a folder of ONNX files: what compiles, what is refused, and why."""

from pathlib import Path

import numpy as np
import pytest

from penstock.cli.main import main
from tests.compiler.front.floats import Floats


def network(path: Path, last: str) -> None:
    net = Floats(51, ("N", 4, 4, 4))
    x = net.relu(net.conv("image"))
    x = net.node(last, x) if last else x
    y = net.node("Softmax", net.gemm(net.pooled(x)))
    path.write_bytes(net.model(y).SerializeToString())


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network(tmp_path / "good.onnx", "")
    network(tmp_path / "hardmax.onnx", "Hardmax")
    (tmp_path / "noise.onnx").write_bytes(np.arange(99, dtype=np.uint8).tobytes())
    table = tmp_path / "table.md"
    command = ["bench", "outside", str(tmp_path), "--config", "tiny", "-o", str(table)]
    assert main(command) == 0
    text = table.read_text()
    assert text.startswith("1 of 3 files compile as they are")
    assert "| good | ok | tiny; on the host, behind the core: Softmax |" in text
    assert "| hardmax | refused | node 'hardmax" in text and "| noise | refused |" in text
    assert "1 of 3 files" in capsys.readouterr().out


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "outside", str(tmp_path)]) == 2
    assert main(["bench", "outside", str(tmp_path), "--config", "z9"]) == 2
    out = capsys.readouterr().err
    assert "holds no .onnx file" in out and "unknown configuration 'z9'" in out
