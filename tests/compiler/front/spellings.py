"""Gates as people and exporters write them: each makes scores of a dense layer's logits."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

#: Of the builder and the logits (N, 2 n where there are two a score, else n).
Spelling = Callable[[Any, str], str]

FLOAT = TensorProto.FLOAT


def _cast(net: Any, x: str) -> str:
    return net.node("Cast", x, to=FLOAT)


def _pairs(net: Any, z: str) -> str:
    return net.node("Reshape", z, net.const([0, -1, 2], np.int64))


def _half(net: Any, pairs: str, index: int) -> str:
    return net.node("Gather", pairs, net.const(index, np.int64), axis=2)


def greater(net: Any, z: str) -> str:
    return _cast(net, net.node("Greater", z, net.const(0.0)))


def greater_or_equal(net: Any, z: str) -> str:
    return _cast(net, net.node("GreaterOrEqual", z, net.const(0.0)))


def less(net: Any, z: str) -> str:
    return _cast(net, net.node("Less", z, net.const(0.25)))


def less_or_equal(net: Any, z: str) -> str:
    return _cast(net, net.node("LessOrEqual", z, net.const(0.25)))


def constant_first(net: Any, z: str) -> str:
    return _cast(net, net.node("Greater", net.const(0.25), z))


def negated(net: Any, z: str) -> str:
    return _cast(net, net.node("Not", net.node("Greater", z, net.const(0.0))))


def opposite(net: Any, z: str) -> str:
    return net.node("Sub", net.const(1.0), greater(net, z))


def minus(net: Any, z: str) -> str:
    return _cast(net, net.node("Greater", net.node("Neg", z), net.const(0.0)))


def where(net: Any, z: str) -> str:
    condition = net.node("Greater", z, net.const(0.0))
    return net.node("Where", condition, net.const(1.0), net.const(0.0))


def sign(net: Any, z: str) -> str:
    moved = net.node("Add", net.node("Sign", z), net.const(1.0))
    return net.node("Div", moved, net.const(2.0))


def half_step(net: Any, z: str) -> str:
    """Heaviside with 1/2 at 0."""
    zero = net.node("Equal", z, net.const(0.0))
    above = _cast(net, net.node("Greater", z, net.const(0.0)))
    return net.node("Where", zero, net.const(0.5), above)


def sign_of_relu(net: Any, z: str) -> str:
    return net.node("Sign", net.node("Relu", z))


def heaviside(net: Any, z: str) -> str:
    """torch.heaviside(z, 0) as torch.export decomposes it."""
    zero = net.node("Equal", z, net.const(0.0))
    below = net.node("Less", z, net.const(0.0))
    other = net.node("Where", below, net.const(0.0), net.const(1.0))
    return net.node("Where", zero, net.const(0.0), other)


def rounded_sigmoid(net: Any, z: str) -> str:
    return net.node("Round", net.node("Sigmoid", z))


def sigmoid_below(net: Any, z: str) -> str:
    return _cast(net, net.node("LessOrEqual", net.node("Sigmoid", z), net.const(0.5)))


def straight_through(net: Any, z: str) -> str:
    """hard - p.detach() + p, as it is exported."""
    p = net.node("Sigmoid", z)
    hard = _cast(net, net.node("Greater", p, net.const(0.5)))
    return net.node("Add", net.node("Sub", hard, p), p)


def tanh_above(net: Any, z: str) -> str:
    return _cast(net, net.node("Greater", net.node("Tanh", z), net.const(0.0)))


def hard_sigmoid_above(net: Any, z: str) -> str:
    hard = net.node("HardSigmoid", z, alpha=0.25, beta=0.5)
    return _cast(net, net.node("Greater", hard, net.const(0.5)))


def ceiling(net: Any, z: str) -> str:
    return net.node("Ceil", net.clip(z))


def arg_max(net: Any, z: str) -> str:
    return _cast(net, net.node("ArgMax", _pairs(net, z), axis=-1, keepdims=0))


def arg_max_last(net: Any, z: str) -> str:
    y = net.node("ArgMax", _pairs(net, z), axis=2, keepdims=1, select_last_index=1)
    return net.node("Squeeze", _cast(net, y), net.const([-1], np.int64))


def arg_min(net: Any, z: str) -> str:
    return _cast(net, net.node("ArgMin", _pairs(net, z), axis=-1, keepdims=0))


def equals_one(net: Any, z: str) -> str:
    y = net.node("ArgMax", _pairs(net, z), axis=-1, keepdims=0)
    return _cast(net, net.node("Equal", y, net.const(1, np.int64)))


def two_logits(net: Any, z: str) -> str:
    pairs = _pairs(net, z)
    return _cast(net, net.node("Greater", _half(net, pairs, 1), _half(net, pairs, 0)))


def distance(net: Any, z: str) -> str:
    pairs = _pairs(net, z)
    y = net.node("Sub", _half(net, pairs, 0), _half(net, pairs, 1))
    return _cast(net, net.node("GreaterOrEqual", y, net.const(0.0)))


def softmax(net: Any, z: str) -> str:
    p = net.node("Softmax", _pairs(net, z), axis=-1)
    return _cast(net, net.node("Greater", _half(net, p, 1), net.const(0.5)))


def warm_softmax(net: Any, z: str) -> str:
    """Gumbel-softmax without noise, at a temperature, hard."""
    p = net.node("Softmax", net.node("Div", _pairs(net, z), net.const(0.5)), axis=2)
    return _cast(net, net.node("ArgMax", p, axis=-1, keepdims=0))


def one_hot(net: Any, z: str) -> str:
    """Zeros scattered by the greatest logit's index, the second of both."""
    pairs = _pairs(net, z)
    index = net.node("ArgMax", pairs, axis=2, keepdims=1)
    zeros = net.node("Mul", pairs, net.const(0.0))
    ones = net.node(
        "Add", _cast(net, net.node("Mul", index, net.const(0, np.int64))), net.const(1.0)
    )
    return _half(net, net.node("ScatterElements", zeros, index, ones, axis=2), 1)


