"""Files of other quantisers: the same integers under other codes, opsets, domains and orders."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.compiler.check import check_graph, prepare
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from tests.compiler.front.floats import Floats, save, some_images
from tests.compiler.front.qdq import Qdq

Y = 0.04


def checked(model: onnx.ModelProto, folder: Path, images: Any) -> ir.Graph:
    """The graph, every layer of which is onnxruntime's but for rounding."""
    graph = import_onnx(save(model, folder))
    result = check_graph(graph, prepare(model), images)
    result.require()
    assert result.layers and all(layer.maximum <= 1 for layer in result.layers)
    return graph


def with_zero(net: Qdq, x: str, scale: float, kind: Any, zero: int) -> str:
    """Quantise and dequantise with a zero point."""
    parameters = net.const(scale), net.const(zero, kind)
    q = net.node("QuantizeLinear", x, *parameters)
    return net.node("DequantizeLinear", q, *parameters)


def moved(net: Qdq, between: str = "") -> str:
    """image (uint8, 128) -> Conv, Relu (int8, -128) -> Conv (int8, 0), perhaps clipped codes."""
    x = with_zero(net, "image", 0.05, np.uint8, 128)
    net.channels[x] = 3
    y = net.node("Relu", net.conv(x, 4, name="first"))
    parameters = net.const(Y), net.const(-128, np.int8)
    q = net.node("QuantizeLinear", y, *parameters)
    if between == "Clip":
        q = net.node("Clip", q, net.const(-120, np.int8), net.const(-28, np.int8))
    if between == "MaxPool":
        q = net.node("MaxPool", q, kernel_shape=[3, 3], pads=[1] * 4)
    z = net.node("DequantizeLinear", q, *parameters)
    net.channels[z] = 4
    return net.classifier(z)


@pytest.mark.parametrize("between", ["", "Clip", "MaxPool"])
def test_zero_points_at_the_end_of_the_type(
    net: Qdq, tmp_path: Path, rng: np.random.Generator, between: str
) -> None:
    images = rng.normal(0, 2, (8, 3, 6, 5)).astype(np.float32)
    graph = checked(net.model(moved(net, between)), tmp_path, images)
    assert graph.values[graph.input].signed
    first = next(node for node in graph.nodes if node.name == "first")
    assert not graph.values[first.output].signed


def test_another_zero_point_behind_it_is_refused(net: Qdq, tmp_path: Path) -> None:
    x = net.image()
    q = net.node("QuantizeLinear", net.node("Relu", net.conv(x, 4)), net.const(Y),
                 net.const(-128, np.int8))  # fmt: skip
    z = net.node("DequantizeLinear", q, net.const(Y), net.const(0, np.int8), name="dq")
    net.channels[z] = 4
    with pytest.raises(CompileError, match=r"'dq'.*its zero point is not that of the quantiser"):
        import_onnx(save(net.model(net.classifier(z)), tmp_path))


@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 128), (np.int8, 3), (np.uint8, 0)])
def test_zero_points_of_weights(
    net: Qdq, tmp_path: Path, rng: np.random.Generator, kind: Any, zero: int
) -> None:
    low, high = (0, 250) if (kind, zero) == (np.uint8, 128) else (0, 120)
    integers = net.const(rng.integers(low, high, (4, 3, 3, 3)), kind)
    scale = rng.uniform(0.001, 0.004, 4)
    weight = net.node("DequantizeLinear", integers, net.const(scale),
                      net.const(np.full(4, zero), kind), axis=0)  # fmt: skip
    y = net.qdq(net.node("Conv", net.image(), weight, pads=[1] * 4), Y)
    net.channels[y] = 4
    checked(net.model(net.classifier(y)), tmp_path, rng.normal(0, 2, (8, 3, 6, 5)).astype("f4"))


