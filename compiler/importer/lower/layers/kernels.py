"""Kernels, strides and borders of any kind as what the core has: square, odd, stride 1 or 2.

Of one axis: a tap j of a kernel with dilation d and t rows of padding above reads row
i * S - t + j * d of the map for row i of the result.  The core's kernel of K rows reads
r * s + k - K // 2, whatever lies off the map counts as zero.  With the kernel o rows down in the
core's, p rows of zeros put above the map and S = q * s, the result is row q * i + a of the core's,
a = (K // 2 - o - t + p) / s.  So every result is a part of what the core makes of the map, or of
the map with a border (`ir.Frame`); that costs the multiplications of zeros and of rows that are
left out.  Of all such choices the one that takes the fewest cycles is made.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.windows import CONV_KERNELS, padding
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.terms import Part
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import CONFIGS

#: Inputs of a dense layer: the channels of the core that has the most.
MOST_INPUTS = max(config.max_channels for config in CONFIGS.values())
#: Multiplications a cycle, and pixels that are moved in one: to weigh choices against each other.
ARRAY, MOVED = 128, 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a convolution in the file."""

    side: int
    out: int
    span: int  # of the kernel, dilation included
    stride: int
    pad: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One axis on the core: the kernel `offset` into the core's, the map of `side` rows with
    `before` rows of a border above, the result's rows `first`, `first` + `step`, ..."""

    offset: int
    before: int
    side: int
    first: int
    step: int
    framed: bool  # whether the map needs a border or an end that it has not
    made: int  # rows that the core makes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A convolution as the core has it: `border` of the map that it reads, None for the map itself;
    `part` of what it makes, None for all.  `inside`: what it keeps is made of the map's own pixels
    alone."""

    weight: Array  # (O, I / groups, K, K)
    stride: int
    border: Part | None
    part: Part | None
    inside: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A kernel of the core for a convolution: its fit on rows and columns, cycles by `cheapest`."""

    cost: float
    size: int
    stride: int
    fits: tuple[Fit, Fit]


def core_kernel(builder: Builder, node: OpNode, weight: Array) -> Placed:
    """A convolution on the core.

    Raises:
        CompileError: a kernel that is larger than the core's largest.
    """
    axes, dilations = conv_axes(builder.net, node, weight.shape)
    groups = int(node.attrs.get("group", 1))
    if cheapest(axes, weight.shape, groups) is None:
        raise _too_large(node, axes)
    return placed(weight, axes, dilations, groups)


def placed(
    weight: Array, axes: tuple[Axis, Axis], dilations: tuple[int, int], groups: int
) -> Placed:
    """A convolution that the core has (`cheapest`)."""
    choice = cheapest(axes, weight.shape, groups)
    assert choice is not None
    rows, columns = choice.fits
    return Placed(
        weight=_moved(weight, choice.size, choice.fits, axes, dilations),
        stride=choice.stride,
        border=_border(rows, columns),
        part=_part(axes, rows, columns),
        inside=all(
            axis.pad <= 0 and (axis.out - 1) * axis.stride - axis.pad + axis.span <= axis.side
            for axis in axes
        ),
    )


def cheapest(axes: Sequence[Axis], weight: Sequence[int], groups: int) -> Choice | None:
    """The kernel that takes the fewest cycles for a weight of that shape; None if there is none."""
    best: Choice | None = None
    outputs, inputs = weight[:2]
    for size in CONV_KERNELS:
        for stride in (1, 2):
            fits = [_best(_fits(axis, size, stride)) for axis in axes]
            if fits[0] is None or fits[1] is None:
                continue
            rows, columns = fits[0], fits[1]
            cost = outputs * inputs * size * size * rows.made * columns.made / ARRAY
            if rows.framed or columns.framed:
                cost += inputs * groups * rows.side * ceil_div(columns.side, MOVED)
            if _cut(rows, axes[0]) or _cut(columns, axes[1]):
                cost += outputs * axes[0].out * ceil_div(axes[1].out, MOVED)
            if best is None or cost < best.cost:
                best = Choice(cost=cost, size=size, stride=stride, fits=(rows, columns))
    return best


