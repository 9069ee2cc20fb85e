"""Files as onnxruntime's static quantisation writes them: every tensor with steps of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnxruntime import quantization
from onnxruntime.quantization import QuantType

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.compiler.front.floats import Floats

Array = npt.NDArray[Any]
SHAPE = (3, 12, 12)

#: As `quantize_static` is told them.
FORMS: dict[str, dict[str, Any]] = {
    "symmetric": {"activation_type": QuantType.QInt8, "per_channel": False},
    "symmetric, per channel": {"activation_type": QuantType.QInt8, "per_channel": True},
    "asymmetric": {"activation_type": QuantType.QUInt8, "per_channel": False},
    "asymmetric, per channel": {"activation_type": QuantType.QUInt8, "per_channel": True},
    "asymmetric int8": {"activation_type": QuantType.QInt8, "per_channel": True},
}


def block(b: Floats, x: str, inputs: int, outputs: int, stride: int = 1) -> str:
    """A basic residual block."""
    y = b.relu(b.conv(x, outputs, inputs, strides=[stride] * 2))
    y = b.conv(y, outputs, outputs)
    if stride > 1 or inputs != outputs:
        x = b.conv(x, outputs, inputs, kernel=1, strides=[stride] * 2)
    return b.relu(b.node("Add", y, x))


def resnet(b: Floats) -> str:
    x = b.relu(b.conv("image", 8, 3))
    x = block(b, x, 8, 8)
    x = block(b, x, 8, 12, 2)
    return b.head(block(b, x, 12, 12), 12)


def mobilenet(b: Floats) -> str:
    """Linear bottlenecks: what is added and read by 1x1 convolutions is of either sign."""
    x = b.relu(b.conv("image", 8, 3, strides=[2, 2]))
    x = b.conv(x, 8, 8, kernel=1)
    for kernel in (3, 5):
        y = b.relu(b.conv(x, 24, 8, kernel=1))
        y = b.relu(b.conv(y, 24, 1, kernel=kernel, group=24))
        x = b.node("Add", x, b.conv(y, 8, 24, kernel=1))
    return b.head(b.relu(b.conv(x, 16, 8, kernel=1)), 16)


def plain(b: Floats) -> str:
    """3x3 convolutions of maps of either sign, a maximum and an average of them, a Concat."""
    x = b.conv(b.conv("image", 6, 3), 6, 6)
    y = b.conv(b.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]), 6, 6)
    z = b.conv(x, 6, 6, strides=[2, 2])
    return b.head(b.relu(b.conv(b.node("Concat", y, z, axis=1), 8, 12)), 8)


def gated(b: Floats) -> str:
    """A gate of channels, Clip(0, 1), and one of the block, a comparison."""
    x = b.relu(b.conv("image", 8, 3))
    for _ in range(2):
        pooled = b.pooled(x)
        channels = b.node("Clip", b.gemm(pooled, 8, 8), b.const(0.0), b.const(1.0))
        channels = b.node("Reshape", channels, b.const([1, 8, 1, 1], np.int64))
        whole = b.node("Greater", b.gemm(pooled, 1, 8, bias=0.0), b.const(0.0))
        whole = b.node("Reshape", b.node("Cast", whole, to=1), b.const([1] * 4, np.int64))
        y = b.node("Mul", b.relu(b.conv(x, 8, 8)), channels)
        x = b.relu(b.node("Add", b.node("Mul", b.conv(y, 8, 8), whole), x))
    return b.head(x, 8)


def keras(b: Floats) -> str:
    """A dense layer as tf2onnx writes it: its bias is an addition, with a quantiser of its own."""
    x = b.pooled(block(b, b.relu(b.conv("image", 8, 3)), 8, 8))
    return b.node("Add", b.node("MatMul", x, b.normal(8, 5)), b.normal(5))


NETWORKS: dict[str, Callable[[Floats], str]] = {
    "resnet": resnet, "mobilenet": mobilenet, "plain": plain, "gated": gated, "keras": keras,
}  # fmt: skip


class Images(quantization.CalibrationDataReader):  # type: ignore[misc]
    """One image after the other."""

    def __init__(self, images: Array) -> None:
        self.waiting = iter([{"image": image[None]} for image in images])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.waiting, None)


def images_of(seed: int, count: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def quantized(name: str, form: str, folder: Path) -> Path:
    """The file that onnxruntime makes of a network."""
    b = Floats(11, (1, *SHAPE))
    onnx.save(b.model(NETWORKS[name](b)), folder / "float.onnx")
    path, options = folder / "static.onnx", FORMS[form]
    symmetric = form.startswith("symmetric")
    quantization.quantize_static(
        folder / "float.onnx",
        path,
        Images(images_of(1, 8)),
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        **options,
    )
    return path


def relative_rms(network: CompiledNetwork, path: Path, images: Array) -> float:
    """Of the logits, golden's against onnxruntime's of the same file."""
    records = golden.run(network.package, network.quantize_input(images))
    got = network.decode_output(records).logits
    session = open_session(onnx.load(path))
    want = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    return float(np.sqrt(((got - want) ** 2).sum() / (want**2).sum()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_onnxruntimes(name: str, form: str, tmp_path: Path) -> None:
    """Layer by layer, the logits within 2 %, golden the graph's."""
    path = quantized(name, form, tmp_path)
    network, images = compile_onnx(path, CONFIGS["z7020"]), images_of(2, 24)
    network.check(images).checked.require()  # type: ignore[union-attr]
    rms = relative_rms(network, path, images)
    print(f"relative RMS: {rms:.4f}")
    assert rms <= 0.02
    codes = network.quantize_input(images)
    graph = network.run_graph(codes)
    np.testing.assert_array_equal(
        golden.run(network.package, codes)[:, COUNTER_BYTES:], graph[:, COUNTER_BYTES:]
    )


@pytest.mark.parametrize("form", ["symmetric", "asymmetric"])
def test_gates_are_found_and_skip(form: str, tmp_path: Path) -> None:
    network = compile_onnx(quantized("gated", form, tmp_path), CONFIGS["z7020"])
    assert network.graph is not None
    assert sum(isinstance(node, ir.Gate) for node in network.graph.nodes) == 4
    closed = {
        gate["name"]: np.zeros((1, gate["count"]), np.uint8)
        for gate in network.package.meta["gates"]
    }
    opened = {name: scores + np.uint8(128) for name, scores in closed.items()}
    shut, full = (int(network.predict(scores).cycles[0]) for scores in (closed, opened))
    print(f"{full} -> {shut} cycles")
    assert shut < 0.75 * full
