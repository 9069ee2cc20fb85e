"""Every accepted pattern: the structure it becomes, and its arithmetic against onnxruntime."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from penstock.compiler import ir

Y = 0.04
SCORE = 1 / 128


def nodes_of(graph: ir.Graph, kind: type) -> list[Any]:
    return [node for node in graph.nodes if isinstance(node, kind)]


def stem(net: Any, outputs: int = 4) -> str:
    """image -> Conv -> Relu -> uint8."""
    y = net.node("Relu", net.conv(net.image(), outputs, name="stem"))
    return net.qdq(y, Y, signed=False)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_relu(net: Any, check: Any, kernel: int, stride: int) -> None:
    y = net.conv(net.image(), 5, kernel, strides=[stride, stride], name="first")
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    (conv,) = graph.nodes
    assert (conv.name, conv.clamp, conv.stride) == ("first", (0, 255), stride)
    assert graph.input == "image" and graph.values["image"].shape == (3, 6, 5)
    assert graph.values[graph.output].shape == (5, -(-6 // stride), -(-5 // stride))


@pytest.mark.parametrize(
    ("signed", "activation", "clamp"),
    [
        (True, None, (-128, 127)),
        (True, "Relu", (0, 127)),
        (False, None, (0, 255)),
        (False, (0.0, 6.0), (0, 150)),
        (False, (0.0, 60.0), (0, 255)),
        (True, (-1.0, 1.0), (-25, 25)),
        (False, "Max", (0, 255)),
        (False, "Min", (0, 50)),
    ],
)
def test_clamps(net: Any, check: Any, signed: bool, activation: Any, clamp: Any) -> None:
    y = net.conv(net.image(), 4)
    if activation == "Relu":
        y = net.node("Relu", y)
    elif activation == "Max":
        y = net.node("Max", net.const(0.0), y)
    elif activation == "Min":
        y = net.node("Min", y, net.const(2.0))
    elif activation:
        y = net.clip(y, *activation)
    graph = check(net, net.qdq(y, Y, signed))
    assert graph.nodes[0].clamp == clamp


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT8])
def test_integer_image(net: Any, check: Any, kind: int) -> None:
    net.image_type = kind
    numpy_kind = np.int8 if kind == TensorProto.INT8 else np.uint8
    y = net.conv(net.dequantize("image", 0.05, numpy_kind), 4)
    graph = check(net, net.qdq(y, Y))
    assert graph.values["image"].signed == (kind == TensorProto.INT8)
    assert graph.values["image"].scale == float(np.float32(0.05))


def test_bias_as_int32_absent_or_added(net: Any, check: Any) -> None:
    x = net.image()
    w = np.array([0.01, 0.02])
    weight = net.dequantize(
        net.const(net.rng.integers(-127, 128, (2, 3, 1, 1)), np.int8), w, axis=0
    )
    step = np.float32(0.05) * w.astype(np.float32)
    bias = net.dequantize(net.const([100, -2000], np.int32), step, np.int32, axis=0)
    y = net.qdq(net.node("Conv", x, weight, bias), Y)
    net.channels[y] = 2
    z = net.node("Conv", y, net.weight((2, 2, 1, 1)))
    z = net.node("Add", net.const(np.array([0.3, -0.3]).reshape(2, 1, 1)), z)
    graph = check(net, net.qdq(z, Y))
    first, second = graph.nodes
    assert first.bias.tolist() == [100, -2000]
    assert second.bias.any()


def test_float_weight_through_quantizer_is_folded(net: Any, check: Any) -> None:
    x = net.image()
    weight = net.const(net.rng.normal(0, 0.2, (4, 3, 3, 3)))
    weight = net.qdq(weight, 0.01)
    graph = check(net, net.qdq(net.node("Conv", x, weight, pads=[1] * 4), Y))
    assert graph.nodes[0].weight.dtype == np.int8


def test_auto_pad_same_is_symmetric_with_stride_1(net: Any, check: Any) -> None:
    y = net.node("Conv", net.image(), net.weight((4, 3, 3, 3)), auto_pad="SAME_UPPER")
    assert check(net, net.qdq(y, Y)).nodes[0].stride == 1


def test_weight_of_minus_128(net: Any, check: Any) -> None:
    weight = net.dequantize(net.const(np.full((2, 3, 1, 1), -128), np.int8), 0.002)
    check(net, net.qdq(net.node("Conv", net.image(), weight), Y))


def test_residual_in_any_order(net: Any, check: Any) -> None:
    x = stem(net)
    for swap in (False, True):
        y = net.conv(x, 4)
        y = net.node("Add", *((x, y) if swap else (y, x)))
        previous, x = x, net.qdq(net.node("Relu", y), Y, signed=False)
    graph = check(net, x)
    _, first, second = graph.nodes
    assert first.residual == first.input
    assert second.residual == first.output
    assert second.clamp == (0, 255) and not second.saturate_before_add
    assert previous


def test_signed_residual_with_relu(net: Any, check: Any) -> None:
    x = net.qdq(net.conv(net.image(), 4), Y)
    y = net.node("Relu", net.node("Add", net.conv(x, 4), x))
    assert check(net, net.qdq(y, Y)).nodes[1].clamp == (0, 127)


def test_quantizer_before_the_addition_saturates(net: Any, check: Any) -> None:
    x = stem(net)
    y = net.node("Add", x, net.qdq(net.conv(x, 4, name="second"), Y))
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert [node.name for node in graph.nodes] == ["stem", "second"]
    assert graph.nodes[1].saturate_before_add


def test_projection_shortcut(net: Any, check: Any) -> None:
    x = stem(net)
    shortcut = net.qdq(net.conv(x, 6, 1, strides=[2, 2], name="shortcut"), Y)
    y = net.node("Add", net.conv(x, 6, strides=[2, 2], name="main"), shortcut)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    main = graph.nodes[-1]
    assert main.name == "main" and main.residual == graph.nodes[1].output


@pytest.mark.parametrize("gated_first", [True, False])
def test_both_operands_quantized(net: Any, check: Any, gated_first: bool) -> None:
    x = stem(net)
    score = net.gate(net.pool(x), 1)
    shortcut = net.conv(x, 4, 1, name="shortcut")
    gated = net.node("Mul", net.conv(x, 4, name="gated"), score)
    pair = [net.qdq(gated, Y), net.qdq(shortcut, Y)]
    pair = pair if gated_first else pair[::-1]
    graph = check(net, net.qdq(net.node("Add", *pair), Y))
    last = graph.nodes[-1]
    assert last.name == "gated" and last.saturate_before_add


def test_lcnet_block_shares_one_pool(net: Any, check: Any) -> None:
    x = stem(net)
    channel = net.gate(net.pool(x), 6, "cnet")
    block = net.gate(net.pool(x), 1, "lnet")
    y = net.node("Mul", net.node("Relu", net.conv(x, 6)), channel)
    y = net.qdq(y, Y, signed=False)
    y = net.node("Mul", block, net.conv(y, 4))
    y = net.qdq(net.node("Relu", net.node("Add", y, x)), Y, signed=False)
    net.metadata = {"penstock.schedule": "parallel", "other": "x"}
    graph = check(net, net.classifier(y))
    assert [type(node).__name__ for node in graph.nodes] == [
        *["Conv", "Pool", "Gate", "Gate", "Conv", "Conv", "Pool", "Dense"]
    ]
    cnet, lnet = nodes_of(graph, ir.Gate)
    assert (cnet.name, lnet.name) == ("cnet", "lnet")
    inner, outer = nodes_of(graph, ir.Conv)[1:]
    assert inner.fold == ir.Fold(scores=cnet.output, per_channel=True)
    assert outer.fold == ir.Fold(scores=lnet.output, per_channel=False)
    assert graph.metadata == {"schedule": "parallel"}


def test_relu_after_the_score(net: Any, check: Any) -> None:
    x = stem(net)
    y = net.node("Mul", net.conv(x, 6), net.gate(net.pool(x), 6))
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert graph.nodes[-1].fold.per_channel and graph.nodes[-1].clamp == (0, 255)


def test_score_without_quantizer_gets_the_fixed_format(net: Any, load: Any) -> None:
    x = stem(net)
    score = net.map_shape(net.clip(net.gemm(net.pool(x), 6)))
    y = net.node("Mul", net.conv(x, 6), score)
    graph = load(net, net.qdq(y, Y))
    (gate,) = nodes_of(graph, ir.Gate)
    assert graph.values[gate.output].scale == SCORE and not graph.values[gate.output].signed


@pytest.mark.parametrize("form", ["reduce", "reduce_keep", "average", "attribute"])
def test_forms_of_the_average(net: Any, check: Any, form: str) -> None:
    x = stem(net)
    opset = 13 if form == "attribute" else 18
    if form == "average":
        y = net.node("AveragePool", x, kernel_shape=[6, 5])
    elif form == "attribute":
        y = net.node("ReduceMean", x, axes=[-1, -2], keepdims=1)
    else:
        keep = int(form == "reduce_keep")
        y = net.node("ReduceMean", x, net.const([2, 3], np.int64), keepdims=keep)
    y = net.qdq(y, 0.02, signed=False)
    if form == "reduce_keep":
        y = net.node("Squeeze", y, net.const([2, 3], np.int64))
    elif form != "reduce":
        y = net.node("Reshape", y, net.const([0, -1], np.int64))
    graph = check(net, net.qdq(net.gemm(y, 4), 0.03), opset=opset)
    assert [type(node).__name__ for node in graph.nodes] == ["Conv", "Pool", "Dense"]


@pytest.mark.parametrize("form", ["matmul", "transposed", "gemm", "conv", "relu_min"])
def test_forms_of_the_gate(net: Any, check: Any, form: str) -> None:
    x = stem(net)
    pooled = net.node("GlobalAveragePool", x) if form == "conv" else None
    pooled = net.qdq(pooled, 0.02, signed=False) if pooled else net.pool(x)
    bias = net.const(np.linspace(0, 1, 6))
    if form == "matmul":
        z = net.node("Add", bias, net.node("MatMul", pooled, net.weight((4, 6), axis=1)))
    elif form == "transposed":
        weight = net.node("Transpose", net.weight((6, 4)), perm=[1, 0])
        z = net.node("Add", net.node("MatMul", pooled, weight), bias)
    elif form == "conv":
        z = net.node("Conv", pooled, net.weight((6, 4, 1, 1)), bias)
    else:
        z = net.node("Gemm", pooled, net.weight((4, 6), axis=1), bias)
    net.channels[z] = 6
    if form == "relu_min":
        z = net.node("Min", net.node("Relu", z), net.const(1.0))
    else:
        z = net.clip(z)
    score = net.map_shape(net.qdq(z, SCORE, signed=False))
    graph = check(net, net.qdq(net.node("Mul", score, net.conv(x, 6)), Y))
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.weight.shape == (6, 4)


@pytest.mark.parametrize("form", ["greater", "equal", "sigmoid", "clipped", "quantized", "conv"])
def test_binary_gates(net: Any, check: Any, form: str) -> None:
    x = stem(net)
    threshold = np.linspace(0.3, 0.7, 6)
    if form == "conv":
        pooled = net.qdq(net.node("GlobalAveragePool", x), 0.02, signed=False)
        z = net.node("Conv", pooled, net.weight((6, 4, 1, 1)))
        z = net.node("Add", z, net.const(np.full((6, 1, 1), 0.5)))
        threshold = threshold.reshape(6, 1, 1)
        net.channels[z] = 6
    else:
        z = net.gemm(net.pool(x), 6)
    if form == "sigmoid":
        z = net.node("Sigmoid", z)
    if form == "clipped":
        z = net.clip(z)
    op = "GreaterOrEqual" if form == "equal" else "Greater"
    score = net.node("Cast", net.node(op, z, net.const(threshold)), to=TensorProto.FLOAT)
    if form == "quantized":
        score = net.qdq(score, SCORE, signed=False)
    y = net.node("Mul", net.conv(x, 6), net.map_shape(score))
    graph = check(net, net.qdq(y, Y), count=40)
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.binary


def test_binary_threshold_is_exact(net: Any, load: Any) -> None:
    """Ties are skipped: with a scale of 2^-7 and a threshold of 3 steps, 3 is out and 4 is in."""
    x = stem(net)
    pooled = net.node("Flatten", net.qdq(net.node("GlobalAveragePool", x), 0.5, signed=False))
    biases = {"Greater": -3, "GreaterOrEqual": -2}
    for op, bias in biases.items():
        weight = net.dequantize(net.const(np.ones((1, 4)), np.int8), 2.0**-6)
        z = net.node("Gemm", pooled, weight, transB=1, name=op)
        score = net.node(op, z, net.const(3 * 2.0**-7))
        score = net.node("Cast", score, to=TensorProto.FLOAT)
        net.channels[score] = 1
        y = net.qdq(net.node("Mul", net.conv(x, 4), net.map_shape(score)), Y)
        gate = nodes_of(load(net, y), ir.Gate)[-1]
        assert (gate.name, gate.bias.tolist()) == (op, [bias])


def test_activation_after_the_quantizer_narrows_the_layer(net: Any, check: Any) -> None:
    x = net.qdq(net.conv(net.image(), 4), Y)
    x = net.qdq(net.node("Relu", x), Y, signed=False)
    graph = check(net, net.qdq(net.conv(x, 4), Y))
    first, _ = graph.nodes
    assert first.clamp == (0, 127) and not graph.values[first.output].signed


def test_activation_shared_by_convolution_and_addition(net: Any, check: Any) -> None:
    x = net.node("Relu", net.qdq(net.conv(net.image(), 4, name="first"), Y))
    graph = check(net, net.qdq(net.node("Add", net.conv(x, 4), x), Y))
    first, second = graph.nodes
    assert first.clamp == (0, 127) and second.residual == second.input == first.output


def test_integer_clip_between_quantizer_and_dequantizer(net: Any, check: Any) -> None:
    """Brevitas' QCDQ form."""
    q = net.quantize(net.conv(net.image(), 4), Y)
    q = net.node("Clip", q, net.const(-127, np.int8), net.const(127, np.int8))
    graph = check(net, net.qdq(net.conv(net.dequantize(q, Y), 4), Y))
    assert graph.nodes[0].clamp == (-127, 127)


