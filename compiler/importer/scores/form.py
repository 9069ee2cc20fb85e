"""What each element of a tensor is, as a function of one output of a dense layer."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.importer.scores import curve as curves
from penstock.compiler.importer.scores.curve import Curve, NoCurveError

NONE = -1

#: Domains of the functions that may lie between a logit and a curve.
SMOOTH: dict[str, tuple[int, int]] = {"Sigmoid": (0, 1), "Tanh": (-1, 1)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One number: z[row] - z[other], or a smooth function of gain (z[row] - z[other]) + shift.

    `row`, `other`: outputs of dense layers by number; NONE for no subtrahend, `row` = NONE for
    constants.  A difference has row > other and a smooth function gain > 0: else it is mirrored.
    """

    row: int = NONE
    other: int = NONE
    smooth: str = ""
    gain: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """curve(source)."""

    source: Argument
    curve: Curve


Elements = npt.NDArray[Any]  # of Element, in the tensor's shape
CONSTANT = Argument()
Combine = Callable[[Curve, Curve], Curve]


def constants(array: npt.NDArray[Any]) -> Elements:
    """The elements of a constant."""
    made = np.empty(array.shape, object)
    known: dict[Any, Element] = {}
    for index, value in np.ndenumerate(array):
        number = value.item()
        if number not in known:
            if not np.isfinite(number):
                raise NoCurveError
            known[number] = Element(source=CONSTANT, curve=curves.level(Fraction(number)))
        made[index] = known[number]
    return made


def outputs(first: int, shape: tuple[int, ...]) -> Elements:
    """A dense layer's outputs, numbered from `first`."""
    count = int(np.prod(shape))
    line = curves.identity()
    made = np.empty(count, object)
    made[:] = [Element(source=Argument(row=first + i), curve=line) for i in range(count)]
    return made.reshape(shape)


class Combiner:
    """A function of two curves, applied to tensors element by element and remembered."""

    def __init__(self, function: Combine, difference: bool = False) -> None:
        """`difference`: it depends on f - g alone, so two logits may meet."""
        self.function = function
        self.difference = difference
        self.known: dict[Any, Curve] = {}

    def __call__(self, left: Elements, right: Elements) -> Elements:
        """Both broadcast."""
        left, right = np.broadcast_arrays(left, right)
        made = np.empty(left.shape, object)
        for index in np.ndindex(left.shape):
            made[index] = self._pair(left[index], right[index])
        return made

    def _pair(self, left: Element, right: Element) -> Element:
        source, f, g = self._aligned(left, right)
        key = (id(f), id(g))
        if key not in self.known:
            self.known[key] = self.function(f, g)
            self.known[(key, "kept")] = f  # an id must not serve twice
            self.known[(key, "kept too")] = g
        return simplest(source, self.known[key])

    def _aligned(self, left: Element, right: Element) -> tuple[Argument, Curve, Curve]:
        """Both as functions of one source."""
        if right.source == left.source:
            return left.source, left.curve, right.curve
        if right.source == CONSTANT:
            return left.source, left.curve, _like(right.curve, left.curve)
        if left.source == CONSTANT:
            return right.source, _like(left.curve, right.curve), right.curve
        return self._difference(left, right)

    def _difference(self, left: Element, right: Element) -> tuple[Argument, Curve, Curve]:
        """Two logits times one factor: f - g is a function of their difference."""
        a, b = left.curve.affine, right.curve.affine
        plain = not any(
            source.smooth or source.other != NONE for source in (left.source, right.source)
        )
        if not self.difference or a is None or b is None or a[0] != b[0] or not plain:
            raise NoCurveError
        source, line = difference(left.source.row, right.source.row, Curve(lines=(a,)))
        return source, line, curves.level(b[1])


def difference(row: int, other: int, curve: Curve) -> tuple[Argument, Curve]:
    """curve(z[row] - z[other])."""
    if row > other:
        return Argument(row=row, other=other), curve
    return Argument(row=other, other=row), curve.mirrored()


def smooth(element: Element, name: str) -> Element:
    """Sigmoid or Tanh of an element, which must be a line."""
    line, source = element.curve.affine, element.source
    if line is None or source.smooth or source == CONSTANT or not line[0]:
        raise NoCurveError
    low, high = SMOOTH[name]
    curve, centre = curves.identity(low, high), Fraction(low + high, 2)
    gain, shift = line
    if gain < 0:  # both are point-symmetric
        gain, shift, curve = -gain, -shift, curve.mirrored(centre)
    made = dataclasses.replace(source, smooth=name, gain=gain, shift=shift)
    return Element(source=made, curve=curve)


def simplest(source: Argument, curve: Curve) -> Element:
    """An element; a constant has no source."""
    value = curve.constant
    if value is None:
        return Element(source=source, curve=curve)
    return Element(source=CONSTANT, curve=curves.level(value))


def _like(constant: Curve, curve: Curve) -> Curve:
    return _LEVELS.setdefault(
        (constant.lines, curve.low, curve.high), constant.within(curve.low, curve.high)
    )


#: So that equal constants are one object, which `Combiner` remembers by.
_LEVELS: dict[Any, Curve] = {}
