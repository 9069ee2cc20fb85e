"""What the core refuses: each descriptor is checked before its predicate is looked at."""

from penstock.program.config import ALL_CHANNELS, BEAT_BYTES, HwConfig
from penstock.program.descriptor import Descriptor, Op
from penstock.program.registers import ErrorCode
from penstock.sim.golden.state import GoldenError

KERNELS = (1, 3, 5, 7)


def _field(ok: bool, reason: str) -> None:
    if not ok:
        raise GoldenError(ErrorCode.FIELD, reason=reason)


def _bounds(end: int, limit: int, reason: str) -> None:
    if end > limit:
        raise GoldenError(ErrorCode.BOUNDS, reason=f"{reason} ends at {end} of {limit}")


def _beats(d: Descriptor, *names: str) -> None:
    for name in names:
        _field(d.values[name] % BEAT_BYTES == 0, f"{name} is not a multiple of {BEAT_BYTES}")


def out_size(d: Descriptor) -> tuple[int, int]:
    """(Ho, Wo) of a CONV or COPY-like map."""
    if d.op == Op.COPY or d.polyphase:
        return -(-d.height // 2), -(-d.width // 2)
    return d.height, d.width


def row_taps(d: Descriptor, config: HwConfig) -> int:
    """T: taps of one input channel in the weight buffer."""
    taps = d.kernel * d.kernel
    return taps if d.w_rows else -(-taps // config.taps_per_beat) * config.taps_per_beat


def _phases(d: Descriptor, config: HwConfig) -> int:
    """Checks phase_stride; bytes of one channel in polyphase layout."""
    rows, columns = out_size(d)
    _field(d.phase_stride >= rows * columns, "phase_stride is less than a plane")
    banks = config.fmem_banks
    _field(d.phase_stride % banks == banks // 2, f"phase_stride % {banks} != {banks // 2}")
    return 3 * d.phase_stride + rows * columns


def _map_shape(d: Descriptor) -> None:
    _field(d.height > 0 and d.width > 0, "empty map")


def check(d: Descriptor, config: HwConfig, input_bytes: int, output_bytes: int, blob: int) -> None:
    """GoldenError if the descriptor is illegal for this core and these DDR buffers."""
    if d.op not in set(Op):
        raise GoldenError(ErrorCode.OPCODE, reason=f"operation {d.op}")
    if d.pred_en:
        _bounds(d.pred_slot + 1, config.score_depth, "pred_slot")
    match Op(d.op):
        case Op.LOAD:
            _beats(d, "ddr")
            _bounds(d.ddr + d.length, input_bytes, "input")
            _bounds(d.dst + d.length, config.fmem_bytes, "destination")
        case Op.GLOAD:
            _beats(d, "dst", "w_addr", "length")
            _bounds(d.w_addr + d.length, blob, "weights")
            _bounds(d.dst + d.length, config.gate_mem_bytes, "destination")
        case Op.STORE:
            _store(d, config, output_bytes)
        case Op.CONV:
            _conv(d, config, blob)
        case Op.GATE | Op.DENSE:
            _dense(d, config)
        case Op.COPY:
            _field(0 < d.cout <= config.max_channels, "cout")
            _map_shape(d)
            last = d.cout - 1
            _bounds(d.src + last * d.src_stride + d.height * d.width, config.fmem_bytes, "source")
            size = _phases(d, config)
            _bounds(d.dst + last * d.dst_stride + size, config.fmem_bytes, "destination")
        case Op.HALT:
            pass


def _store(d: Descriptor, config: HwConfig, output_bytes: int) -> None:
    _beats(d, "ddr", *(["src"] if d.from_scores else []))
    padded = -(-d.length // BEAT_BYTES) * BEAT_BYTES
    _bounds(d.ddr + padded, output_bytes, "output")
    limit = config.score_depth if d.from_scores else config.fmem_bytes
    _bounds(d.src + d.length, limit, "source")


def _list(value: int, config: HwConfig, name: str) -> None:
    _field(value == ALL_CHANNELS or value < config.n_lists, f"{name} {value}")


def _conv(d: Descriptor, config: HwConfig, blob: int) -> None:
    _field(d.kernel in KERNELS, f"kernel {d.kernel}")
    _field(d.cin <= config.max_channels, "cin")
    _field(0 < d.cout <= config.max_channels, "cout")
    _map_shape(d)
    _list(d.in_list, config, "in_list")
    _list(d.out_list, config, "out_list")
    _field(d.w_rows or d.out_list == ALL_CHANNELS, "interleaved weights with an output list")
    _beats(d, "w_addr", "w_stride", "w_chunk")
    taps = row_taps(d, config)
    _field(d.cin * taps <= config.wbuf_bytes, "weights of a row exceed the weight buffer")
    rows, columns = out_size(d)
    if d.fold_en:
        _bounds(d.fold_slot + (d.cout if d.fold_channel else 1), config.score_depth, "fold_slot")
    if d.pool_en:
        _bounds(d.pool_base + d.cout, config.pool_depth, "pool_base")
    plane = _phases(d, config) if d.polyphase else d.height * d.width
    if d.cin:
        _bounds(d.src + (d.cin - 1) * d.src_stride + plane, config.fmem_bytes, "source")
    end = d.dst + (d.cout - 1) * d.dst_stride + rows * columns
    _bounds(end, config.fmem_bytes, "destination")
    if d.w_rows:
        row = 8 + -(-d.cin * taps // BEAT_BYTES) * BEAT_BYTES
        _bounds(d.w_addr + (d.cout - 1) * d.w_stride + row, blob, "weights")
    else:
        _field(d.w_chunk == taps * config.p_oc, f"w_chunk is not {taps * config.p_oc}")
        groups = -(-d.cout // config.p_oc)
        group = 8 * config.p_oc + d.cin * d.w_chunk
        _bounds(d.w_addr + (groups - 1) * d.w_stride + group, blob, "weights")


def _dense(d: Descriptor, config: HwConfig) -> None:
    _field(0 < d.cin <= config.max_channels, "cin")
    _field(0 < d.cout <= config.max_channels, "cout")
    _beats(d, "w_addr")
    _list(d.out_list, config, "out_list")
    _bounds(d.pool_base + d.cin, config.pool_depth, "pool_base")
    row = 8 + -(-d.cin // BEAT_BYTES) * BEAT_BYTES
    _bounds(d.w_addr + 8 + d.cout * row, config.gate_mem_bytes, "gate weights")
    limit = config.score_depth if d.op == Op.GATE else config.fmem_bytes
    _bounds(d.dst + d.cout, limit, "destination")
