"""What the core refuses (rtl/ps_check.sv has the same rules): each descriptor is checked before its
predicate is looked at; a wrong field is reported before an access out of bounds.

The golden engine stops where these rules say so, and the compiler writes nothing that breaks one.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import (
    ALL_CHANNELS,
    BEAT_BYTES,
    EXIT_TABLE_BYTES,
    GATE_WORD_BYTES,
    MAX_LENGTH,
    MAX_SHIFT,
    MIN_SHIFT,
    TABLE_BYTES,
    HwConfig,
    gate_row_bytes,
)
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import (
    DEPTHWISE,
    GLOAD_TABLE,
    ODD_ROWS,
    SIGMOID,
    STOPS,
    Descriptor,
    Op,
)
from penstock.program.core.registers import ErrorCode

MAX_KERNEL = 7
MAX_SIDE = 1023
MAX_W_STRIDE = 1 << 20

#: (whether it is illegal, what is wrong)
Rule = tuple[bool, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The core and the DDR buffers of one run."""

    config: HwConfig
    n_descriptors: int
    input_stride: int
    output_stride: int
    weight_bytes: int


def out_size(d: Descriptor) -> tuple[int, int]:
    """(rows, columns) of the map a CONV or POOL writes, or of one polyphase plane of a COPY."""
    if d.op == Op.POOL:
        lost, step = d.kernel - 2 * d.pad, 2 if d.stride2 else 1
        return (d.height - lost) // step + 1, (d.width - lost) // step + 1
    if d.op == Op.COPY or d.polyphase:
        return (d.height + 1) // 2, (d.width + 1) // 2
    return d.height, d.width


def violation(d: Descriptor, limits: Limits, index: int = 0) -> tuple[ErrorCode, str] | None:
    """The first rule that the descriptor, number `index` of the program, breaks; None: it is
    legal there."""
    if d.op not in set(Op):
        return ErrorCode.OPCODE, f"operation {d.op}"
    for code, rules in ((ErrorCode.FIELD, _fields), (ErrorCode.BOUNDS, _bounds)):
        for illegal, reason in rules(d, limits, index):
            if illegal:
                return code, reason
    return None


def without_table(descriptors: Sequence[Descriptor]) -> int | None:
    """The first CONV of a program that asks for a table although no GLOAD of one stands before it:
    its number, None if there is none.  Jumps within an image go forwards, so nothing loads it."""
    for index, d in enumerate(descriptors):
        if d.loads_table:
            return None
        if d.has_table:
            return index
    return None


def _unaligned(d: Descriptor, *names: str) -> Iterator[Rule]:
    for name in names:
        yield d.values[name] % BEAT_BYTES != 0, f"{name} is not a multiple of {BEAT_BYTES}"


def _bad_length(d: Descriptor) -> Rule:
    return not 0 < d.length <= MAX_LENGTH, f"length {d.length}"


def _bad_map(d: Descriptor) -> Rule:
    sides = (d.height, d.width)
    return not all(1 <= side <= MAX_SIDE for side in sides), f"map of {d.height} x {d.width}"


def _bad_clamp(d: Descriptor) -> Rule:
    return d.clamp_lo > d.clamp_hi, f"clamp {d.clamp_lo} .. {d.clamp_hi}"


def _bad_phase(d: Descriptor, config: HwConfig) -> Rule:
    rows, columns = out_size(d)
    banks = config.fmem_banks
    fits = rows * columns <= d.phase_stride < config.fmem_bytes
    return not fits or d.phase_stride % banks != banks // 2, f"phase_stride {d.phase_stride}"


def _bad_list(d: Descriptor, name: str, config: HwConfig) -> Rule:
    selector = d.values[name]
    return selector != ALL_CHANNELS and selector >= config.n_lists, f"{name} {selector}"


