"""Zero points that are no end of a type: in the bias of what reads them, and read off the map."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.host.codec import InputCodec
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.network.package import ENDS_VERSION, HEADER, Package
from penstock.sim import golden
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import images_of, same

TYPES = {"int8": np.int8, "uint8": np.uint8}


def pair(net: Qdq, x: str, scale: float, zero: int, kind: str = "int8") -> str:
    """Quantised and dequantised with a zero point."""
    names = net.const(scale), net.const(zero, TYPES[kind])
    y = net.node("DequantizeLinear", net.node("QuantizeLinear", x, *names), *names)
    net.channels[y] = net.channels[x]
    return y


def compiled(
    net: Qdq, y: str, folder: Path, image: int = onnx.TensorProto.FLOAT
) -> CompiledNetwork:
    model = net.model(y)
    model.graph.input[0].type.tensor_type.elem_type = image
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return compile_onnx(path, CONFIGS["tiny"])


ZEROS = [("int8", 24), ("int8", -77), ("uint8", 5), ("uint8", 140)]


@pytest.mark.parametrize(("kind", "zero"), ZEROS)
@pytest.mark.parametrize("relu", [False, True])
def test_logits(kind: str, zero: int, relu: bool, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng)
    y = net.gemm(net.pool(net.stem()), 5, bias=0.1)
    y = pair(net, net.node("Relu", y) if relu else y, 0.02, zero, kind)
    network = compiled(net, y, tmp_path)
    assert network.package.meta["output"]["zero_point"] == zero
    found = same(network, images_of((3, 6, 5)))
    assert (found < 0).any() != relu


@pytest.mark.parametrize(("kind", "zero"), ZEROS)
@pytest.mark.parametrize("reader", ["1x1", "strided", "depthwise", "average", "dense"])
def test_readers_whose_bias_makes_up_for_it(
    kind: str, zero: int, reader: str, tmp_path: Path, rng: Any
) -> None:
    net = Qdq(rng)
    x = pair(net, net.conv(net.image(), 4), 0.04, zero, kind)
    if reader == "average":
        x = pair(net, net.node("GlobalAveragePool", x), 0.04, zero, kind)
        x = net.node("Flatten", x)
    elif reader == "dense":
        x = net.node("Flatten", x)
        net.channels[x] = 120
    else:
        attrs: dict[str, Any] = {"strides": [2, 2]} if reader == "strided" else {}
        if reader == "depthwise":
            weight = net.weight((4, 1, 1, 1))
            y = net.node("Conv", x, weight, group=4)
        else:
            y = net.conv(x, 4, kernel=1, **attrs)
        x = net.pool(net.qdq(net.node("Relu", y), 0.04, signed=False))
        net.channels[x] = 4
    same(compiled(net, net.qdq(net.gemm(x, 5), 0.03), tmp_path), images_of((3, 6, 5)))


def residual(net: Qdq, x: str) -> str:
    return net.node("Add", x, net.qdq(net.conv(net.image(), 4), 0.04))


def scored(net: Qdq, x: str) -> str:
    gate = net.gate(net.pool(net.stem()), 4)
    return net.conv(pair(net, net.node("Mul", net.conv(net.image(), 4), gate), 0.04, 9), 4)


READERS: dict[str, Any] = {
    "3x3": lambda n, x: n.conv(x, 4),
    "5x5 strided": lambda n, x: n.conv(x, 4, kernel=5, strides=[2, 2]),
    "one side padded": lambda n, x: n.conv(x, 4, kernel=3, pads=[0, 1, 1, 1], strides=[2, 2]),
    "padded 1x1": lambda n, x: n.conv(x, 4, kernel=1, pads=[0, 1, 0, 0], strides=[2, 2]),
    "depthwise": lambda n, x: n.node("Conv", x, n.weight((4, 1, 3, 3)), group=4, pads=[1] * 4),
    "groups": lambda n, x: n.node("Conv", x, n.weight((6, 2, 3, 3)), group=2, pads=[1] * 4),
    "whole map": lambda n, x: n.node("Conv", x, n.weight((4, 4, 6, 5))),
    "residual": residual,
    "maximum": lambda n, x: n.conv(n.node("MaxPool", x, kernel_shape=[2, 2]), 4, kernel=1),
    "padded maximum": lambda n, x: n.conv(
        pair(n, n.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4), 0.04, 9), 4
    ),
    "average of windows": lambda n, x: n.conv(
        pair(n, n.node("AveragePool", x, kernel_shape=[2, 2]), 0.04, 9), 4
    ),
    "clip behind it": lambda n, x: n.conv(n.node("Relu", x), 4),
    "another zero point": lambda n, x: n.conv(pair(n, x, 0.04, 10), 4),
    "another scale": lambda n, x: n.conv(pair(n, x, 0.07, -20), 4),
    "scored": lambda n, x: scored(n, x),
    "concat": lambda n, x: n.conv(n.node("Concat", x, x, axis=1), 4, group=2),
    "concat of others": lambda n, x: n.conv(
        pair(n, n.node("Concat", x, n.qdq(n.conv(n.image(), 4), 0.04), axis=1), 0.05, -7), 4,
        group=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", TYPES)
def test_readers(kind: str, reader: str, tmp_path: Path, rng: Any) -> None:
    """The whole against onnxruntime's, golden against the graph."""
    net = Qdq(rng)
    x = pair(net, net.conv(net.image(), 4), 0.04, 9, kind)
    net.channels[x] = 4
    y = READERS[reader](net, x)
    channels = 6 if reader == "groups" else 4
    net.channels[y] = channels
    y = net.pool(net.qdq(net.node("Relu", y), 0.04, signed=False))
    net.channels[y] = channels
    network = compiled(net, net.qdq(net.gemm(y, 5), 0.03), tmp_path)
    images = images_of((3, 6, 5))
    same(network, images)
    codes = network.quantize_input(images)
    made, expected = golden.run(network.package, codes), network.run_graph(codes)
    np.testing.assert_array_equal(made[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])


