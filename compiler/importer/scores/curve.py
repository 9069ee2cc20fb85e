"""Functions of one number that are straight between breakpoints: what gates make of a logit.

Steps, ramps, their sums, products with steps and comparisons are all of that kind, so an
expression of any length over one logit is one `Curve`.  All arithmetic is rational: two spellings
of one function are equal curves, its value at each breakpoint (a tie) included.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

#: A staircase of more steps than this is no gate.
MOST_STEPS = 64

Line = tuple[Fraction, Fraction]  # slope, value at 0
Number = Fraction | int


class NoCurveError(Exception):
    """The result is not straight between breakpoints, or has too many of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """f(x) for low < x < high (None: unlimited).

    Attributes:
        breaks: ascending breakpoints, all inside the domain.
        values: f at each of them.
        lines: f between them, one more than there are breakpoints.
    """

    lines: tuple[Line, ...]
    breaks: tuple[Fraction, ...] = ()
    values: tuple[Fraction, ...] = ()
    low: Fraction | None = None
    high: Fraction | None = None

    @property
    def constant(self) -> Fraction | None:
        """Its only value, None if it has several."""
        single = not self.breaks and self.lines[0][0] == 0
        return self.lines[0][1] if single else None

    @property
    def affine(self) -> Line | None:
        """Its line, None if it has several."""
        return None if self.breaks else self.lines[0]

    def ends(self, index: int) -> tuple[Fraction | None, Fraction | None]:
        """Where line `index` begins and ends, None at infinity."""
        low = self.breaks[index - 1] if index else self.low
        return low, self.breaks[index] if index < len(self.breaks) else self.high

    def within(self, low: Fraction | None, high: Fraction | None) -> "Curve":
        """The same on a smaller domain."""
        kept = [i for i, x in enumerate(self.breaks) if _inside(x, low, high)]
        first = sum(1 for x in self.breaks if low is not None and x <= low)
        return Curve(
            lines=self.lines[first : first + len(kept) + 1],
            breaks=tuple(self.breaks[i] for i in kept),
            values=tuple(self.values[i] for i in kept),
            low=low,
            high=high,
        )

    def mirrored(self, centre: Number = 0) -> "Curve":
        """g(x) = f(2 centre - x)."""
        twice = 2 * Fraction(centre)
        return Curve(
            lines=tuple((-slope, value + slope * twice) for slope, value in self.lines[::-1]),
            breaks=tuple(twice - x for x in self.breaks[::-1]),
            values=self.values[::-1],
            low=None if self.high is None else twice - self.high,
            high=None if self.low is None else twice - self.low,
        )


def identity(low: Number | None = None, high: Number | None = None) -> Curve:
    """f(x) = x."""
    ends = (None if end is None else Fraction(end) for end in (low, high))
    return Curve(lines=((Fraction(1), Fraction(0)),)).within(*ends)


def level(value: Number, like: Curve | None = None) -> Curve:
    """A constant, on the domain of `like`."""
    flat = Curve(lines=((Fraction(0), Fraction(value)),))
    return flat if like is None else flat.within(like.low, like.high)


def add(left: Curve, right: Curve) -> Curve:
    """f + g."""
    return _pointwise(left, right, lambda a, b: a + b, lambda a, b: (a[0] + b[0], a[1] + b[1]))


def scaled(curve: Curve, factor: Number) -> Curve:
    """f times a constant."""
    return multiply(curve, level(factor, curve))


def subtract(left: Curve, right: Curve) -> Curve:
    """f - g."""
    return add(left, scaled(right, -1))


def multiply(left: Curve, right: Curve) -> Curve:
    """f g, where one of them is constant between any two breakpoints."""

    def lines(a: Line, b: Line) -> Line:
        if a[0] and b[0]:
            raise NoCurveError
        return (a[0] * b[1] + b[0] * a[1], a[1] * b[1])

    return _pointwise(left, right, lambda a, b: a * b, lines)


def choose(condition: Curve, left: Curve, right: Curve) -> Curve:
    """f where the condition (0 or 1) is 1, else g."""
    other = subtract(level(1, condition), condition)
    return add(multiply(condition, left), multiply(other, right))


def compare(left: Curve, right: Curve, wanted: Sequence[int]) -> Curve:
    """1 where the sign of f - g is one of `wanted`, else 0."""
    return _mapped(sign(subtract(left, right)), lambda value: Fraction(value in wanted))