def _fields(d: Descriptor, limits: Limits, index: int) -> Iterator[Rule]:
    config = limits.config
    match Op(d.op):
        case Op.LOAD:
            yield _bad_length(d)
            yield from _unaligned(d, "ddr")
        case Op.GLOAD:
            yield _bad_length(d)
            yield from _unaligned(d, "dst", "w_addr", "length")
            yield d.variant > GLOAD_TABLE, f"variant {d.variant}"
            yield d.loads_table and d.length != TABLE_BYTES, f"table of {d.length} bytes"
        case Op.STORE:
            yield _bad_length(d)
            yield from _unaligned(d, "ddr", *(["src"] if d.from_scores else []))
        case Op.CONV:
            yield from _conv_fields(d, config)
            yield _bad_clamp(d)
        case Op.GATE | Op.DENSE:
            channels = config.max_channels
            yield not 0 < d.cin <= channels, f"cin {d.cin}"
            yield not 0 < d.cout <= 2 * channels - 1, f"cout {d.cout}"
            last = d.cout - d.list_from + (d.src if d.op == Op.GATE else 0)
            yield d.list_from > d.cout or last > channels, f"list_from {d.list_from}"
            yield _bad_list(d, "out_list", config)
            yield d.w_addr % GATE_WORD_BYTES != 0, f"w_addr {d.w_addr}"
            yield d.variant > (SIGMOID if d.op == Op.GATE else STOPS), f"variant {d.variant}"
            yield d.variant == STOPS and d.list_from == 0, "nothing decides whether it stops"
            yield d.variant == SIGMOID and bool(d.gate_kind), "a binary sigmoid"
            yield d.op == Op.DENSE and _bad_clamp(d)[0], "clamp"
        case Op.COPY:
            yield not 0 < d.cout <= config.max_channels, f"cout {d.cout}"
            yield _bad_map(d)
            yield _bad_phase(d, config)
            odd = d.variant == ODD_ROWS
            yield d.variant > ODD_ROWS or (odd and d.height == 1), f"variant {d.variant}"
        case Op.POOL:
            yield not 0 < d.cout <= config.max_channels, f"cout {d.cout}"
            yield _bad_map(d)
            yield _bad_clamp(d)
            yield not 0 < d.kernel <= MAX_KERNEL, f"kernel {d.kernel}"
            yield 2 * d.pad >= d.kernel, f"pad {d.pad}"
            yield d.kernel > min(d.height, d.width) + 2 * d.pad, "the kernel exceeds the map"
            shift = d.w_addr >> 16
            yield bool(d.average) and not MIN_SHIFT <= shift <= MAX_SHIFT, f"shift {shift}"
            yield bool(d.average) and d.kernel == 1, "an average of one pixel"
        case Op.HALT:
            yield d.length >= limits.n_descriptors, f"loop to {d.length}"
        case Op.EXIT_IF:
            yield not 0 < d.cin <= config.max_channels, f"cin {d.cin}"
            yield d.w_addr % GATE_WORD_BYTES != 0, f"w_addr {d.w_addr}"
            yield not index < d.length < limits.n_descriptors, f"exit from {index} to {d.length}"


def _conv_fields(d: Descriptor, config: HwConfig) -> Iterator[Rule]:
    yield d.kernel % 2 == 0 or d.kernel > MAX_KERNEL, f"kernel {d.kernel}"
    yield d.variant > DEPTHWISE, f"variant {d.variant}"
    yield d.length not in (0, TABLE_BYTES), f"table of {d.length} bytes"
    yield d.cin > config.max_channels, f"cin {d.cin}"
    yield not 0 < d.cout <= config.max_channels, f"cout {d.cout}"
    yield d.depthwise and d.cin != d.cout, f"depthwise from {d.cin} to {d.cout} channels"
    yield d.depthwise and d.in_list != ALL_CHANNELS, "depthwise with an input list"
    yield _bad_map(d)
    yield _bad_list(d, "in_list", config)
    yield _bad_list(d, "out_list", config)
    yield not d.w_rows and d.out_list != ALL_CHANNELS, "an output list needs the row layout"
    yield from _unaligned(d, "w_addr", "w_stride")
    yield d.w_stride >= MAX_W_STRIDE, f"w_stride {d.w_stride}"
    taps = config.row_taps(d.kernel, bool(d.w_rows))
    yield d.row_inputs * taps > config.wbuf_bytes, "a row's weights exceed the weight buffer"
    if d.w_rows:
        yield d.w_stride != _row_bytes(d, config), f"w_stride {d.w_stride}"
    if d.polyphase:
        yield _bad_phase(d, config)