def hard_sigmoid(net: Any, z: str) -> str:
    return net.node("HardSigmoid", z, alpha=0.25, beta=0.5)


def relu6(net: Any, z: str) -> str:
    return net.node("Div", net.clip(z, 0.0, 4.0), net.const(4.0))


def relus(net: Any, z: str) -> str:
    """Relu(z) - Relu(z - 1)."""
    late = net.node("Relu", net.node("Sub", z, net.const(1.0)))
    return net.node("Sub", net.node("Relu", z), late)


def falling(net: Any, z: str) -> str:
    return net.node("Sub", net.const(1.0), net.clip(z))


def one_minus_sigmoid(net: Any, z: str) -> str:
    return net.node("Sub", net.const(1.0), net.node("Sigmoid", z))


def soft_of_two(net: Any, z: str) -> str:
    return _half(net, net.node("Softmax", _pairs(net, z), axis=-1), 1)


#: Scores 0 and 1 (1/2 at a tie, perhaps): (spelling, logits a score).
STEPS: dict[Spelling, int] = {
    **dict.fromkeys([greater, greater_or_equal, less, less_or_equal, constant_first, negated], 1),
    **dict.fromkeys([opposite, minus, where, sign, half_step, sign_of_relu, heaviside], 1),
    **dict.fromkeys([rounded_sigmoid, sigmoid_below, straight_through, tanh_above], 1),
    **dict.fromkeys([hard_sigmoid_above, ceiling], 1),
    **dict.fromkeys([arg_max, arg_max_last, arg_min, equals_one, two_logits, distance], 2),
    **dict.fromkeys([softmax, warm_softmax, one_hot], 2),
}
RAMPS: dict[Spelling, int] = dict.fromkeys([hard_sigmoid, relu6, relus, falling], 1)
SIGMOIDS: dict[Spelling, int] = {one_minus_sigmoid: 1, soft_of_two: 2}
