"""`--calibration` of `compile` and `estimate`, and what is warned of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.compiler.front.floats import Floats, some_images


@pytest.fixture
def floating(tmp_path: Path) -> Path:
    """A folder with float.onnx, whose gate is a sigmoid, and images.npy."""
    net = Floats(1)
    x = net.relu(net.conv("image"))
    score = net.node("Sigmoid", net.gemm(net.pooled(x), name="gate[/red]é"))
    score = net.node("Reshape", score, net.const([-1, 4, 1, 1], np.int64))
    onnx.save(net.model(net.head(net.node("Mul", net.conv(x), score))), tmp_path / "float.onnx")
    np.save(tmp_path / "images.npy", some_images(2)[:3])
    return tmp_path


def test_estimate_does_what_it_hints_at(floating: Path, penstock: Any) -> None:
    network = ("estimate", floating / "float.onnx", "--config", "tiny")
    assert penstock(*network).error.endswith("give --calibration images.npy")
    result = penstock(*network, "--calibration", floating / "images.npy", "--json", "-")
    figures = json.loads(result.out)
    assert result.code == 0 and figures["cycles"] > 0
    made = penstock(
        "compile", floating / "float.onnx", "--config", "tiny",
        "--calibration", floating / "images.npy", "-o", floating / "net",
    )  # fmt: skip
    assert made.code == 0
    same = json.loads(penstock("estimate", floating / "net", "--json", "-").out)
    assert same["cycles"] == figures["cycles"]


def test_estimate_of_a_compiled_folder(workspace: Any, floating: Path, penstock: Any) -> None:
    error = penstock("estimate", workspace.compiled, "--calibration", floating / "images.npy").error
    assert error.endswith("is quantised already; leave --calibration out")


@pytest.mark.parametrize("command", ["compile", "estimate"])
def test_warnings_on_stderr_and_in_the_figures(command: str, floating: Path, penstock: Any) -> None:
    output = ("-o", floating / "net") if command == "compile" else ()
    result = penstock(
        command, floating / "float.onnx", "--config", "tiny",
        "--calibration", floating / "images.npy", *output, "--json", "-",
    )  # fmt: skip
    warnings = json.loads(result.out)["warnings"]
    assert [line for line in result.err.splitlines() if line.startswith("warning: ")] == [
        f"warning: {text}" for text in warnings
    ]
    assert warnings[0].startswith("3 calibration images: give at least 8")
    assert warnings[1].startswith("gate 'gate[/red]é' is a sigmoid")
    if command == "compile":
        report = json.loads((floating / "net" / "report.json").read_text())
        assert report["warnings"] == warnings


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_export_of_a_network_that_diverged(
    bad: str, quantized: bool, tmp_path: Path, penstock: Any
) -> None:
    torch = pytest.importorskip("torch")
    from penstock.model import ResNetConfig
    from penstock.model.checkpoint.file import Checkpoint, save_checkpoint
    from penstock.model.networks.registry import build_any
    from penstock.model.quantize.twin import QuantNetwork

    net = build_any(ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6)), seed=1)
    integers = QuantNetwork(net)
    for network in (net, integers):
        parameter = next(p for p in network.parameters() if p.dim() == 4)
        with torch.no_grad():
            parameter[0, 0, 0, 0] = float(bad)
    save_checkpoint(
        tmp_path / "c.pt",
        Checkpoint(
            net=net,
            quantized=integers,
            training={"dataset": "digits", "seed": 1},
            normalization={"full_scale": [1.0]},
            metrics={},
        ),
    )
    flag = () if quantized else ("--float",)
    error = penstock("export", *flag, tmp_path / "c.pt", "-o", tmp_path / "net.onnx").error
    assert "'conv.weight' of 'float_state' holds NaN or infinity (the training diverged" in error
    assert not (tmp_path / "net.onnx").exists()
