"""LOAD, STORE, COPY and POOL: what moves bytes, windows of maps too."""

import math

from penstock.compiler.emit.move_windows import windows
from penstock.compiler.emit.writer import Writer
from penstock.compiler.passes.concat import is_map_copy
from penstock.compiler.plan.allocate import plane_size
from penstock.compiler.plan.limits import check_interleave, check_move, check_pool
from penstock.compiler.plan.steps import (
    CopyStep,
    InterleaveStep,
    LoadStep,
    MoveStep,
    PoolStep,
    StoreStep,
)
from penstock.compiler.plan.weights import round_up
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import INTERLEAVE, Descriptor, Op


def emit_load(out: Writer, step: LoadStep) -> None:
    """A LOAD of an image of the run."""
    dst = out.address(step.dst, step.dst_first)
    length = math.prod(step.value.shape)
    ddr = step.image * round_up(length, BEAT_BYTES)
    out.emit(
        Descriptor.make(Op.LOAD, dst=dst, ddr=ddr, length=length),
        step.name,
        output=step.value.name,
    )


def emit_store(out: Writer, step: StoreStep) -> None:
    """A STORE of scores, or of a result, into the record."""
    result = COUNTER_BYTES + round_up(out.plan.n_scores, BEAT_BYTES)
    result += step.at + step.image * round_up(step.bytes, BEAT_BYTES)
    descriptor = Descriptor.make(
        Op.STORE,
        from_scores=step.src is None,
        src=0 if step.src is None else out.address(step.src, step.src_first),
        ddr=COUNTER_BYTES if step.src is None else result,
        length=step.bytes,
    )
    out.emit(descriptor, step.name)


def emit_copy(out: Writer, step: CopyStep) -> None:
    """A COPY; several where a Concat has more channels than one may have."""
    channels, height, width = step.value.shape
    dst_stride, phase_stride = plane_size(out.plan.buffers[step.dst], out.config)
    predicate = step.predicate
    for first in range(0, channels, out.config.max_channels):
        descriptor = Descriptor.make(
            Op.COPY,
            pred_en=predicate is not None,
            pred_slot=0 if predicate is None else out.plan.scores[predicate],
            variant=step.rows,
            cout=min(channels - first, out.config.max_channels),
            height=height,
            width=width,
            src=out.address(step.src, step.src_first + first, step.src_row),
            dst=out.address(step.dst, step.dst_first + first),
            src_stride=out.stride(step.src),
            dst_stride=dst_stride,
            phase_stride=phase_stride,
        )
        out.emit(descriptor, step.name, input=step.value.name, output=step.name)


def emit_interleave(out: Writer, step: InterleaveStep) -> None:
    """A COPY of planes to a map; several where there are more channels than one may have."""
    check_interleave(step, out.config)
    item, stride = step.interleave, out.stride(step.src)
    for first in range(0, item.channels, out.config.max_channels):
        descriptor = Descriptor.make(
            Op.COPY,
            variant=INTERLEAVE,
            cout=min(item.channels - first, out.config.max_channels),
            height=item.height,
            width=item.width,
            src=out.address(step.src, step.src_first + first * item.channel, step.src_row),
            dst=out.address(step.dst, step.dst_first + first, step.dst_row),
            src_stride=item.channel * stride,
            dst_stride=out.stride(step.dst),
            phase_stride=item.phase * stride,
        )
        out.emit(descriptor, step.name, input=item.input, output=item.output)


def emit_pool(out: Writer, step: PoolStep) -> None:
    """A POOL of every channel: maxima or averages of windows."""
    pool, source = step.pool, out.plan.graph.values[step.pool.input]
    check_pool(step, source, out.config)
    channels, height, width = source.shape
    factor = 0
    if pool.average is not None:
        factor = int(pool.average.multiplier[0]) | int(pool.average.shift[0]) << 16
    descriptor = Descriptor.make(
        Op.POOL,
        src_signed=source.signed,
        average=pool.average is not None,
        stride2=pool.stride == 2,
        kernel=pool.kernel,
        pad=pool.pad,
        cout=channels,
        height=height,
        width=width,
        src=out.address(step.src, step.src_first, step.src_row),
        dst=out.address(step.dst, step.dst_first, step.dst_row),
        src_stride=out.stride(step.src),
        dst_stride=out.stride(step.dst),
        clamp_lo=pool.clamp[0],
        clamp_hi=pool.clamp[1],
        w_addr=factor,
    )
    info = {"kind": "copy", "macs_per_pair": 0} if is_map_copy(pool) else {}
    out.emit(descriptor, step.name, input=pool.input, output=pool.output, **info)


def emit_move(out: Writer, step: MoveStep) -> None:
    """POOLs of 1x1 windows: what a descriptor has for channels is channels, or rows."""
    check_move(step, out.config)
    source = out.address(step.src, step.src_first, step.src_row)
    room = out.config.fmem_bytes - source
    for window in windows(step, out.plan.buffers, out.config, room):
        descriptor = Descriptor.make(
            Op.POOL,
            kernel=1,
            stride2=step.steps[1] == 2,
            cout=window.count,
            height=window.height,
            width=window.width,
            src=source + window.src,
            dst=out.address(step.dst, step.dst_first, step.dst_row) + window.dst,
            src_stride=window.src_stride,
            dst_stride=window.dst_stride,
            src_signed=out.plan.graph.values[step.input].signed,
        )
        names = {"input": step.input, "output": step.output}
        out.emit(descriptor, step.name, **names, kind="copy", macs_per_pair=0)
