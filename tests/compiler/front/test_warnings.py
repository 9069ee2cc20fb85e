"""What compiles and is of little use is said, with figures; what is as it should be is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from penstock.compiler.api import compile_onnx
from penstock.compiler.calibration.warnings import image_warnings
from penstock.compiler.gate_warnings import gate_warnings
from penstock.compiler.importer.pipeline import import_onnx
from penstock.program.core.config import CONFIGS
from tests.compiler.front.floats import Floats, run_float, save, some_images


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda x: x, []),
        (lambda x: x * 0, ["the calibration images are zero everywhere"]),
        (lambda x: x[:3], ["3 calibration images: give at least 8"]),
        (lambda x: x[:1], ["1 calibration image: give"]),
        (lambda x: x[[0] * 16], ["16 calibration images, 1 of them different: give"]),
        (lambda x: x[[0, 1] * 8], ["16 calibration images, 2 of them different: give"]),
        (lambda x: x * 0 + x[:, :1, :1, :1], ["every calibration image is constant"]),
        (lambda x: x[:2] * 0 + 1, ["every calibration image is constant", "2 calibration images"]),
    ],
)
def test_calibration_images(change: Any, messages: list[str]) -> None:
    found = list(image_warnings(change(some_images(1)).astype(np.float32)).values())
    assert len(found) == len(messages)
    assert all(text.startswith(message) for text, message in zip(found, messages, strict=True))


def gated(net: Floats, post: str, opens: int) -> Any:
    """A network whose four channels have a gate of that kind.

    `opens` 0: for half of the images; 1 (-1): for all (none) of them, but not whatever is read;
    2 (-2): for whatever is read (nothing).
    """
    x = net.relu(net.conv("image"))
    pooled = net.pooled(x)
    sums = run_float(net.model(pooled), some_images(3))
    most = 4 * sums.max()  # what four inputs within their range can sum to
    sums = sums.sum(axis=1)
    edge = {0: np.median(sums), 1: (sums.max() + most) / 2, 2: 1.5 * most}[abs(opens)]
    sign = -20.0 if opens > 0 else 20.0
    weight, bias = net.const(np.full((4, 4), sign)), net.const([-sign * edge] * 4)
    z = net.node("Gemm", pooled, weight, bias, transB=1, name="gate")
    if post == "Clip":
        z = net.node("Clip", z, net.const(0.0), net.const(1.0))
    elif post == "Sigmoid":
        z = net.node("Sigmoid", z)
    else:
        z = net.node("Sigmoid", z) if post == "SigmoidGreater" else z
        threshold = net.const(0.5 if post == "SigmoidGreater" else 0.0)
        z = net.node("Cast", net.node("Greater", z, threshold), to=TensorProto.FLOAT)
    z = net.node("Reshape", z, net.const([-1, 4, 1, 1], np.int64))
    return net.model(net.head(net.relu(net.node("Mul", net.conv(x), z))))


@pytest.mark.parametrize("post", ["Clip", "Greater", "SigmoidGreater"])
@pytest.mark.parametrize(
    ("opens", "message"),
    [
        (0, ""),  # it depends on the image
        (2, "gate 'gate' never closes: whatever it reads, its scores are at least 1;"),
        (-2, "gate 'gate' never opens: whatever it reads, its scores are 0"),
        (1, "gate 'gate' is open for every calibration image (least score 1): every MAC"),
        (-1, "gate 'gate' is closed for every calibration image: what it scales"),
    ],
)
def test_gates(post: str, opens: int, message: str, tmp_path: Path) -> None:
    path = save(gated(Floats(2), post, opens), tmp_path)
    compiled = compile_onnx(path, CONFIGS["tiny"], calibration=some_images(3))
    assert len(compiled.warnings) == bool(message)
    assert all(text.startswith(message) and "\n" not in text for text in compiled.warnings)


def test_a_sigmoid_that_scales_a_convolution(tmp_path: Path) -> None:
    path = save(gated(Floats(4), "Sigmoid", 0), tmp_path)
    (text,) = compile_onnx(path, CONFIGS["tiny"], calibration=some_images(5)).warnings
    assert text.startswith("gate 'gate' is a sigmoid, which scales and skips nothing: every MAC")


def test_squeeze_and_excite_is_no_gate(tmp_path: Path) -> None:
    """A sigmoid that scales a stored map is there to scale."""
    net = Floats(6)
    x = net.relu(net.conv("image"))
    z = net.node("Sigmoid", net.gemm(net.pooled(x)))
    z = net.node("Reshape", z, net.const([-1, 4, 1, 1], np.int64))
    model = net.model(net.head(net.conv(net.node("Mul", x, z))))
    compiled = compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=some_images(7))
    assert compiled.warnings == ()


def test_gates_of_a_quantised_file(tmp_path: Path) -> None:
    """No images are needed for what holds whatever they are."""
    path = save(gated(Floats(8), "Clip", 2), tmp_path)
    model = compile_onnx(path, CONFIGS["tiny"], calibration=some_images(9)).model
    (tmp_path / "quantised.onnx").write_bytes(model or b"")
    found = gate_warnings(import_onnx(tmp_path / "quantised.onnx"))
    assert list(found) == ["gate"] and "never closes" in found["gate"]


def test_report(tmp_path: Path) -> None:
    path = save(gated(Floats(10), "Sigmoid", 0), tmp_path)
    compiled = compile_onnx(path, CONFIGS["tiny"], calibration=some_images(11)[:2])
    compiled.save(tmp_path / "net")
    text = (tmp_path / "net" / "report.json").read_text()
    assert len(compiled.warnings) == 2 and all(line in text for line in compiled.warnings)
