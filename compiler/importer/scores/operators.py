"""Operators of ONNX on elements that are functions of one logit."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.scores import curve as curves
from penstock.compiler.importer.scores.curve import Curve, NoCurveError
from penstock.compiler.importer.scores.form import (
    CONSTANT,
    Combiner,
    Element,
    Elements,
    constants,
    smooth,
)

Handler = Callable[[Net, OpNode, Sequence[Elements]], Elements]

INTEGERS = ("bool", "int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64")


def compared(*wanted: int) -> Combiner:
    """A comparison: 1 where the sign of the difference is one of `wanted`."""
    return Combiner(lambda f, g: curves.compare(f, g, wanted), difference=True)


def _number(value: Any) -> Elements:
    return constants(np.asarray(value, dtype=np.float64))


def _each(elements: Elements, function: Callable[[Element], Element]) -> Elements:
    made = np.empty(elements.shape, object)
    for index in np.ndindex(elements.shape):
        made[index] = function(elements[index])
    return made


def _curve(elements: Elements, function: Callable[[Curve], Curve]) -> Elements:
    """A function of each curve by itself."""
    return Combiner(lambda f, _: function(f))(elements, _number(0))


def _pairwise(combiner: Callable[[], Combiner]) -> Handler:
    def handler(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
        made = inputs[0]
        for other in inputs[1:]:
            made = combiner()(made, other)
        return made

    return handler


def _unary(function: Callable[[Curve], Curve]) -> Handler:
    return lambda net, node, inputs: _curve(inputs[0], function)


def _smooth(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    return _each(inputs[0], lambda element: smooth(element, node.op))


def _where(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """c * a + (1 - c) * b; one of a and b is constant, or they share their source."""
    condition, left, right = inputs
    product = Combiner(curves.multiply)
    other = Combiner(curves.subtract)(_number(1), condition)
    return Combiner(curves.add)(product(condition, left), product(other, right))


def _clip(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    made = inputs[0]
    for bound, limit in zip(node.inputs[1:], (curves.greater, curves.less), strict=False):
        if bound and np.isfinite(_array(net, bound)).all():
            made = Combiner(limit)(made, constants(_array(net, bound)))
    return made


def _array(net: Net, name: str) -> Array:
    if name not in net.constants:
        raise NoCurveError
    return net.constants[name]


def _hard_sigmoid(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    slope, offset = (
        Fraction(float(np.float32(node.attrs.get(name, default))))
        for name, default in (("alpha", 0.2), ("beta", 0.5))
    )

    def function(curve: Curve) -> Curve:
        line = curves.add(curves.scaled(curve, slope), curves.level(offset, curve))
        line = curves.greater(line, curves.level(0, curve))
        return curves.less(line, curves.level(1, curve))

    return _curve(inputs[0], function)


def _leaky(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    slope = Fraction(float(np.float32(node.attrs.get("alpha", 0.01))))
    if not 0 <= slope <= 1:
        raise NoCurveError
    return _curve(inputs[0], lambda curve: curves.greater(curve, curves.scaled(curve, slope)))


def _cast(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """To float as it is; to a whole number only of what is one."""
    target = net.types.get(node.output, "")
    if target == "bool":
        return compared(-1, 1)(inputs[0], _number(0))
    if target not in (*INTEGERS, "float16", "float32", "float64"):
        raise NoCurveError
    if target in INTEGERS and net.types.get(node.inputs[0]) not in INTEGERS:
        return _curve(inputs[0], _whole)
    return inputs[0]


def _whole(curve: Curve) -> Curve:
    values = [*curve.values, *(offset for _, offset in curve.lines)]
    if any(slope for slope, _ in curve.lines) or any(v.denominator != 1 for v in values):
        raise NoCurveError
    return curve


def _divide(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    divisor = _array(net, node.inputs[1])
    if not divisor.all() or divisor.dtype.kind != "f":
        raise NoCurveError
    inverse = np.empty(divisor.shape, object)
    for index, value in np.ndenumerate(divisor):
        curve = curves.level(1 / Fraction(float(value)))
        inverse[index] = Element(source=CONSTANT, curve=curve)
    return Combiner(curves.multiply)(inputs[0], inverse)


def _relu(curve: Curve) -> Curve:
    return curves.greater(curve, curves.level(0, curve))


def _opposite(curve: Curve) -> Curve:
    return curves.subtract(curves.level(1, curve), curve)


def _ceil(value: Fraction) -> int:
    return math.ceil(value)


HANDLERS: dict[str, Handler] = {
    "Abs": _unary(lambda curve: curves.greater(curve, curves.scaled(curve, -1))),
    "Add": _pairwise(lambda: Combiner(curves.add)),
    "And": _pairwise(lambda: Combiner(curves.multiply)),
    "Cast": _cast,
    "Ceil": _unary(lambda curve: curves.stairs(curve, _ceil)),
    "Clip": _clip,
    "Div": _divide,
    "Equal": _pairwise(lambda: compared(0)),
    "Floor": _unary(lambda curve: curves.stairs(curve, math.floor)),
    "Greater": _pairwise(lambda: compared(1)),
    "GreaterOrEqual": _pairwise(lambda: compared(0, 1)),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky,
    "Less": _pairwise(lambda: compared(-1)),
    "LessOrEqual": _pairwise(lambda: compared(-1, 0)),
    "Max": _pairwise(lambda: Combiner(curves.greater)),
    "Min": _pairwise(lambda: Combiner(curves.less)),
    "Mul": _pairwise(lambda: Combiner(curves.multiply)),
    "Neg": _unary(lambda curve: curves.scaled(curve, -1)),
    "Not": _unary(_opposite),
    "Or": _pairwise(lambda: Combiner(curves.greater)),
    "Relu": _unary(_relu),
    "Round": _unary(lambda curve: curves.stairs(curve, round)),
    "Sigmoid": _smooth,
    "Sign": _unary(curves.sign),
    "Sub": _pairwise(lambda: Combiner(curves.subtract, difference=True)),
    "Sum": _pairwise(lambda: Combiner(curves.add)),
    "Tanh": _smooth,
    "Where": _where,
}
