"""Kernels that are larger than the core's: the map several times side by side, each moved.

A tap t of a kernel is tap t - s of a smaller one that reads a copy of the map s rows up.  So a
convolution of any size is one of a Concat of such copies, its inputs the map's channels once for
each copy: exact, and with kernels of 1x1 without a multiplication more.  Of the core's kernels the
one is taken that takes the fewest cycles, moving pixels included.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.concat import concat_values
from penstock.compiler.importer.lower.layers.kernels import (
    MOST_INPUTS,
    MOVED,
    Axis,
    Placed,
    cheapest,
    conv_axes,
    placed,
)
from penstock.compiler.importer.lower.layers.windows import CONV_KERNELS
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import Part
from penstock.program.base.arith import ceil_div

#: Cycles of a descriptor that moves pixels, beside those pixels.
DESCRIPTOR = 24


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Copies:
    """Copies that a kernel of `size` needs: of both axes the taps that they begin at, and the axis
    of the smaller convolution."""

    size: int
    starts: tuple[tuple[int, ...], tuple[int, ...]]
    axes: tuple[Axis, Axis]
    cost: float

    @property
    def count(self) -> int:
        return len(self.starts[0]) * len(self.starts[1])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stacked:
    """A convolution of copies: the value that it reads, its weight's place on the core, and the
    order of its inputs, empty where it has one group."""

    source: str
    placed: Placed
    order: tuple[int, ...]


def stacked(
    builder: Builder, node: OpNode, source: str, weight: Array, order: tuple[int, ...]
) -> Stacked | None:
    """A convolution whose kernel the core has not; None if it has it, or has none for the copies.

    `weight`: (O, I / groups, kh, kw); `order`: its input i is channel order[i] of the map `source`.
    """
    axes, dilations = conv_axes(builder.net, node, weight.shape)
    groups = int(node.attrs.get("group", 1))
    if cheapest(axes, weight.shape, groups) is not None:
        return None
    taps = [tuple(range(0, axis.span, step)) for axis, step in zip(axes, dilations, strict=True)]
    choices = [_copies(axes, taps, size, weight.shape, groups) for size in CONV_KERNELS]
    known = [choice for choice in choices if choice is not None]
    if not known:
        return None
    best = min(known, key=lambda choice: choice.cost)
    order = order or tuple(range(weight.shape[1] * groups))
    # Of a group of several channels these lie together, which is what a CONV can read.
    apart = 1 < groups < len(order)
    each = len(order) // groups if apart else len(order)
    parts = [
        _copy(builder, node, source, axes, best, tap, order[first : first + each] if apart else ())
        for first in range(0, len(order), each)
        for tap in _pairs(best)
    ]
    stack = concat_values(builder, node, parts, builder.fresh(f"{node.output}.stack"))
    wide = _weight(weight, best, taps)
    return Stacked(
        source=stack.value,
        placed=placed(wide, best.axes, (1, 1), groups),
        order=() if apart else _order(order, groups, best.count),
    )


def _copies(
    axes: Sequence[Axis],
    taps: Sequence[tuple[int, ...]],
    size: int,
    weight: Sequence[int],
    groups: int,
) -> _Copies | None:
    """The copies for one size of the core's kernels; None if they are more channels than any core
    has."""
    starts = _starts(taps[0], size), _starts(taps[1], size)
    count = len(starts[0]) * len(starts[1])
    channels = count * weight[1] * groups
    if channels > MOST_INPUTS:
        return None
    rows, columns = (_small(axis, size) for axis in axes)
    choice = cheapest((rows, columns), (weight[0], count * weight[1]), groups)
    if choice is None:
        return None
    moved = channels * rows.side * ceil_div(columns.side, MOVED)
    descriptors = count * min(weight[1] * groups, rows.side) * (columns.stride if size == 1 else 1)
    cost = choice.cost + moved + DESCRIPTOR * descriptors
    return _Copies(size=size, starts=starts, axes=(rows, columns), cost=cost)


def _starts(taps: tuple[int, ...], size: int) -> tuple[int, ...]:
    """First taps of as few kernels of `size` as have all taps."""
    found: list[int] = []
    for tap in taps:
        if not found or tap - found[-1] >= size:
            found.append(tap)
    return tuple(found)


def _small(axis: Axis, size: int) -> Axis:
    """The axis of the convolution of the copies, which have every row that it reads and no more:
    of one tap those rows alone."""
    stride = 1 if size == 1 else axis.stride
    side = (axis.out - 1) * stride + size
    return Axis(side=side, out=axis.out, span=size, stride=stride, pad=0)


def _pairs(copies: _Copies) -> list[tuple[int, int]]:
    rows, columns = copies.starts
    return [(row, column) for row in rows for column in columns]


def _copy(
    builder: Builder,
    node: OpNode,
    source: str,
    axes: Sequence[Axis],
    copies: _Copies,
    tap: tuple[int, int],
    channels: Sequence[int],
) -> str:
    """Some channels of the map (all without a list) from a tap on."""
    row, column = tap
    rows, columns = copies.axes
    one = copies.size == 1
    part = Part(
        top=row - axes[0].pad,
        left=column - axes[1].pad,
        height=rows.side,
        width=columns.side,
        steps=(axes[0].stride, axes[1].stride) if one else (1, 1),
    )
    name = f"{node.output}.from.{row}.{column}"
    name += f".{channels[0]}" if channels else ""
    return framed(builder, node, source, part, name, channels=channels).value


def _weight(weight: Array, copies: _Copies, taps: Sequence[tuple[int, ...]]) -> Array:
    """(O, copies * I / groups, size, size): zeros where no tap is."""
    size, (outputs, inputs) = copies.size, weight.shape[:2]
    wide = np.zeros((outputs, copies.count, inputs, size, size), weight.dtype)
    starts = [
        [(max(i for i, s in enumerate(firsts) if s <= tap), tap) for tap in line]
        for firsts, line in zip(copies.starts, taps, strict=True)
    ]
    columns = len(copies.starts[1])
    for y, (a, tap_y) in enumerate(starts[0]):
        for x, (b, tap_x) in enumerate(starts[1]):
            at = tap_y - copies.starts[0][a], tap_x - copies.starts[1][b]
            wide[:, a * columns + b, :, at[0], at[1]] = weight[:, :, y, x]
    return wide.reshape(outputs, copies.count * inputs, size, size)


def _order(order: Sequence[int], groups: int, count: int) -> tuple[int, ...]:
    """The channel of the stack that is input i: of each group its channels of every copy."""
    channels, each = len(order), len(order) // groups
    made = [
        copy * channels + channel
        for group in range(groups)
        for copy in range(count)
        for channel in order[group * each : (group + 1) * each]
    ]
    return tuple(made)