def sign(curve: Curve) -> Curve:
    """-1, 0 or 1."""
    return _mapped(_split(curve, lambda low, high: [0]), lambda v: Fraction((v > 0) - (v < 0)))


def greater(left: Curve, right: Curve) -> Curve:
    """The greater of both."""
    return choose(compare(left, right, [1]), left, right)


def less(left: Curve, right: Curve) -> Curve:
    """The less of both."""
    return choose(compare(left, right, [-1]), left, right)


def stairs(curve: Curve, rounding: Callable[[Fraction], int]) -> Curve:
    """`round`, `math.floor` or `math.ceil` of f, which must be limited."""

    def steps(low: Fraction | None, high: Fraction | None) -> list[Fraction]:
        if low is None or high is None or high - low > MOST_STEPS:
            raise NoCurveError
        return [Fraction(k, 2) for k in range(math.floor(2 * low), math.ceil(2 * high) + 1)]

    return _mapped(_split(curve, steps), lambda value: Fraction(rounding(value)))


def _inside(x: Fraction, low: Fraction | None, high: Fraction | None) -> bool:
    return (low is None or x > low) and (high is None or x < high)


def _at(line: Line, x: Fraction) -> Fraction:
    return line[0] * x + line[1]


def _middle(low: Fraction | None, high: Fraction | None) -> Fraction:
    """A number between both."""
    if low is None:
        return Fraction(0) if high is None else high - 1
    return low + 1 if high is None else (low + high) / 2


def _refined(curve: Curve, breaks: Sequence[Fraction]) -> Curve:
    """The same function with more breakpoints."""
    lines, values, old = [], [], list(curve.breaks)
    for x in breaks:
        index = sum(1 for known in old if known < x)
        lines.append(curve.lines[index])
        values.append(curve.values[index] if x in old else _at(curve.lines[index], x))
    return dataclasses.replace(
        curve, breaks=tuple(breaks), values=tuple(values), lines=(*lines, curve.lines[-1])
    )


def _plain(curve: Curve) -> Curve:
    """The same function without breakpoints at which nothing breaks."""
    lines, breaks, values = [curve.lines[0]], [], []
    for x, value, line in zip(curve.breaks, curve.values, curve.lines[1:], strict=True):
        if line != lines[-1] or value != _at(line, x):
            breaks.append(x)
            values.append(value)
            lines.append(line)
    return dataclasses.replace(
        curve, breaks=tuple(breaks), values=tuple(values), lines=tuple(lines)
    )


def _pointwise(
    left: Curve,
    right: Curve,
    values: Callable[[Fraction, Fraction], Fraction],
    lines: Callable[[Line, Line], Line],
) -> Curve:
    """Two curves of one domain, put together point by point."""
    breaks = sorted({*left.breaks, *right.breaks})
    left, right = _refined(left, breaks), _refined(right, breaks)
    return _plain(
        dataclasses.replace(
            left,
            lines=tuple(map(lines, left.lines, right.lines)),
            values=tuple(map(values, left.values, right.values)),
        )
    )


def _split(
    curve: Curve, levels: Callable[[Fraction | None, Fraction | None], Sequence[Number]]
) -> Curve:
    """Breakpoints also where a line crosses one of the levels between its ends."""
    breaks = set(curve.breaks)
    for index, line in enumerate(curve.lines):
        if line[0] == 0:
            continue
        low, high = curve.ends(index)
        reached = [None if x is None else _at(line, x) for x in (low, high)]
        if line[0] < 0:
            reached.reverse()
        crossings = [(height - line[1]) / line[0] for height in levels(*reached)]
        breaks.update(x for x in crossings if _inside(x, low, high))
    if len(breaks) > 2 * MOST_STEPS:
        raise NoCurveError
    return _refined(curve, sorted(breaks))


def _mapped(curve: Curve, function: Callable[[Fraction], Fraction]) -> Curve:
    """A function that is constant between the breakpoints, of each value."""
    middles = [_at(line, _middle(*curve.ends(i))) for i, line in enumerate(curve.lines)]
    return _plain(
        dataclasses.replace(
            curve,
            lines=tuple((Fraction(0), function(value)) for value in middles),
            values=tuple(map(function, curve.values)),
        )
    )