@pytest.mark.parametrize("codes", [(0.03, 9), (0.004, -70), (0.9, 60), (0.04, 0)])
@pytest.mark.parametrize("kind", TYPES)
def test_averages_at_scales_of_their_own(
    kind: str, codes: tuple[float, int], tmp_path: Path, rng: Any
) -> None:
    """A pass for the sums of a map from its zero point."""
    net = Qdq(rng)
    x = pair(net, net.conv(net.image(), 4), 0.04, 9, kind)
    mean = net.node("GlobalAveragePool", x)
    vector = net.node("Flatten", pair(net, mean, *codes, "int8"))
    net.channels[vector] = 4
    y = net.qdq(net.node("Relu", net.gemm(vector, 5)), 0.03, signed=False)
    network = compiled(net, net.qdq(net.gemm(y, 5), 0.03), tmp_path)
    images = images_of((3, 6, 5))
    same(network, images)
    made = network.quantize_input(images)
    expected = network.run_graph(made)[:, COUNTER_BYTES:]
    np.testing.assert_array_equal(golden.run(network.package, made)[:, COUNTER_BYTES:], expected)


@pytest.mark.parametrize("zero", [0, 130, 200])
def test_image_under_padding(zero: int, tmp_path: Path, rng: Any) -> None:
    """Every 3x3 convolution of an image that a quantiser of ranges has made."""
    net = Qdq(rng)
    x = pair(net, "image", 0.03, zero, "uint8")
    net.channels[x] = 3
    y = net.pool(net.qdq(net.node("Relu", net.conv(x, 4)), 0.04, signed=False))
    network = compiled(net, net.qdq(net.gemm(y, 5), 0.03), tmp_path)
    assert network.core_shape == (3, 6, 5)
    same(network, images_of((3, 6, 5)))


REFUSED = {
    "padded average": lambda n, x: n.conv(
        pair(n, n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4), 0.04, 9), 4
    ),
}


@pytest.mark.parametrize("reader", REFUSED)
def test_other_readers_are_refused_by_the_quantiser(reader: str, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng)
    x = pair(net, net.conv(net.image(), 4), 0.04, 9)
    net.channels[x] = 4
    y = net.qdq(REFUSED[reader](net, x), 0.04)
    with pytest.raises(CompileError, match=r"zero point is 9, not 0"):
        compiled(net, y, tmp_path)


