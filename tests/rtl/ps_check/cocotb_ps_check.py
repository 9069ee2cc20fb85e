"""ps_check: the error code of the golden checks, for legal, nearly legal and random descriptors."""

import random
from collections import Counter
from typing import Any

import cocotb
from cocotb.clock import Clock

from penstock.program.core.config import ALL_CHANNELS, TABLE_BYTES, HwConfig
from penstock.program.core.descriptor import (
    DENSE_WIDE,
    DEPTHWISE,
    DESCRIPTOR_BYTES,
    EXIT_WIDE,
    FIELD_BY_NAME,
    FIELDS,
    GLOAD_TABLE,
    INTERLEAVE,
    Descriptor,
    Op,
)
from penstock.program.core.registers import ErrorCode
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng
from penstock.sim.cocotb.stream import cycles
from penstock.sim.golden.checks import Limits, check, out_size
from penstock.sim.golden.state import GoldenError

DESCRIPTORS = 6000
#: Of operations of numbers of 8 or 16 bits.
VARIANTS = {Op.DENSE: [0, DENSE_WIDE], Op.EXIT_IF: [0, EXIT_WIDE]}
BEATS = DESCRIPTOR_BYTES // 8
LATENCY = 3  # two registers behind the last beat, read after the edge


def golden(d: Descriptor, limits: Limits, index: int = 0) -> int:
    """The code of the golden checks."""
    try:
        check(d, limits, index)
    except GoldenError as error:
        return int(error.code)
    return int(ErrorCode.NONE)


