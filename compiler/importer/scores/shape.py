"""The three forms of a score that the core has: a step, a ramp from 0 to 1, a sigmoid."""

import dataclasses
import math
from fractions import Fraction

from penstock.compiler.importer.scores.curve import Curve, Line
from penstock.compiler.importer.scores.form import Element

ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score as a function of d = z[row] - z[other].

    Attributes:
        kind: "step": 1 where d > threshold, `tie` where d = threshold, else 0; "ramp":
            clip(gain d + shift, 0, 1); "sigmoid": sigmoid(gain d + shift).
        rising: whether it rises with d; else d is to be negated, and what follows is of -d.
    """

    kind: str
    rising: bool
    threshold: Fraction = ZERO
    tie: Fraction = ZERO
    gain: Fraction = ONE
    shift: Fraction = ZERO


def score_of(element: Element) -> Score | None:
    """The form of an element's curve, None if the core has none for it."""
    curve, source = element.curve, element.source
    if len(curve.lines) == 2 and set(curve.lines) == {(ZERO, ZERO), (ZERO, ONE)}:
        threshold = _logit(source.smooth, curve.breaks[0])
        if threshold is None:
            return None
        at = (threshold - source.shift) / source.gain
        rising = curve.lines[1][1] == 1
        return Score(
            kind="step", rising=rising, threshold=at if rising else -at, tie=curve.values[0]
        )
    if not source.smooth:
        return _ramp(curve)
    if source.smooth == "Sigmoid" and curve.affine in ((ONE, ZERO), (-ONE, ONE)):
        rising = curve.affine == (ONE, ZERO)
        shift = source.shift if rising else -source.shift
        return Score(kind="sigmoid", rising=rising, gain=source.gain, shift=shift)
    return None


def _ramp(curve: Curve) -> Score | None:
    """clip(gain d + shift, 0, 1), without jumps."""
    if len(curve.lines) != 3:
        return None
    (gain, shift), ends = curve.lines[1], (curve.lines[0], curve.lines[2])
    flat = ((ZERO, ZERO), (ZERO, ONE))
    if not gain or ends != (flat if gain > 0 else flat[::-1]):
        return None
    if curve.values != tuple(_at(curve.lines[1], x) for x in curve.breaks):
        return None
    if curve.values != tuple(line[1] for line in ends):
        return None
    return Score(kind="ramp", rising=gain > 0, gain=abs(gain), shift=shift)


def _at(line: Line, x: Fraction) -> Fraction:
    return line[0] * x + line[1]


def _logit(smooth: str, value: Fraction) -> Fraction | None:
    """What the smooth function makes `value` of; exact where that is plain."""
    if not smooth:
        return value
    if smooth == "Tanh":
        return ZERO if value == 0 else Fraction(math.atanh(value))
    return ZERO if value == HALF else Fraction(math.log(value / (1 - value)))