def _row_bytes(d: Descriptor, config: HwConfig) -> int:
    return 8 + round_up(d.row_inputs * config.row_taps(d.kernel, w_rows=True), BEAT_BYTES)


def _bounds(d: Descriptor, limits: Limits, index: int) -> Iterator[Rule]:
    config = limits.config
    fmem, scores = config.fmem_bytes, config.score_depth
    yield bool(d.pred_en) and d.pred_slot >= scores, "pred_slot"
    match Op(d.op):
        case Op.LOAD:
            yield d.ddr + round_up(d.length, BEAT_BYTES) > limits.input_stride, "input image"
            yield d.dst + d.length > fmem, "destination"
        case Op.GLOAD:
            yield d.w_addr + d.length > limits.weight_bytes, "weights"
            yield d.dst + d.length > config.gate_mem_bytes, "destination"
        case Op.STORE:
            yield d.ddr + round_up(d.length, BEAT_BYTES) > limits.output_stride, "output record"
            yield d.src + d.length > (scores if d.from_scores else fmem), "source"
        case Op.CONV:
            yield from _conv_bounds(d, limits)
        case Op.GATE | Op.DENSE:
            yield d.pool_base + d.cin > config.pool_depth, "pooled sums"
            size = GATE_WORD_BYTES + d.cout * gate_row_bytes(d.cin)
            yield d.w_addr + size > config.gate_mem_bytes, "gate weights"
            yield d.dst + d.cout > (scores if d.op == Op.GATE else fmem), "destination"
        case Op.COPY:
            yield max(d.src_stride, d.dst_stride) >= fmem, "stride"
            yield d.src + (d.cout - 1) * d.src_stride + d.height * d.width > fmem, "source"
            rows, columns = out_size(d)
            size = 3 * d.phase_stride + rows * columns
            yield d.dst + (d.cout - 1) * d.dst_stride + size > fmem, "destination"
        case Op.POOL:
            yield max(d.src_stride, d.dst_stride) >= fmem, "stride"
            yield d.src + (d.cout - 1) * d.src_stride + d.height * d.width > fmem, "source"
            rows, columns = out_size(d)
            yield d.dst + (d.cout - 1) * d.dst_stride + rows * columns > fmem, "destination"
        case Op.HALT:
            yield limits.output_stride < COUNTER_BYTES, "output record"
        case Op.EXIT_IF:
            yield d.src_stride >= fmem, "stride"
            yield d.src + (d.cin - 1) * d.src_stride + 1 > fmem, "source"
            yield d.w_addr + EXIT_TABLE_BYTES > config.gate_mem_bytes, "table"


def _conv_bounds(d: Descriptor, limits: Limits) -> Iterator[Rule]:
    config = limits.config
    rows, columns = out_size(d)
    yield max(d.src_stride, d.dst_stride) >= config.fmem_bytes, "stride"
    folded = d.cout if d.fold_channel else 1
    yield bool(d.fold_en) and d.fold_slot + folded > config.score_depth, "fold_slot"
    yield bool(d.pool_en) and d.pool_base + d.cout > config.pool_depth, "pooled sums"
    plane = 3 * d.phase_stride + rows * columns if d.polyphase else d.height * d.width
    source = d.src + (d.cin - 1) * d.src_stride + plane
    yield d.cin > 0 and source > config.fmem_bytes, "source"
    target = d.dst + (d.cout - 1) * d.dst_stride + rows * columns
    yield target > config.fmem_bytes, "destination"
    if d.w_rows:
        end = (d.cout - 1) * d.w_stride + _row_bytes(d, config)
    else:
        groups = ceil_div(d.cout, config.p_oc)
        chunks = d.row_inputs * config.chunk_bytes(d.kernel)
        end = (groups - 1) * d.w_stride + 8 * config.p_oc + chunks
    yield d.w_addr + end > limits.weight_bytes, "weights"
