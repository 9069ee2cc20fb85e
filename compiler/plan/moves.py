"""Steps that move channels and pixels of a map, and convolutions without inputs."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from penstock.compiler.ir import Conv, Frame, Graph, Requantize
from penstock.compiler.numerics import type_range
from penstock.compiler.plan.steps import MoveStep, Place

#: Of a multiplier of 1.
ONE_MULTIPLIER, ONE_SHIFT = 1 << 15, 15


def without_inputs(
    graph: Graph, value: str, name: str, *, residual: str | None = None, fill: int = 0
) -> Conv:
    """A convolution that makes `value` of no input channel: of the residual, or of one number."""
    tensor = graph.values[value]
    channels = tensor.shape[0]
    multiplier, shift = (ONE_MULTIPLIER, ONE_SHIFT) if fill else (0, 1)
    return Conv(
        name=name,
        input=value,
        output=value,
        weight=np.zeros((channels, 0, 1, 1), np.int8),
        bias=np.full(channels, fill, np.int32),
        requantize=Requantize(
            multiplier=np.full(channels, multiplier, np.uint16),
            shift=np.full(channels, shift, np.uint8),
        ),
        stride=1,
        clamp=type_range(tensor.signed),
        residual=residual,
    )


def moves(frame: Frame, shape: tuple[int, int, int], src: Place, dst: Place) -> Iterator[MoveStep]:
    """The steps of a frame of a map of `shape`, one a run of channels that lie evenly."""
    rows, columns = frame.seen(shape[1:])
    if not rows or not columns:
        return
    dst_first = dst.first
    for first, step, count in runs(frame.channels or range(shape[0])):
        yield MoveStep(
            name=frame.name,
            input=frame.input,
            output=frame.output,
            channels=count,
            rows=len(rows),
            columns=len(columns),
            src=src.buffer,
            dst=dst.buffer,
            src_first=src.first + first,
            dst_first=dst_first,
            src_at=(
                frame.top + rows[0] * frame.steps[0],
                frame.left + columns[0] * frame.steps[1],
            ),
            dst_at=(rows[0], columns[0]),
            src_step=step,
            steps=frame.steps,
        )
        dst_first += count


def runs(channels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(first, step, count) of channels that follow each other at one distance, upwards."""
    at = 0
    while at < len(channels):
        step = channels[at + 1] - channels[at] if at + 1 < len(channels) else 1
        if step < 1:
            step = 1
        alike = itertools.takewhile(
            lambda i: channels[i] == channels[at] + (i - at) * step,  # noqa: B023
            range(at, len(channels)),
        )
        count = len(list(alike))
        yield channels[at], step, count
        at += count
