"""Gates in many spellings: a pooled vector, dense layers, a score, and what it multiplies."""

import numpy as np

from penstock.compiler.numerics import SCORE_SCALE
from tests.fuzz.onnx.builder import Builder
from tests.fuzz.onnx.layers import Map, P, average, dense, flatten, limit


def pooled(b: Builder, x: Map) -> str:
    """The average of a map, quantised; flattened before or behind that, or not at all."""
    scale = x.scale if b.chance(0.2) else P
    y = average(b, x)
    if b.chance(0.3):
        y = flatten(b, y)
    y = b.qdq(y, scale, x.signed)
    if b.odd(0.05):
        y = limit(b, y, 1.0)
    if b.odd(0.04) and len(b.shape(y)) > 1:
        y = rows(b, y, int(np.prod(b.shape(y))))
    return flatten(b, y) if b.chance(0.8) else y


def rows(b: Builder, v: str, count: int) -> str:
    """Some elements of a vector, or all of them in another order."""
    axis = b.pick(0, -1, 2, -2) if b.odd(0.1) else b.pick(1, 1 - len(b.shape(v)))
    if b.chance(0.5):
        order = b.random.sample(range(count), count)
        if b.odd(0.3):
            order = [index - count if b.chance(0.3) else index for index in order]
        return str(b.node("Gather", v, b.const(order, np.int64), axis=axis))
    start, end, step = b.pick((0, count, 1), (0, count, 2), (-1, -(1 << 40), -1), (1, 1 << 40, 1))
    parts = [b.const([number], np.int64) for number in (start, end, axis, step)]
    return str(b.node("Slice", v, *parts))


def score(b: Builder, x: Map, outputs: int) -> str:
    """A score for each of some outputs, of shape (1, outputs, 1, 1)."""
    return finish(b, *logits(b, x, outputs))


def two_scores(b: Builder, x: Map, first: int, second: int) -> list[str]:
    """Two gates from one dense layer whose rows are taken apart."""
    z, binary = logits(b, x, first + second)
    rank = len(b.shape(z))
    axis = b.pick(-1, 0, 2) if b.odd(0.1) else b.pick(1, 1 - rank)
    sizes = [first, second]
    kind = b.random.random()
    if kind < 0.4:
        parts = b.node("Split", z, b.const(sizes, np.int64), outputs=2, axis=axis)
    elif kind < 0.7:
        parts = [
            b.node("Slice", z, *(b.const([n], np.int64) for n in (low, high, axis)))
            for low, high in ((0, first), (first, first + second))
        ]
    else:
        picked = [range(first), range(first, first + second)]
        parts = [b.node("Gather", z, b.const(list(p), np.int64), axis=axis) for p in picked]
    return [finish(b, part, binary) for part in parts]


def logits(b: Builder, x: Map, outputs: int) -> tuple[str, str]:
    """The dense layer of a gate and the kind of its score."""
    v = pooled(b, x)
    if b.chance(0.25):
        hidden = dense(b, v, b.pick(2, 4, 4))
        v = b.qdq(b.node("Relu", hidden), 0.03, signed=False)
        if b.odd(0.05):
            v = limit(b, v, 1.0)
    z = dense(b, v, outputs, gain=1.5)
    return z, b.pick("relu1", "relu1", "relu1", "binary", "binary", "sigmoid")


def finish(b: Builder, z: str, kind: str) -> str:
    """The score of a dense layer's results, shaped to multiply channels."""
    s = z
    if kind == "binary":
        s = _compared(b, s)
    elif kind == "sigmoid":
        if b.chance(0.5):
            s = b.qdq(s, 1 / 16)
        s = b.node("Sigmoid", s)
    else:
        s = _limited(b, s)
    if b.chance(0.6):
        scale, signed = (SCORE_SCALE, False)
        if b.odd(0.03):
            scale, signed = b.pick((SCORE_SCALE, True), (0.02, False), (1 / 256, False))
        s = b.qdq(s, scale, signed)
    if b.odd(0.06):
        s = limit(b, s, 1.0)
    return spread(b, s)


def _compared(b: Builder, z: str) -> str:
    """A threshold, perhaps behind a limit or a sigmoid."""
    kind = b.random.random()
    if kind < 0.15:
        z = b.node("Sigmoid", z)
    elif kind < 0.3:
        z = _limited(b, z)
    bound = b.pick(0.0, 0.5, 0.5, 0.25, -0.1)
    shape: list[int] = []
    if b.odd(0.15):
        shape = b.pick([1], list(b.shape(z)[1:2]), [1, 1], list(b.shape(z)))
    t = b.const(np.full(shape, bound) + b.rng.normal(0, 0.01, shape) * b.chance(0.5))
    inputs = [z, t] if not b.odd(0.03) else [t, z]
    op = "Less" if b.odd(0.03) else b.pick("Greater", "Greater", "GreaterOrEqual")
    return str(b.node("Cast", b.node(op, *inputs), to=1))


def _limited(b: Builder, z: str) -> str:
    """To [0, 1], in one of its spellings; rarely to something else."""
    low, high = 0.0, 1.0
    if b.odd(0.05):
        low, high = b.pick((0.0, 0.5), (0.25, 1.0), (0.0, 2.0), (-1.0, 1.0))
    kind = b.random.random()
    if kind < 0.6:
        return str(b.node("Clip", z, b.const(low), b.const(high)))
    if kind < 0.75:
        return str(b.node("Min", b.node("Relu", z), b.const(high)))
    if kind < 0.9:
        return str(b.node("Relu", b.node("Min", b.const(high), z)))
    return str(b.node("Min", b.node("Max", z, b.const(low)), b.const(high)))


def spread(b: Builder, s: str) -> str:
    """A score as (1, n, 1, 1); rarely along another axis."""
    shape = b.shape(s)
    if len(shape) == 4:
        return s
    size = int(np.prod(shape))
    if len(shape) == 2 and b.chance(0.6):
        axes = b.pick([2, 3], [-1, -2], [3, 2])
        if b.odd(0.06):
            axes = b.pick([0, 1], [1, 3], [1, 2], [0, 3])
        if b.chance(0.2) and axes == [2, 3]:
            return b.axes("Unsqueeze", b.axes("Unsqueeze", s, [2]), [3])
        return b.axes("Unsqueeze", s, axes)
    target = b.pick([-1, size, 1, 1], [1, size, 1, 1], [0, size, 1, 1], [0, -1, 1, 1])
    if b.odd(0.06):
        target = b.pick([1, 1, size, 1], [1, 1, 1, size], [1, -1, 1, 1], [size, 1, 1])
    return str(b.node("Reshape", s, b.const(target, np.int64)))
