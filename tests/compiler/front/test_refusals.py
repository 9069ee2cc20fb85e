"""What cannot be represented is refused by name, reason and hint - never approximated."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from penstock.compiler.errors import CompileError

Y = 0.04
SCORE = 1 / 128
Case = Callable[[Any], str]


def unsupported(net: Any) -> str:
    slopes = net.const(np.linspace(0, 1, 4).reshape(4, 1, 1))
    return net.node("PRelu", net.conv(net.image(), 4), slopes, name="leaky")


def pooled(kind: str = "MaxPool", **attrs: Any) -> Case:
    """A pool with attributes the core has not, on a 6x5 map."""

    def build(net: Any) -> str:
        x = net.stem() if attrs.pop("quantized", True) else net.conv(net.image(), 4)
        y = net.node(kind, x, name="pool", **({"kernel_shape": [3, 3]} | attrs))
        return net.qdq(y, Y, signed=False)

    return build


def float_network(net: Any) -> str:
    return net.node("Conv", "image", net.const(np.ones((4, 3, 1, 1))))


def batch_norm(net: Any) -> str:
    numbers = [net.const(np.ones(4)) for _ in range(4)]
    y = net.node("Relu", net.conv(net.image(), 4))
    return net.qdq(net.node("BatchNormalization", y, *numbers, name="bn"), Y)


def zero_point(net: Any) -> str:
    y = net.node("AveragePool", net.stem(), kernel_shape=[2, 2])
    names = net.const(0.07), net.const(3, np.uint8)
    q = net.node("QuantizeLinear", y, *names, name="q")
    x = net.node("DequantizeLinear", q, *names)
    net.channels[x] = 4
    return net.qdq(net.conv(x, 4, kernel=1), Y)


def per_channel_activation(net: Any) -> str:
    return net.node(
        "QuantizeLinear",
        net.conv(net.image(), 4),
        net.const(np.full(4, Y)),
        net.const(np.zeros(4), np.int8),
        name="q",
        axis=1,
    )


def negative_scale(net: Any) -> str:
    return net.quantize(net.conv(net.image(), 4), -1.0, name="q")


def not_quantized_input(net: Any) -> str:
    return net.qdq(net.conv("image", 4, name="first"), Y)


def not_quantized_between(net: Any) -> str:
    return net.qdq(net.conv(net.conv(net.image(), 4), 4, name="second"), Y)


def float_weight(net: Any) -> str:
    weight = net.const(np.ones((4, 3, 1, 1)))
    return net.qdq(net.node("Conv", net.image(), weight, name="first"), Y)


def wrong_weight_axis(net: Any) -> str:
    weight = net.weight((3, 3, 1, 1), axis=1)
    return net.qdq(net.node("Conv", net.image(), weight, name="first"), Y)


def groups(net: Any) -> str:
    return net.qdq(net.node("Conv", net.image(), net.weight((4, 1, 1, 1)), name="c", group=3), Y)


def relu_before_addition(net: Any) -> str:
    x = net.stem()
    return net.qdq(net.node("Add", net.node("Relu", net.conv(x, 4)), x, name="add"), Y)


def residual_scale(net: Any) -> str:
    x = net.qdq(net.conv(net.image(), 4), Y)
    y = net.node("Relu", net.node("Add", net.conv(x, 4), x, name="add"))
    return net.qdq(y, 0.03, name="sum", signed=False)


def shortcut_not_quantized(net: Any) -> str:
    x = net.stem()
    y = net.node("Add", net.conv(x, 4), net.conv(x, 4), name="add")
    return net.qdq(y, Y)


def three_operands(net: Any) -> str:
    x = net.stem()
    y = net.node("Add", net.conv(x, 4), x)
    return net.qdq(net.node("Add", y, x, name="add"), Y)


def broadcast_residual(net: Any) -> str:
    x = net.stem(1)
    return net.qdq(net.node("Add", net.conv(net.stem(), 4), x, name="add"), Y)


def dequantized_with_another_scale(net: Any) -> str:
    q = net.quantize(net.conv(net.image(), 4), Y, name="q")
    return net.dequantize(q, 0.05, name="dq")


def quantized_again(net: Any) -> str:
    return net.qdq(net.pool(net.stem()), 0.08, name="b")


def two_image_scales(net: Any) -> str:
    y = net.node("Add", net.conv(net.image(), 3), net.qdq("image", 0.07, name="other"))
    return net.qdq(y, 0.07)


def bias_beyond_int32(net: Any) -> str:
    weight = net.dequantize(net.const(np.ones((1, 3, 1, 1)), np.int8), 1e-3)
    bias = net.const([1e9])
    return net.qdq(net.node("Conv", net.image(), weight, bias, name="c"), Y)


def scale_ratio(net: Any) -> str:
    weight = net.dequantize(net.const(np.ones((1, 3, 1, 1)), np.int8), 1e6)
    return net.qdq(net.node("Conv", net.image(), weight, name="c"), Y)


def int16_activation(net: Any) -> str:
    y = net.conv(net.image(), 4)
    return net.node("QuantizeLinear", y, net.const(Y), net.const(0, np.int16), name="q")


def bias_per_column(net: Any) -> str:
    y = net.node("Add", net.conv(net.image(), 5), net.const(np.zeros(5)), name="add")
    return net.qdq(y, Y)


def only_quantizers(net: Any) -> str:
    return net.image()


CASES: list[tuple[Case, str]] = [
    (unsupported, "node 'leaky' (PRelu): the operator is not supported; give it one slope"),
    (pooled(quantized=False), "node 'pool' (MaxPool): its input 'conv*' is not quantised; put Q"),
    (pooled(kernel_shape=[3, 2]), "node 'pool' (MaxPool): has a 3x2 kernel; kernels are square"),
    (pooled(kernel_shape=[8, 8], pads=[3] * 4), "node 'pool' *has a 8x8 kernel; *7x7 at most"),
    (pooled(dilations=[2, 2]), "node 'pool' (MaxPool): is dilated"),
    (
        pooled("AveragePool", pads=[1] * 4),
        "node 'pool' (AveragePool): averages over fewer pixels at the border",
    ),
    (float_network, "the network is not quantised: it has no QuantizeLinear node; quantise it"),
    (
        batch_norm,
        "node 'bn' (BatchNormalization): a batch normalisation behind an activation; ",
    ),
    (zero_point, "node 'q' (QuantizeLinear): its zero point is 3, not 0; quantise symm"),
    (per_channel_activation, "node 'q' *one scale per channel; use one per tenso"),
    (negative_scale, "node 'q' *its scale is not a positive numbe"),
    (not_quantized_input, "node 'first' (Conv): its input the image is not quantised; put Quant"),
    (not_quantized_between, "node 'second' (Conv): its input 'conv*' is not quantised"),
    (float_weight, "node 'first' (Conv): its weight is not a dequantised int8 constant"),
    (wrong_weight_axis, "node 'first' (Conv): its weight scales are not per output channel"),
    (groups, "node 'c' (Conv): has 3 groups for 3 -> 4 channels, its weight has 1 inputs; inp"),
    (relu_before_addition, "node 'add' (Add): the activation between 'relu*' and the addition"),
    (
        residual_scale,
        "node 'sum' (QuantizeLinear): scales that cannot be unified: 'quantizelinear*' has scale "
        "0.04 (node 'quantizelinear*'), this node needs 0.03; quantise what the addition reads",
    ),
    (shortcut_not_quantized, "node 'add' (Add): neither operand is quantised; put Quant"),
    (three_operands, "node 'add' (Add): adds a third tenso"),
    (broadcast_residual, "node 'add' (Add): operands have shapes"),
    (dequantized_with_another_scale, "node 'dq' *scales that cannot be unified"),
    (quantized_again, "node 'b' *unified: 'quant*' has scale 0.02 (node 'quant*needs 0.08; remove"),
    (two_image_scales, "node 'other' *scales that cannot be unified: 'image' *'image_q'"),
    (bias_beyond_int32, "node 'c' (Conv): accumulator could overflow: the bias of channel 0"),
    (scale_ratio, "node 'c' (Conv): cannot be requantised: multiplier * is too large"),
    (bias_per_column, "node 'add' (Add): adds a constant of shape (5,), not one number a channel"),
    (only_quantizers, "node 'dequantize*' (DequantizeLinear): the network computes nothing"),
    (int16_activation, "node 'q' *: quantises to int16; activations are int8 or uint8"),
]


@pytest.mark.parametrize(("build", "message"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_refused(refuse: Any, build: Case, message: str) -> None:
    refuse(build, message, opset=21 if build is int16_activation else 18)


def test_accumulator_overflow(new_net: Any, load: Any) -> None:
    """At 255 * 127 a product, 2^31 needs more than 66 000 taps: 1360 channels of 7x7."""
    net = new_net("N", 1360, 7, 7)
    net.image_type = TensorProto.UINT8
    x = net.dequantize("image", 0.05, np.uint8)
    weight = np.zeros((2, 1360, 7, 7))
    weight[1] = 127
    dequantized = net.dequantize(net.const(weight, np.int8), 1e-4)
    y = net.node("Conv", x, dequantized, pads=[3] * 4, name="c")
    message = (
        r"node 'c' \(Conv\): accumulator could overflow: channel 1 can reach 2158136400, "
        r"the limit is 2147483647; fewer input channels"
    )
    with pytest.raises(CompileError, match=message):
        load(net, net.qdq(y, 1.0))