def _plausible(rng: random.Random, op: Op, config: HwConfig, limits: Limits) -> dict[str, int]:
    """Fields of a descriptor that is often legal: small sizes, aligned addresses."""
    banks = config.fmem_banks
    height, width = rng.randint(1, 12), rng.randint(1, 12)
    kernel = rng.choice([1, 3, 5])
    cin, cout = rng.randint(1, 6), rng.randint(1, 6)
    depthwise = op == Op.CONV and rng.random() < 0.3
    cout = cin if depthwise else cout
    row_inputs = 1 if depthwise else cin
    plane = ((height + 1) // 2) * ((width + 1) // 2)
    w_rows = rng.randrange(2)
    stride = 8 + -(-row_inputs * kernel * kernel // 8) * 8
    if not w_rows:
        stride = 8 * config.p_oc + row_inputs * config.chunk_bytes(kernel)
    values = {
        "height": height,
        "width": width,
        "kernel": {Op.CONV: kernel, Op.POOL: rng.randint(1, 7)}.get(op, 0),
        "cin": cin,
        "cout": cout,
        "src": 8 * rng.randrange(40),
        "dst": 16 * rng.randrange(30),
        "src_stride": 4 * plane + 5 * banks,
        "dst_stride": 4 * plane + 5 * banks,
        "phase_stride": -(-plane // banks) * banks + banks // 2,
        "w_addr": 16 * rng.randrange(30),
        "w_stride": stride,
        "w_rows": w_rows,
        "length": 8 * rng.randint(1, 40),
        "ddr": 8 * rng.randrange(20),
        "in_list": ALL_CHANNELS if depthwise else rng.choice([ALL_CHANNELS, 0, config.n_lists - 1]),
        "variant": DEPTHWISE if depthwise else rng.choice(VARIANTS.get(op, [0])),
        "out_list": rng.choice([ALL_CHANNELS, 0, 1]) if w_rows else ALL_CHANNELS,
        "list_from": rng.randint(0, cout),
        "pred_slot": rng.randrange(config.score_depth),
        "fold_slot": rng.randrange(config.score_depth // 2),
        "pool_base": rng.randrange(config.pool_depth // 2),
    }
    for flag in ("pred_en", "pred_empty", "res_en", "pool_en", "fold_en", "fold_channel"):
        values[flag] = rng.randrange(2)
    values["polyphase"] = rng.randrange(2)
    values["from_scores"] = rng.randrange(2)
    if op == Op.CONV:
        values["length"] = rng.choice([0, 0, TABLE_BYTES])
    if op == Op.GLOAD and rng.random() < 0.4:
        values |= {"variant": GLOAD_TABLE, "length": TABLE_BYTES}
    if op == Op.GATE:
        values["src"] = rng.choice([0, 0, 8, config.max_channels - cout + values["list_from"]])
    if op == Op.POOL:
        values |= {"average": rng.randrange(2), "stride2": rng.randrange(2)}
        values["pad"] = rng.randrange((values["kernel"] + 1) // 2)
        values["w_addr"] = rng.getrandbits(16) | rng.randint(0, 50) << 16
    if op == Op.COPY:
        values["variant"] = rng.choice([0, 0, 1, 2, INTERLEAVE, INTERLEAVE])
        if values["variant"] == INTERLEAVE:
            far = config.fmem_bytes - rng.randrange(2)  # the largest one, or one too many
            values["phase_stride"] = rng.choice([0, plane, plane, values["phase_stride"], far])
    if op == Op.EXIT_IF:
        values["length"] = rng.randint(1, max(limits.n_descriptors - 1, 1))
    if op == Op.HALT:
        values["length"] = rng.randrange(limits.n_descriptors * 9 // 8 + 1)
    return values


def _edges(config: HwConfig, limits: Limits) -> list[int]:
    """Values next to some limit of the core."""
    sizes = [
        0,
        8,
        16,
        1023,
        1 << 20,
        524280,
        TABLE_BYTES,
        0xFFFF_FFFF,
        config.max_channels,
        2 * config.max_channels - 1,
        config.fmem_bytes,
        config.gate_mem_bytes,
        config.score_depth,
        config.pool_depth,
        config.wbuf_bytes,
        config.n_lists,
        limits.n_descriptors,
        limits.input_stride,
        limits.output_stride,
        limits.weight_bytes,
    ]
    return [value + delta for value in sizes for delta in (-8, -1, 0, 1, 8)]


def _mutate(rng: random.Random, values: dict[str, int], edges: list[int]) -> None:
    """Change one field: by one, to an edge, or to anything."""
    name = rng.choice([field.name for field in FIELDS if field.name != "op"])
    field = FIELD_BY_NAME[name]
    choice = rng.random()
    if choice < 0.4:
        value = values.get(name, 0) + rng.choice([-8, -1, 1, 8])
    elif choice < 0.85:
        value = rng.choice(edges)
    else:
        value = rng.getrandbits(field.width)
    value &= (1 << field.width) - 1
    if field.signed and value >> (field.width - 1):
        value -= 1 << field.width
    values[name] = value


def _at_the_bound(rng: random.Random, values: dict[str, int], limits: Limits) -> None:
    """Move a range so that it ends at its limit or a unit past it, whatever its size."""
    name = rng.choice(["src", "dst", "w_addr", "ddr", "pool_base", "fold_slot"])
    d = Descriptor.make(Op(values.pop("op")), **values)
    top = 1 << FIELD_BY_NAME[name].width
    low, high = 0, top
    step = rng.choice([1, 8, 16])
    # The last value (in steps) that is not out of bounds, by bisection on the golden checks.
    while high - low > step:
        middle = (low + high) // 2 // step * step
        if middle == low:
            break
        if golden(Descriptor(values=d.values | {name: middle}), limits) == ErrorCode.BOUNDS:
            high = middle
        else:
            low = middle
    values |= {"op": d.op, name: max(low + step * rng.choice([-1, 0, 1, 2]), 0) % top}


async def _present(dut: Any, rng: random.Random, d: Descriptor) -> None:
    """Beat by beat, with gaps, over the descriptor before; as ps_desc_fetch does."""
    coming = int.from_bytes(d.encode(), "little")
    seen = int(dut.desc_i.value)
    dut.beats_i.value = 0
    await cycles(dut.clk_i, rng.choice([0, 0, 1, 3]))
    for beat in range(BEATS):
        mask = (1 << 64) - 1 << 64 * beat
        seen = seen & ~mask | coming & mask
        dut.desc_i.value = seen
        dut.beats_i.value = beat + 1
        if beat < BEATS - 1:
            await cycles(dut.clk_i, rng.choice([1, 1, 1, 1, 1, 1, 2, 5]))
    await cycles(dut.clk_i, LATENCY)


@cocotb.test(**TIMEOUT)
async def same_code_as_golden(dut: Any) -> None:
    """error_o == the golden code; every operation is seen legal and with each kind of error."""
    rng, config = bench_rng(), bench_config()
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    seen: Counter[tuple[int, int]] = Counter()
    depthwise: Counter[int] = Counter()
    back: Counter[int] = Counter()
    tables: Counter[tuple[int, int]] = Counter()  # loaded, used
    dut.desc_i.value = 0
    dut.beats_i.value = 0
    for index in range(DESCRIPTORS):
        limits = Limits(
            config=config,
            n_descriptors=rng.choice([1, 10, 1000]),
            input_stride=rng.choice([0, 64, 480, 4096]),
            output_stride=rng.choice([0, 56, 64, 480, 4096]),
            weight_bytes=rng.choice([0, 1 << 12, 1 << 14]),
        )
        op = rng.choice(list(Op))
        values = {"op": int(op), **_plausible(rng, op, config, limits)}
        if index % 3 == 0:
            _at_the_bound(rng, values, limits)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            _mutate(rng, values, _edges(config, limits))
        values["op"] = values["op"] if rng.random() < 0.98 else rng.choice([0, max(Op) + 1, 255])
        d = Descriptor(values=dict.fromkeys(FIELD_BY_NAME, 0) | values)
        dut.input_stride_i.value = limits.input_stride
        dut.output_stride_i.value = limits.output_stride
        dut.weight_bytes_i.value = limits.weight_bytes
        dut.n_descriptors_i.value = limits.n_descriptors
        where = rng.choice([0, 0, 0, max(d.length - rng.randrange(3), 0)])
        dut.index_i.value = where
        await _present(dut, rng, d)
        code = golden(d, limits, where)
        assert int(dut.error_o.value) == code, f"{ErrorCode(code).name} {limits} {d}"
        seen[d.op, code] += 1
        depthwise[code] += d.depthwise
        back[code] += d.interleaves
        tables[d.op, code] += d.loads_table or d.has_table
        if code == ErrorCode.NONE and d.op in (Op.CONV, Op.COPY, Op.POOL):
            rows, columns = out_size(d)
            assert int(dut.out_width_o.value) == columns
            assert int(dut.out_pixels_o.value) == rows * columns
    for op in Op:
        for code in (ErrorCode.NONE, ErrorCode.FIELD, ErrorCode.BOUNDS):
            assert seen[int(op), int(code)] > 10, (op.name, code.name, seen)
            assert depthwise[code] > 10, depthwise
            assert back[code] > 10, back
            assert op not in (Op.GLOAD, Op.CONV) or tables[int(op), int(code)] > 10, tables


@cocotb.test(**TIMEOUT)
async def longest_sides(dut: Any) -> None:
    """Halves of 1023 rows or columns, the most there may be."""
    rng, config = bench_rng(), bench_config()
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    limits = Limits(
        config=config, n_descriptors=1, input_stride=0, output_stride=64, weight_bytes=1 << 14
    )
    dut.desc_i.value = 0
    for height, width in ((1023, 1), (1, 1023), (1022, 3), (3, 1022)):
        plane = (height + 1) // 2 * ((width + 1) // 2)
        whole = {"src_stride": 8, "dst_stride": 8, "kernel": 1, "cout": 1}
        pools = [
            Descriptor.make(Op.POOL, height=height, width=width, stride2=s, **whole) for s in (0, 1)
        ]
        for d in pools:
            await _present(dut, rng, d)
            assert int(dut.error_o.value) == golden(d, limits) == ErrorCode.NONE, d
            assert int(dut.out_width_o.value) == out_size(d)[1]
        for phase in (config.fmem_banks // 2, plane // 16 * 16 + 16 + config.fmem_banks // 2):
            sizes = {"height": height, "width": width, "phase_stride": phase, "cout": 1}
            for op, more in (
                (Op.COPY, {}),
                (Op.CONV, {"polyphase": 1, "kernel": 1, "cin": 1, "w_stride": 128}),
            ):
                lists = {"in_list": ALL_CHANNELS, "out_list": ALL_CHANNELS}
                d = Descriptor.make(op, **sizes, **more, **lists)
                dut.output_stride_i.value = limits.output_stride
                dut.weight_bytes_i.value = limits.weight_bytes
                dut.n_descriptors_i.value = limits.n_descriptors
                await _present(dut, rng, d)
                assert int(dut.error_o.value) == golden(d, limits), d
                assert int(dut.out_width_o.value) == out_size(d)[1]
                assert int(dut.out_pixels_o.value) == plane
