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


def _after_sum(n: Floats, f: Build) -> str:
    x = f(n, n.conv("image"))
    return n.head(f(n, n.node("Add", n.conv(f(n, n.conv(x))), x)))


def _before_sum(n: Floats, f: Build) -> str:
    """As in Darknet: what is added went through the function by itself."""
    x = f(n, n.conv("image"))
    return n.head(n.conv(n.node("Add", f(n, n.conv(f(n, n.conv(x)))), x)))


def _pools(n: Floats, f: Build) -> str:
    x = n.node("MaxPool", f(n, n.conv("image")), kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])
    x = n.node("AveragePool", f(n, n.conv(x)), kernel_shape=[2, 2], strides=[1, 1])
    return n.head(x)


def _before_pool(n: Floats, f: Build) -> str:
    x = n.node("MaxPool", n.conv("image"), kernel_shape=[2, 2], strides=[2, 2])
    return n.head(f(n, n.conv(f(n, x))))


def _concat(n: Floats, f: Build) -> str:
    x = f(n, n.conv("image"))
    y = f(n, n.conv(x))
    z = f(n, n.node("Concat", n.conv(x), n.conv(y), axis=1))
    return n.head(n.conv(n.node("Concat", z, y, axis=1), 4, 12))


def _strided(n: Floats, f: Build) -> str:
    """Convolutions of which the core makes more than is wanted, grouped and depthwise ones."""
    x = f(n, n.conv("image", strides=[3, 3]))
    x = f(n, n.conv(f(n, n.conv(x, 4, 1, group=4)), 8, 2, group=2))
    return n.head(f(n, n.conv(x, 8, 8, strides=[2, 2])), 8)


def _of_the_image(n: Floats, f: Build) -> str:
    return n.head(f(n, n.node("Add", n.conv("image"), n.conv(f(n, "image")))))


def _two_functions(n: Floats, f: Build) -> str:
    """Of one map, and the map itself."""
    x = n.conv("image")
    y = n.node("Add", n.conv(f(n, x)), n.conv(n.node("Tanh", x)))
    return n.head(n.node("Add", y, n.conv(x)))


def _hidden(n: Floats, f: Build) -> str:
    """Between dense layers, and of the average itself."""
    x = n.pooled(f(n, n.conv("image")))
    return n.gemm(f(n, n.gemm(f(n, x), 6)), 5, 6)


def _hidden_maps(n: Floats, f: Build) -> str:
    """The same as maps of one pixel."""
    x = n.node("GlobalAveragePool", f(n, n.conv("image")))
    x = n.node("Flatten", f(n, n.conv(x, 6, kernel=1)))
    return n.gemm(x, 5, 6)


def _squeezed(score: str) -> Callable[[Floats, Build], str]:
    """Squeeze-and-excite, the function inside it, before and behind it."""

    def network(n: Floats, f: Build) -> str:
        x = f(n, n.conv("image"))
        z = f(n, n.conv(n.node("GlobalAveragePool", x), 2, kernel=1))
        z = n.node(score, n.conv(z, 4, 2, kernel=1))
        return n.head(f(n, n.conv(f(n, n.node("Mul", x, z)))))

    return network


def _gated(kind: str) -> Callable[[Floats, Build], str]:
    """Blocks whose channels and branch are skipped."""

    def gate(n: Floats, x: str, outputs: int) -> str:
        z = n.gemm(n.pooled(x), outputs, bias=0.1)
        z = n.node("Clip", z, n.const(0.0), n.const(1.0))
        return n.node("Reshape", z, n.const([1, outputs, 1, 1], np.int64))

    def network(n: Floats, f: Build) -> str:
        x = f(n, n.conv("image"))
        for _ in range(2):
            channels, block = gate(n, x, 4), gate(n, x, 1)
            y = n.node("Mul", n.conv(x), channels)
            y = n.node("Mul", n.conv(f(n, y)), block)
            y = n.node("Add", y, x)
            x = f(n, y) if kind == "sum" else y
        return n.head(f(n, n.conv(x)))

    return network


def _shortcut(n: Floats, f: Build) -> str:
    """A gated block with a convolution beside it: the skipped block's result goes through f."""
    x = f(n, n.conv("image"))
    z = n.node("Clip", n.gemm(n.pooled(x), 1, bias=0.0), n.const(0.0), n.const(1.0))
    z = n.node("Reshape", z, n.const([1, 1, 1, 1], np.int64))
    y = n.node("Mul", n.conv(f(n, n.conv(x, 8)), 8, 8), z)
    return n.head(f(n, n.node("Add", y, n.conv(x, 8, kernel=1))), 8)


NETWORKS: dict[str, Callable[[Floats, Build], str]] = {
    "after a sum": _after_sum,
    "before a sum": _before_sum,
    "before pools": _pools,
    "behind a maximum": _before_pool,
    "Concats": _concat,
    "strided": _strided,
    "of the image": _of_the_image,
    "two functions": _two_functions,
    "between dense layers": _hidden,
    "between dense layers, maps": _hidden_maps,
    "squeeze-and-excite, Sigmoid": _squeezed("Sigmoid"),
    "squeeze-and-excite, HardSigmoid": _squeezed("HardSigmoid"),
    "gated branches": _gated("branch"),
    "gated sums": _gated("sum"),
    "gated, with a projection": _shortcut,
}
