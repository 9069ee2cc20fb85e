"""Steps for what a file leaves unquantised before an activation: those that its codes ask for."""

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.curves.reach import codes_of_curve, reach
from penstock.compiler.importer.lower.values.stored import real_range
from penstock.compiler.importer.terms import Linear, Loose, Stored, Sum


def source_steps(
    builder: Builder, term: Loose, scale: float, signed: bool, zero: int
) -> tuple[float, bool]:
    """(steps of int8 or uint8 for the function's source, whether they are of int8).

    They reach as far as the codes of the function, in steps of `scale`, still change.
    """
    low, high = _bounds(builder, term.source)
    negative = low < 0
    codes = codes_of_curve(builder.net, builder.curves, term.name, scale, signed, zero)
    tiny = float(np.finfo(np.float32).tiny)
    ends = (*reach(codes, low, high), *_stored(builder, term.source), tiny)
    return float(np.float32(max(map(abs, ends)) / (127 if negative else 255))), negative


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
            up, down = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
            sums = (up * least + down * greatest, up * greatest + down * least)
            low, high = (
                float(pick((each + term.bias) * term.scale + term.offset))
                for pick, each in zip((np.min, np.max), sums, strict=True)
            )
    return min(max(low, term.low), term.high), max(min(high, term.high), term.low)
