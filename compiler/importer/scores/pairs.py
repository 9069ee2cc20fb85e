"""Decisions between two logits: ArgMax, Softmax, one-hot vectors."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.scores import curve as curves
from penstock.compiler.importer.scores.curve import NoCurveError
from penstock.compiler.importer.scores.form import (
    NONE,
    Combiner,
    Element,
    Elements,
    constants,
    difference,
    smooth,
)
from penstock.compiler.importer.scores.operators import compared


def _pair(node: OpNode, elements: Elements, default: int) -> tuple[Elements, Elements, int]:
    """The two halves along the operator's axis, which has two elements."""
    axis = int(node.attrs.get("axis", default))
    if not -elements.ndim <= axis < elements.ndim or elements.shape[axis] != 2:
        raise NoCurveError
    first, second = np.split(elements, 2, axis=axis)
    return first, second, axis % elements.ndim


def lower_arg(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """ArgMax and ArgMin of two: the index of the greater (less); the first at a tie, or the
    last."""
    first, second, axis = _pair(node, inputs[0], 0)
    wanted = [1] if node.op == "ArgMax" else [-1]
    if node.attrs.get("select_last_index", 0):
        wanted.append(0)
    made = compared(*wanted)(second, first)
    return made if node.attrs.get("keepdims", 1) else np.squeeze(made, axis)


def lower_softmax(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """Softmax of two is a sigmoid of their difference."""
    first, second, axis = _pair(node, inputs[0], -1)
    if net.opset < 13:
        raise NoCurveError
    halves = []
    for one, other in ((first, second), (second, first)):
        half = np.empty(one.shape, object)
        for index in np.ndindex(one.shape):
            half[index] = smooth(_distance(one[index], other[index]), "Sigmoid")
        halves.append(half)
    return np.concatenate(halves, axis=axis)


def _distance(left: Element, right: Element) -> Element:
    """The difference of two logits that are multiplied by one factor."""
    a, b = left.curve.affine, right.curve.affine
    sources = (left.source, right.source)
    plain = all(not s.smooth and s.other == NONE and s.row != NONE for s in sources)
    if a is None or b is None or a[0] != b[0] or not plain:
        raise NoCurveError
    line = curves.add(curves.scaled(curves.identity(), a[0]), curves.level(a[1] - b[1]))
    source, curve = difference(left.source.row, right.source.row, line)
    return Element(source=source, curve=curve)


def lower_scatter(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """ScatterElements of one value into constants, along an axis: a one-hot vector."""
    base, places, values = inputs
    axis = int(node.attrs.get("axis", 0)) % base.ndim
    if node.attrs.get("reduction", "none") != "none" or places.shape[axis] != 1:
        raise NoCurveError
    around = (tuple(np.delete(elements.shape, axis)) for elements in (base, places, values))
    if len(set(around)) > 1 or values.shape[axis] != 1:
        raise NoCurveError
    parts = []
    for index in range(base.shape[axis]):
        hit = compared(0)(places, constants(np.asarray(index)))
        miss = Combiner(curves.subtract)(constants(np.asarray(1)), hit)
        product, total = Combiner(curves.multiply), Combiner(curves.add)
        before = np.take(base, [index], axis=axis)
        parts.append(total(product(hit, values), product(miss, before)))
    return np.concatenate(parts, axis=axis)


def lower_one_hot(net: Net, node: OpNode, inputs: Sequence[Elements]) -> Elements:
    """OneHot of indices 0 and 1."""
    depth, values = (net.constants.get(name) for name in node.inputs[1:3])
    if depth is None or values is None:
        raise NoCurveError
    off, on = (Fraction(value.item()) for value in np.asarray(values).reshape(-1))
    parts = []
    for index in range(int(np.asarray(depth).reshape(-1)[0])):
        hit = compared(0)(inputs[0], constants(np.asarray(index)))
        made = Combiner(lambda f, _: curves.add(curves.scaled(f, on - off), curves.level(off, f)))
        parts.append(made(hit, constants(np.asarray(0))))
    return np.stack(parts, axis=int(node.attrs.get("axis", -1)))