def test_repeated_quantizers_make_one_value(net: Any, check: Any) -> None:
    y = net.node("Relu", net.conv(net.image(), 4, name="shared"))
    left, right = (net.qdq(y, Y, signed=False) for _ in range(2))
    y = net.qdq(net.node("Add", net.conv(left, 4), right), Y)
    graph = check(net, y)
    assert [node.name for node in graph.nodes].count("shared") == 1


def test_one_convolution_quantized_twice(net: Any, check: Any) -> None:
    y = net.conv(net.image(), 4, name="twice")
    left, right = net.qdq(y, Y), net.qdq(y, Y, signed=False)
    z = net.node("Add", net.conv(right, 4), left)
    names = [node.name for node in check(net, net.qdq(z, Y)).nodes]
    assert sorted(names)[-2:] == ["twice", "twice#2"]


@pytest.mark.parametrize("opset", [13, 17, 19, 21])
def test_opsets(net: Any, check: Any, opset: int) -> None:
    check(net, net.classifier(stem(net)), opset=opset)


@pytest.mark.parametrize("shape", [("N", 3, 24, 20), (1, 1, 7, 9), ("batch", 12, 1, 1)])
def test_sizes(new_net: Any, check: Any, shape: tuple[Any, ...]) -> None:
    net = new_net(*shape)
    x = stem(net, 12)
    y = net.qdq(net.node("Relu", net.conv(x, 20, strides=[2, 2])), Y, signed=False)
    graph = check(net, net.classifier(y), count=2)
    assert graph.values[graph.nodes[1].output].shape == (20, -(-shape[2] // 2), -(-shape[3] // 2))