def test_weights_too_far_from_their_zero_point(net: Qdq, tmp_path: Path) -> None:
    integers = net.const(np.full((4, 3, 1, 1), 200), np.uint8)
    weight = net.node("DequantizeLinear", integers, net.const(0.01), net.const(3, np.uint8),
                      name="w")  # fmt: skip
    y = net.qdq(net.node("Conv", net.image(), weight), Y)
    with pytest.raises(CompileError, match=r"'w'.*197 \.\. 197 from the zero point, int8 holds"):
        import_onnx(save(net.model(y), tmp_path))


def test_quantised_relu_quantised_again(net: Qdq, tmp_path: Path, rng: np.random.Generator) -> None:
    """Q(s1), Relu, Q(s2): both roundings stay."""
    y = net.qdq(net.conv(net.image(), 4), 0.05)
    z = net.qdq(net.node("Relu", y), 0.03, signed=False)
    net.channels[z] = 4
    images = rng.normal(0, 2, (8, 3, 6, 5)).astype(np.float32)
    graph = checked(net.model(net.classifier(z)), tmp_path, images)
    assert [type(node) for node in graph.nodes] == [ir.Conv, ir.Conv, ir.Pool, ir.Dense]


def test_nodes_out_of_order_of_another_domain(
    net: Qdq, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = net.model(net.classifier(net.stem()))
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.domain = "com.microsoft"
    model.opset_import.add(domain="com.microsoft", version=1)
    nodes = [*model.graph.node][::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    checked(model, tmp_path, rng.normal(0, 2, (4, 3, 6, 5)).astype(np.float32))


def test_a_cycle_is_refused(net: Qdq, tmp_path: Path) -> None:
    model = net.model(net.classifier(net.stem()))
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    with pytest.raises(CompileError, match="not a valid ONNX model"):
        import_onnx(save(model, tmp_path))


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 22, 23])
def test_operator_sets(tmp_path: Path, opset: int) -> None:
    """Float networks of old and new operator sets, calibrated."""
    net = Floats(1)
    x = net.relu(net.conv("image"))
    model = net.model(net.head(x), opset=opset)
    assert model.opset_import[0].version == opset
    assert len(import_float(save(model, tmp_path), some_images(1)).nodes) == 3


def test_static_quantisation_of_onnxruntime(tmp_path: Path) -> None:
    """A network without residuals, as onnxruntime's own quantiser writes it."""
    tool = pytest.importorskip("onnxruntime.quantization")
    images = np.abs(some_images(2))
    net = Floats(2)
    x = net.relu(net.conv("image"))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.relu(net.conv(x))
    model = net.model(net.relu(net.head(x)))
    for index, node in enumerate(model.graph.node):
        node.name = f"node{index}"
    path = tmp_path / "given.onnx"
    onnx.save(model, path)

    class Reader(tool.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left = [{"image": image[None]} for image in images]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    for activation, symmetric, per_channel in (
        (tool.QuantType.QInt8, False, False),
        (tool.QuantType.QUInt8, False, True),
        (tool.QuantType.QInt8, True, True),
        (tool.QuantType.QInt8, True, False),
    ):
        out = tmp_path / "quantised.onnx"
        tool.quantize_static(
            path, out, Reader(), quant_format=tool.QuantFormat.QDQ, per_channel=per_channel,
            activation_type=activation, weight_type=tool.QuantType.QInt8,
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )  # fmt: skip
        checked(onnx.load(out), tmp_path, images)


def test_codes_of_an_integer_image(tmp_path: Path) -> None:
    """The image's codes go to the core as int8: the host takes their zero point off."""
    net = Qdq(np.random.default_rng(0))
    net.image_type = TensorProto.UINT8
    x = net.node("DequantizeLinear", "image", net.const(0.05), net.const(128, np.uint8), name="dq")
    net.channels[x] = 3
    graph = import_onnx(save(net.model(net.qdq(net.conv(x, 4), Y)), tmp_path))
    assert graph.head is not None and graph.head.operators == "Cast, Add, Cast"
    assert graph.values[graph.input].signed