@pytest.mark.parametrize("zero", [89, -3, 127])
@pytest.mark.parametrize("codes", [False, True])
def test_image_of_one_dimension(zero: int, codes: bool, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng, ("N", 24))
    net.channels["image"] = 24
    names = net.const(0.05), net.const(zero, np.int8)
    x = "image" if codes else net.node("QuantizeLinear", "image", *names)
    x = net.node("DequantizeLinear", x, *names)
    net.channels[x] = 24
    y = net.qdq(net.gemm(x, 5), 0.03)
    images = images_of((24,))
    if codes:
        images = rng.integers(-128, 128, (16, 24), dtype=np.int8)
    network = compiled(net, y, tmp_path, onnx.TensorProto.INT8 if codes else 1)
    same(network, images)
    meta = network.package.meta
    assert network.package.encode()[8] == ENDS_VERSION and HEADER.size == 64
    assert Package.decode(network.package.encode()).meta == meta
    if not codes:  # the driver's codes are the engines'
        codec = InputCodec(meta["input"], len(images))
        made = np.zeros((len(images), 24), np.int8)
        codec.encode(images.reshape(len(images), -1), made)
        assert (made.view(np.uint8) == network.quantize_input(images)[:, :24]).all()


@pytest.mark.parametrize(("kind", "zero"), [("int8", -128), ("uint8", 128)])
def test_integer_image_with_a_zero_point_at_the_end(
    kind: str, zero: int, tmp_path: Path, rng: Any
) -> None:
    """TensorFlow Lite's images: channels last, int8 from -128."""
    net = Qdq(rng, ("N", 6, 5, 3))
    x = net.node("Transpose", "image", perm=[0, 3, 1, 2])
    x = net.node("DequantizeLinear", x, net.const(0.02), net.const(zero, TYPES[kind]))
    net.channels[x] = 3
    x = net.qdq(net.node("Relu", net.conv(x, 4)), 0.04, signed=False)
    y = net.qdq(net.gemm(net.pool(x), 5), 0.02)
    info = np.iinfo(TYPES[kind])
    images = rng.integers(info.min, info.max + 1, (16, 6, 5, 3), dtype=TYPES[kind])
    elements = onnx.TensorProto.INT8 if kind == "int8" else onnx.TensorProto.UINT8
    network = compiled(net, y, tmp_path, elements)
    assert network.codes == TYPES[kind]
    same(network, images)


@pytest.mark.parametrize("zero", [83, -5])
def test_padded_integer_image(zero: int, tmp_path: Path, rng: Any) -> None:
    """Its zero point is read off the map."""
    net = Qdq(rng, ("N", 2, 6, 5))
    x = net.node("DequantizeLinear", "image", net.const(0.02), net.const(zero, np.int8))
    net.channels[x] = 2
    x = net.qdq(net.node("Relu", net.conv(x, 4)), 0.04, signed=False)
    y = net.qdq(net.gemm(net.pool(x), 5), 0.02)
    network = compiled(net, y, tmp_path, onnx.TensorProto.INT8)
    assert network.core_shape == (2, 6, 5)
    same(network, rng.integers(-128, 128, (16, 2, 6, 5), dtype=np.int8))


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.parametrize("zero", [83, -5])
def test_padded_image_in_phases(zero: int, codes: bool, tmp_path: Path, rng: Any) -> None:
    """The host fills what is beside the image with the real 0: the zero point, among codes."""
    net = Qdq(rng, ("N", 2, 12, 8))
    names = net.const(0.02), net.const(zero, np.int8)
    x = "image" if codes else net.node("QuantizeLinear", "image", *names)
    x = net.node("DequantizeLinear", x, *names)
    weight = net.weight((4, 2, 10, 4))
    y = net.node("Conv", x, weight, pads=[4, 1, 5, 1], strides=[2, 2])
    net.channels[y] = 4
    y = net.qdq(net.node("Relu", y), 0.04, signed=False)
    y = net.qdq(net.gemm(net.pool(y), 5), 0.02)
    network = compiled(net, y, tmp_path, onnx.TensorProto.INT8 if codes else 1)
    shape = (16, 2, 12, 8)
    same(network, rng.integers(-128, 128, shape, dtype=np.int8) if codes else images_of(shape[1:]))
