"""Activations as exporters spell them, and networks around them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from tests.compiler.front.floats import Floats

Build = Callable[[Floats, str], str]


def _silu(n: Floats, x: str) -> str:
    return n.node("Mul", x, n.node("Sigmoid", x))


def _hard(n: Floats, x: str) -> str:
    return n.node("Clip", n.node("Add", x, n.const(3.0)), n.const(0.0), n.const(6.0))


def _hard_swish(n: Floats, x: str) -> str:
    """torch's before opset 14."""
    return n.node("Div", n.node("Mul", x, _hard(n, x)), n.const(6.0))


def _hard_swish_inside(n: Floats, x: str) -> str:
    """Keras': the sixth of the clipped one is multiplied, on the other side."""
    return n.node("Mul", n.node("Mul", _hard(n, x), n.const(1 / 6)), x)


def _gelu(n: Floats, x: str) -> str:
    erf = n.node("Erf", n.node("Div", x, n.const(2**0.5)))
    return n.node("Mul", n.node("Mul", x, n.node("Add", erf, n.const(1.0))), n.const(0.5))


def _gelu_tanh(n: Floats, x: str) -> str:
    cube = n.node("Mul", n.node("Pow", x, n.const(3.0)), n.const(0.044715))
    tanh = n.node("Tanh", n.node("Mul", n.node("Add", x, cube), n.const((2 / np.pi) ** 0.5)))
    return n.node("Mul", n.node("Mul", n.const(0.5), x), n.node("Add", tanh, n.const(1.0)))


def _where(n: Floats, x: str) -> str:
    slope = n.node("Mul", x, n.const(0.1))
    return n.node("Where", n.node("Greater", x, n.const(0.0)), x, slope)


def _masked(n: Floats, x: str) -> str:
    """x (x > 0), by a Cast."""
    mask = n.node("Cast", n.node("Greater", x, n.const(0.25)), to=TensorProto.FLOAT)
    return n.node("Mul", x, mask)


def _softplus(n: Floats, x: str) -> str:
    return n.node("Log", n.node("Add", n.node("Exp", x), n.const(1.0)))


def _op(op: str, **attributes: Any) -> Build:
    return lambda n, x: n.node(op, x, **attributes)


SPELLINGS: dict[str, Build] = {
    "SiLU": _silu,
    "SiLU, of a negation": lambda n, x: n.node(
        "Div", x, n.node("Add", n.node("Exp", n.node("Neg", x)), n.const(1.0))
    ),
    "HardSwish": _op("HardSwish"),
    "HardSwish, Div": _hard_swish,
    "HardSwish, Mul": _hard_swish_inside,
    "HardSwish, HardSigmoid": lambda n, x: n.node("Mul", x, n.node("HardSigmoid", x, alpha=1 / 6)),
    "HardSigmoid": _op("HardSigmoid"),
    "HardSigmoid, Div": lambda n, x: n.node("Div", _hard(n, x), n.const(6.0)),
    "LeakyRelu": _op("LeakyRelu", alpha=0.1),
    "LeakyRelu, Max": lambda n, x: n.node("Max", x, n.node("Mul", x, n.const(0.2))),
    "LeakyRelu, Where": _where,
    "PRelu": lambda n, x: n.node("PRelu", x, n.const(np.full((4, 1, 1), 0.25))),
    "PRelu, Relu": lambda n, x: n.node(
        "Sub", n.node("Relu", x), n.node("Mul", n.node("Relu", n.node("Neg", x)), n.const(0.3))
    ),
    "Sigmoid": _op("Sigmoid"),
    "Tanh": _op("Tanh"),
    "Tanh of a Relu": lambda n, x: n.node("Tanh", n.node("Relu", x)),
    "GELU": _gelu,
    "GELU, tanh": _gelu_tanh,
    "Elu": _op("Elu", alpha=0.5),
    "Selu": _op("Selu"),
    "Celu": _op("Celu", alpha=2.0),
    "Softplus": _op("Softplus"),
    "Softplus, Exp": _softplus,
    "Softsign": _op("Softsign"),
    "Mish": lambda n, x: n.node("Mul", x, n.node("Tanh", n.node("Softplus", x))),
    "Exp": _op("Exp"),
    "Abs": _op("Abs"),
    "square": lambda n, x: n.node("Mul", x, x),
    "two of them": lambda n, x: _silu(n, n.node("Tanh", x)),
    "ThresholdedRelu": _op("ThresholdedRelu", alpha=0.5),
    "ThresholdedRelu, Cast": _masked,
    "Shrink": _op("Shrink", lambd=0.3, bias=0.1),
    "constant": lambda n, x: n.node(
        "Add", n.node("Mul", n.node("Tanh", x), n.const(0.0)), n.const(0.5)
    ),
    "never rising": lambda n, x: n.node("Neg", n.node("Softplus", x)),
}
#: Operators that came later than opset 18.
LATER: dict[str, tuple[int, Build]] = {
    "Gelu": (20, _op("Gelu")),
    "Gelu, tanh": (20, _op("Gelu", approximate="tanh")),
}
