"""The POOLs of a step that moves pixels: as few as its addresses allow."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

from penstock.compiler.plan.allocate import plane_size
from penstock.compiler.plan.steps import Buffer, MoveStep
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import HwConfig


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One POOL of 1x1 windows; `src` and `dst` are bytes from the steps' first channels on."""

    count: int  # of what it has for channels
    height: int
    width: int
    src: int
    dst: int
    src_stride: int
    dst_stride: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """`count` places, `src` and `dst` bytes apart."""

    count: int
    src: int
    dst: int


_ONE = _Axis(count=1, src=0, dst=0)
#: Columns that a POOL's windows may lie apart.
MAX_STEP = 2


def windows(
    step: MoveStep, buffers: Mapping[str, Buffer], config: HwConfig, room: int
) -> Iterator[Moved]:
    """Whole maps where the rows of both follow each other, or every second pixel of both axes is
    taken; else a row at a time, or a pixel where columns lie further apart than 2.  A descriptor
    takes the longest axis: rows, columns or channels, or rows and channels where they lie evenly
    together.

    `room`: bytes from the steps' first channel to the end of feature memory.  A POOL of every
    second pixel has whole rows, so that its last one may end behind the map."""
    src, dst = buffers[step.src], buffers[step.dst]
    pitches = src.shape[-1], dst.shape[-1]
    planes = [plane_size(buffer, config)[0] for buffer in (src, dst)]
    base = [
        row * pitch + column
        for (row, column), pitch in zip((step.src_at, step.dst_at), pitches, strict=True)
    ]
    channels = _Axis(count=step.channels, src=planes[0] * step.src_step, dst=planes[1])
    rows = _Axis(count=step.rows, src=pitches[0] * step.steps[0], dst=pitches[1])
    columns = _Axis(count=step.columns, src=step.steps[1], dst=1)
    height, width = 1, 1
    if step.steps[1] <= MAX_STEP:
        width, columns = (step.columns - 1) * step.steps[1] + 1, _ONE
    if pitches == (width, width) and step.steps == (1, 1):
        height, rows = step.rows, _ONE
    elif _halved(step, pitches):
        tall = 2 * step.rows - 1
        if base[0] + (step.channels - 1) * channels.src + tall * pitches[0] <= room:
            height, width, rows = tall, pitches[0], _ONE
    if rows.count * rows.src == channels.src and rows.count * rows.dst == channels.dst:
        rows, channels = dataclasses.replace(rows, count=rows.count * channels.count), _ONE
    inner, *others = sorted((channels, rows, columns), key=lambda axis: -axis.count)
    for indices in itertools.product(*(range(axis.count) for axis in others)):
        places = [
            start + sum(i * getattr(axis, end) for i, axis in zip(indices, others, strict=True))
            for start, end in zip(base, ("src", "dst"), strict=True)
        ]
        for first in range(0, inner.count, config.max_channels):
            yield Moved(
                count=min(inner.count - first, config.max_channels),
                height=height,
                width=width,
                src=places[0] + first * inner.src,
                dst=places[1] + first * inner.dst,
                src_stride=inner.src,
                dst_stride=inner.dst,
            )


def _halved(step: MoveStep, pitches: tuple[int, int]) -> bool:
    """Whether a step takes every second pixel, as many as whole rows have, into rows that follow
    each other."""
    return step.steps == (2, 2) and step.columns == pitches[1] == ceil_div(pitches[0], 2)
