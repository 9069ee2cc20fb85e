"""Every accepted pattern: the structure it becomes, and its arithmetic against onnxruntime."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

Y = 0.04
SCORE = 1 / 128


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_relu(net: Any, check: Any, kernel: int, stride: int) -> None:
    y = net.conv(net.image(), 5, kernel, strides=[stride, stride], name="first")
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    (conv,) = graph.nodes
    assert (conv.name, conv.clamp, conv.stride) == ("first", (0, 255), stride)
    assert graph.input == "image" and graph.values["image"].shape == (3, 6, 5)
    assert graph.values[graph.output].shape == (5, -(-6 // stride), -(-5 // stride))


@pytest.mark.parametrize(("groups", "outputs"), [(6, 6), (6, 12), (2, 8), (3, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_groups(net: Any, check: Any, groups: int, outputs: int, stride: int) -> None:
    """Depthwise, with a multiplier, and groups of several channels; ReLU6 behind them."""
    x = net.stem(6)
    weight = net.weight((outputs, 6 // groups, 3, 3))
    y = net.node("Conv", x, weight, group=groups, pads=[1] * 4, strides=[stride] * 2)
    graph = check(net, net.qdq(net.clip(y, 0.0, 6.0), Y, signed=False))
    conv = graph.nodes[1]
    assert (conv.groups, conv.clamp) == (groups, (0, 150))
    assert conv.depthwise == (outputs == groups == 6)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("again", [False, True])
def test_shuffled_channels(net: Any, check: Any, groups: int, again: bool) -> None:
    """A dense convolution's weights go along; one in groups keeps the order."""
    order = [0, 3, 1, 4, 2, 5]
    x = net.node("Gather", net.stem(6), net.const(order, np.int64), axis=1)
    x = net.qdq(x, Y, signed=False) if again else x
    weight = net.weight((6, 6 // groups, 3, 3))
    y = net.node("Conv", x, weight, group=groups, pads=[1] * 4)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert len(graph.nodes) == 2
    conv = graph.nodes[1]
    assert (conv.groups, conv.depthwise) == (groups, False)
    assert conv.order == (() if groups == 1 else tuple(order))


def test_channels_gathered_as_they_are(net: Any, check: Any) -> None:
    x = net.node("Gather", net.stem(4), net.const(range(4), np.int64), axis=1)
    y = net.node("Conv", x, net.weight((4, 1, 3, 3)), group=4, pads=[1] * 4)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert graph.nodes[1].depthwise


@pytest.mark.parametrize(
    ("signed", "activation", "clamp"),
    [
        (True, None, (-128, 127)),
        (True, "Relu", (0, 127)),
        (False, None, (0, 255)),
        (False, (0.0, 6.0), (0, 150)),
        (False, (0.0, 60.0), (0, 255)),
        (True, (-0.99, 1.03), (-25, 26)),
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
    x = net.stem()
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
    x = net.stem()
    y = net.node("Add", x, net.qdq(net.conv(x, 4, name="second"), Y))
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert [node.name for node in graph.nodes] == ["stem", "second"]
    assert graph.nodes[1].saturate_before_add


def test_projection_shortcut(net: Any, check: Any) -> None:
    x = net.stem()
    shortcut = net.qdq(net.conv(x, 6, 1, strides=[2, 2], name="shortcut"), Y)
    y = net.node("Add", net.conv(x, 6, strides=[2, 2], name="main"), shortcut)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    main = graph.nodes[-1]
    assert main.name == "main" and main.residual == graph.nodes[1].output


@pytest.mark.parametrize("form", ["reduce", "reduce_keep", "average", "attribute"])
def test_forms_of_the_average(net: Any, check: Any, form: str) -> None:
    x = net.stem()
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


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), (1, 2, 0), (5, 1, 2)]
)
def test_max_pool(
    net: Any, check: Any, kernel: int, stride: int, pad: int, quantized: bool, signed: bool
) -> None:
    """With a quantiser of the same scale behind it or without: the integers are the input's."""
    x = net.qdq(net.conv(net.image(), 4), Y) if signed else net.stem()
    attrs = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
    y = net.node("MaxPool", x, name="pool", **attrs)
    y = net.qdq(y, Y, signed) if quantized else y
    graph = check(net, net.qdq(net.conv(y, 4), Y))
    first, pool, _ = graph.nodes
    assert (pool.name, pool.kernel, pool.stride, pool.pad) == ("pool", kernel, stride, pad)
    assert pool.average is None and pool.clamp == first.clamp
    assert graph.values[pool.output].scale == graph.values[first.output].scale


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (3, 1, 1), (2, 1, 0), (5, 2, 2)])
@pytest.mark.parametrize("signed", [False, True])
def test_average_pool(
    net: Any, check: Any, kernel: int, stride: int, pad: int, signed: bool
) -> None:
    x = net.qdq(net.conv(net.image(), 4), Y) if signed else net.stem()
    attrs = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
    y = net.node("AveragePool", x, count_include_pad=1, **attrs)
    graph = check(net, net.qdq(net.conv(net.qdq(y, 0.023, signed), 4), Y))
    pool = graph.nodes[1]
    assert (pool.kernel, pool.stride, pool.pad) == (kernel, stride, pad)
    factor = pool.average.multiplier[0] / 2.0 ** pool.average.shift[0]
    assert factor == pytest.approx(Y / 0.023 / kernel**2, rel=2**-15)


def test_ceil_mode_that_changes_nothing(net: Any, check: Any) -> None:
    x = net.node("MaxPool", net.stem(), kernel_shape=[3, 3], strides=[1, 1], ceil_mode=1)
    graph = check(net, net.qdq(net.conv(x, 4), Y))
    assert graph.values[graph.nodes[1].output].shape == (4, 4, 3)


def test_activation_after_the_quantizer_narrows_the_layer(net: Any, check: Any) -> None:
    x = net.qdq(net.conv(net.image(), 4), Y)
    x = net.qdq(net.node("Relu", x), Y, signed=False)
    graph = check(net, net.qdq(net.conv(x, 4), Y))
    first, _ = graph.nodes
    assert first.clamp == (0, 127) and not graph.values[first.output].signed


def test_narrowing_keeps_the_tighter_bound(net: Any, check: Any) -> None:
    x = net.qdq(net.node("Relu", net.conv(net.image(), 4)), Y)
    x = net.qdq(net.clip(x, -1.0, 1.0), Y)
    assert check(net, net.qdq(net.conv(x, 4), Y)).nodes[0].clamp == (0, 25)


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
    assert sorted(names)[-2:] == ["twice", "twice~2"]


@pytest.mark.parametrize("opset", [13, 17, 19, 21])
def test_opsets(net: Any, check: Any, opset: int) -> None:
    check(net, net.classifier(net.stem()), opset=opset)


@pytest.mark.parametrize("shape", [("N", 3, 24, 20), (1, 1, 7, 9), ("batch", 12, 1, 1)])
def test_sizes(new_net: Any, check: Any, shape: tuple[Any, ...]) -> None:
    net = new_net(*shape)
    x = net.stem(12)
    y = net.qdq(net.node("Relu", net.conv(x, 20, strides=[2, 2])), Y, signed=False)
    graph = check(net, net.classifier(y), count=2)
    assert graph.values[graph.nodes[1].output].shape == (20, -(-shape[2] // 2), -(-shape[3] // 2))
