"""Steps for what a file leaves unquantised before an activation: those that its codes ask for."""

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.curves.apply import apply
from penstock.compiler.importer.lower.values.stored import real_range
from penstock.compiler.importer.net import Array
from penstock.compiler.importer.terms import Linear, Loose, Stored, Sum
from penstock.compiler.numerics import quantize

#: Numbers at which the function is tried, and how often between closer ends.
POINTS, TRIES = 1 << 14, 3
#: Beyond where its codes change the ends are so much further apart.
MARGIN = 1.05


def source_steps(
    builder: Builder, term: Loose, scale: float, signed: bool, zero: int
) -> tuple[float, bool]:
    """(steps of int8 or uint8 for the function's source, whether they are of int8).

    They reach as far as the codes of the function, in steps of `scale`, still change.
    """
    low, high = _bounds(builder, term.source)
    negative = low < 0
    for _ in range(TRIES):
        points = np.linspace(low, high, POINTS)
        codes = _codes(builder, term, points, scale, signed, zero)
        changes = np.flatnonzero(codes[1:] != codes[:-1])
        if not len(changes):
            break
        low = max(low, float(points[changes[0]]) * (MARGIN if points[changes[0]] < 0 else 1.0))
        high = min(high, float(points[changes[-1] + 1]) * MARGIN)
    ends = [low, high, *_stored(builder, term.source), float(np.finfo(np.float32).tiny)]
    largest = max(map(abs, ends))
    return float(np.float32(largest / (127 if negative else 255))), negative


def _codes(
    builder: Builder, term: Loose, points: Array, scale: float, signed: bool, zero: int
) -> Array:
    real = np.nan_to_num(apply(builder.net, builder.curves, term.name, points))
    return quantize(real, scale, signed, zero).astype(np.int64)


def _stored(builder: Builder, term: Linear | Sum) -> tuple[float, ...]:
    """The ends of what is added as it is, which the steps must hold."""
    if isinstance(term, Linear):
        return ()
    added = [each.value for each in (term.left, term.right) if isinstance(each, Stored)]
    return tuple(end for value in added for end in real_range(builder, value))


def _bounds(builder: Builder, term: Linear | Sum | Stored) -> tuple[float, float]:
    """Numbers that a term lies between, whatever the network reads."""
    match term:
        case Stored():
            return real_range(builder, term.value)
        case Sum():
            ends = [_bounds(builder, term.left), _bounds(builder, term.right)]
            low, high = (sum(pair) for pair in zip(*ends, strict=True))
        case Linear():
            weight = term.weight.reshape(len(term.weight), -1).astype(np.float64)
            least, greatest = builder.integer_range(term.input)
            positive, negative = (
                np.maximum(weight, 0).sum(axis=1),
                np.minimum(weight, 0).sum(axis=1),
            )
            sums = (positive * least + negative * greatest, positive * greatest + negative * least)
            low, high = (
                float(pick((each + term.bias) * term.scale + term.offset))
                for pick, each in zip((np.min, np.max), sums, strict=True)
            )
    return min(max(low, term.low), term.high), max(min(high, term.high), term.low)