def whole_map(builder: Builder, node: OpNode, weight: Array) -> bool:
    """Whether a convolution is one product of every pixel of its map: a dense layer of it.

    One with more inputs than a core has channels is left a convolution where its kernel is one of
    the core's.
    """
    sides = tuple(builder.net.shapes[node.inputs[0]][2:])
    plain = node.attrs.get("group", 1) == 1 and sides != (1, 1)
    if weight[0].size > MOST_INPUTS and max(sides) <= CONV_KERNELS[-1]:
        return False
    whole = weight.shape[2:] == sides and tuple(builder.net.shapes[node.output][2:]) == (1, 1)
    return plain and whole and not any(padding(builder.net, node, sides))


def conv_axes(
    net: Net, node: OpNode, weight: Sequence[int]
) -> tuple[tuple[Axis, Axis], tuple[int, int]]:
    """Both axes of a convolution with a weight of that shape, and their dilations."""
    kernel = weight[2:]
    if list(node.attrs.get("kernel_shape", kernel)) != list(kernel):
        raise node.error(
            f"has kernel_shape {node.attrs['kernel_shape']}, its weight is {_text(kernel)}"
        )
    strides = [int(step) for step in node.attrs.get("strides", [1, 1])]
    dilations = [int(step) for step in node.attrs.get("dilations", [1, 1])]
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = padding(net, node, spans)
    rows, columns = (
        Axis(side=side, out=out, span=span, stride=stride, pad=pad)
        for side, out, span, stride, pad in zip(
            net.shapes[node.inputs[0]][2:],
            net.shapes[node.output][2:],
            spans,
            strides,
            pads[:2],
            strict=True,
        )
    )
    return (rows, columns), (dilations[0], dilations[1])


def _fits(axis: Axis, size: int, stride: int) -> Iterator[Fit]:
    """Every way to have an axis in a kernel of `size` with `stride`."""
    if axis.span > size or axis.stride % stride:
        return
    half, step = size // 2, axis.stride // stride
    for offset in range(size - axis.span + 1):
        before = max(0, offset + axis.pad - half)
        before += (half - offset - axis.pad + before) % stride
        first = (half - offset - axis.pad + before) // stride
        last = stride * (first + step * (axis.out - 1))
        if not before and last < axis.side:
            side, framed = axis.side, False
        else:
            reached = min(axis.side + before, last + size - half)
            side, framed = max(last + 1, reached), True
        made = ceil_div(side, stride)
        yield Fit(
            offset=offset,
            before=before,
            side=side,
            first=first,
            step=step,
            framed=framed,
            made=made,
        )


def _best(fits: Iterator[Fit]) -> Fit | None:
    """The one without a border, else the one that makes the fewest rows."""
    return min(fits, key=lambda fit: (fit.framed, fit.made, fit.first), default=None)


def _cut(fit: Fit, axis: Axis) -> bool:
    return fit.made != axis.out or fit.first > 0 or fit.step > 1


def _border(rows: Fit, columns: Fit) -> Part | None:
    if not (rows.framed or columns.framed):
        return None
    return Part(
        top=-rows.before, left=-columns.before, height=rows.side, width=columns.side, steps=(1, 1)
    )


def _part(axes: Sequence[Axis], rows: Fit, columns: Fit) -> Part | None:
    if not (_cut(rows, axes[0]) or _cut(columns, axes[1])):
        return None
    return Part(
        top=rows.first,
        left=columns.first,
        height=axes[0].out,
        width=axes[1].out,
        steps=(rows.step, columns.step),
    )


def _moved(
    weight: Array,
    size: int,
    fits: tuple[Fit, Fit],
    axes: Sequence[Axis],
    dilations: tuple[int, int],
) -> Array:
    """The kernel with zeros around and between its taps."""
    if weight.shape[2:] == (size, size):  # neither dilated nor moved
        return weight
    wide = np.zeros((*weight.shape[:2], size, size), weight.dtype)
    rows, columns = (
        slice(fit.offset, fit.offset + axis.span, step)
        for fit, axis, step in zip(fits, axes, dilations, strict=True)
    )
    wide[:, :, rows, columns] = weight
    return wide


def _too_large(node: OpNode, axes: Sequence[Axis]) -> Exception:
    largest = CONV_KERNELS[-1]
    return node.error(
        f"has a kernel of {_text([axis.span for axis in axes])} pixels, dilation included",
        f"kernels are {largest}x{largest} at most, with dilation, or their channels for each of "
        f"the parts of that size are {MOST_INPUTS} at most",
    )


def _text(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
