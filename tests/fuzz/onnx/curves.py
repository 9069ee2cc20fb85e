"""Activations that are no clamp, in random spellings, of what is quantised or not."""

from collections.abc import Callable

from tests.fuzz.onnx.builder import Builder

Spelling = Callable[[Builder, str], str]


def curve(b: Builder, x: str) -> str:
    """A random function of a tensor, perhaps of another function of it."""
    if b.chance(0.75):
        x = b.coded(x, b.pick(0.04, 0.05, 0.0625), True)[0]
    y = b.pick(*SPELLINGS)(b, x)
    if b.odd(0.15):
        y = b.pick(*SPELLINGS)(b, between(b, y))
    return str(y)


def between(b: Builder, x: str) -> str:
    """A quantiser between two operators of one activation, or none."""
    return b.coded(x, b.pick(0.03, 0.05), True)[0] if b.odd(0.3) else x


def _silu(b: Builder, x: str) -> str:
    return str(b.node("Mul", *b.random.sample([x, between(b, b.node("Sigmoid", x))], 2)))


def _hard_swish(b: Builder, x: str) -> str:
    if b.opset >= 14 and b.chance(0.3):
        return str(b.node("HardSwish", x))
    y = b.node("Clip", between(b, b.node("Add", x, b.const(3.0))), b.const(0.0), b.const(6.0))
    if b.chance(0.5):
        return str(b.node("Mul", b.node("Mul", x, between(b, y)), b.const(1 / 6)))
    return str(b.node("Mul", x, b.node("Div", y, b.const(6.0))))


def _leaky(b: Builder, x: str) -> str:
    slope = b.pick(0.01, 0.1, 0.25)
    if b.chance(0.4):
        return str(b.node("LeakyRelu", x, alpha=slope))
    low = b.node("Mul", *b.random.sample([x, b.const(slope)], 2))
    if b.chance(0.5):
        return str(b.node("Max", x, low))
    return str(b.node("Where", b.node("Greater", x, b.const(0.0)), x, low))


def _gelu(b: Builder, x: str) -> str:
    y = b.node("Erf", b.node("Div", x, b.const(2**0.5)))
    y = b.node("Mul", x, between(b, b.node("Add", y, b.const(1.0))))
    return str(b.node("Mul", y, b.const(0.5)))


def _single(b: Builder, x: str) -> str:
    return str(
        b.node(b.pick("Tanh", "Sigmoid", "Softplus", "Elu", "Selu", "HardSigmoid", "Abs"), x)
    )


SPELLINGS: tuple[Spelling, ...] = (_silu, _hard_swish, _leaky, _gelu, _single)
