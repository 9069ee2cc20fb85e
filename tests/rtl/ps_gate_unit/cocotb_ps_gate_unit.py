"""ps_gate_unit and ps_gate_store: scores, survivor lists and DENSE results against NumPy."""

import dataclasses
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.compiler.numerics import requantize, sigmoid_scores, type_range
from penstock.program.core.config import ALL_CHANNELS, GATE_WORD_BYTES, gate_row_bytes
from penstock.program.core.descriptor import SIGMOID, STOPS, GateKind, Op
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng, start
from penstock.sim.cocotb.stream import cycles, descriptor, pulse, unpack, watch

PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("zero", "u1")])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A dense layer in gate memory, and its pooled sums."""

    sums: np.ndarray  # int32 [cin]
    head: np.ndarray  # PARAMETERS [1]
    heads: np.ndarray  # PARAMETERS [cout]
    weights: np.ndarray  # int8 [cout, cin]
    signed: bool

    def accumulators(self) -> np.ndarray:
        """int64 [cout]"""
        m0, r0 = (self.head[name].astype(np.int64) for name in ("multiplier", "shift"))
        pooled = np.clip(requantize(self.sums, m0, r0), *type_range(self.signed))
        return self.heads["bias"] + self.weights.astype(np.int64) @ pooled

    def scores(self, kind: GateKind) -> np.ndarray:
        """int64 [cout]"""
        match kind:
            case GateKind.BINARY:
                return np.where(self.accumulators() > 0, 128, 0)
            case GateKind.SIGMOID:
                return sigmoid_scores(self.scaled())
            case GateKind.RELU1:
                return np.clip(self.scaled(), 0, 128)

    def scaled(self) -> np.ndarray:
        """int64 [cout], not clamped"""
        return requantize(self.accumulators(), self.heads["multiplier"], self.heads["shift"])


class Bench:
    """Loads layers, runs them, reads scores and lists back through every port."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = bench_config()
        self.rng = np.random.default_rng(bench_rng().getrandbits(32))
        self.scores: dict[int, int] = {}
        self.lists: dict[int, tuple[list[int], int]] = {}
        self.written: list[tuple[int, int]] = []
        self.pool: dict[int, int] = {}
        for signal in (dut.start_i, dut.gmem_we_i, dut.pool_we_i, dut.sums_begin_i):
            signal.value = 0
        dut.sums_busy_i.value = 0
        dut.score_hold_i.value = 0
        dut.mem_hold_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        await start(dut.clk_i, dut.rst_ni)
        get = lambda: (int(dut.mem_addr_o.value), int(dut.mem_data_o.value))  # noqa: E731
        cocotb.start_soon(watch(dut.clk_i, dut.mem_we_o, get, self.written))

    def layer(self, cin: int, cout: int, *, extreme: bool = False) -> Layer:
        """Random parameters such that scores lie on both sides of 0 and 128."""
        rng = self.rng
        signed = bool(rng.integers(2))
        sums = rng.integers(-20000, 60000, cin)
        weights = rng.integers(-128, 128, (cout, cin))
        bias = rng.integers(-30000, 30000, cout)
        multiplier = rng.integers(0x8000, 0x10000, cout)
        shift = rng.integers(20, 26, cout)
        if extreme:
            sums = rng.choice([-(1 << 31), (1 << 31) - 1], cin)
            weights = rng.choice([-128, 127], (cout, cin))
            shift = rng.choice([1, 16, 47], cout)
        bias[:: max(cout // 3, 2)] = 0
        heads = np.zeros(cout, PARAMETERS)
        for name, values in (("bias", bias), ("multiplier", multiplier), ("shift", shift)):
            heads[name] = values
        head = np.zeros(1, PARAMETERS)
        head["multiplier"], head["shift"] = 0x9000, 23
        return Layer(
            sums=sums, head=head, heads=heads, weights=weights.astype(np.int8), signed=signed
        )

    async def load(self, layer: Layer, w_addr: int, pool_base: int, *, sums: bool) -> None:
        """Write gate memory (GLOAD) and, with `sums`, pooled sums (epilogue) side by side."""
        dut = self.dut
        if sums:
            await pulse(dut.clk_i, dut.sums_begin_i)
        cout, cin = layer.weights.shape
        rows = np.zeros((cout, gate_row_bytes(cin)), np.uint8)
        rows[:, :8] = layer.heads.view(np.uint8).reshape(cout, 8)
        rows[:, GATE_WORD_BYTES : GATE_WORD_BYTES + cin] = layer.weights.view(np.uint8)
        data = layer.head.tobytes().ljust(GATE_WORD_BYTES, b"\xa5") + rows.tobytes()
        words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
        for index in range(max(len(words), cin)):
            dut.gmem_we_i.value = int(index < len(words))
            dut.pool_we_i.value = int(sums and index < cin)
            if index < len(words):
                dut.gmem_addr_i.value = w_addr // 8 + index
                dut.gmem_data_i.value = words[index]
            if index < cin:
                dut.pool_addr_i.value = pool_base + index
                dut.pool_data_i.value = int(layer.sums[index]) & 0xFFFF_FFFF
            await RisingEdge(dut.clk_i)
        dut.gmem_we_i.value = 0
        dut.pool_we_i.value = 0

    async def convolution(self, layer: Layer, pool_base: int, gap: int) -> None:
        """Sums as a convolution makes them, in order with pauses up to `gap`; then it is done.

        Lists and scores are free a few cycles before or after its last sum.
        """
        dut, rng = self.dut, self.rng
        early = int(rng.integers(len(layer.sums) + 1))
        for index, value in enumerate(layer.sums):
            await cycles(dut.clk_i, int(rng.integers(gap + 1)))
            if index == early:
                dut.score_hold_i.value = 0
            dut.pool_addr_i.value = pool_base + index
            dut.pool_data_i.value = int(value) & 0xFFFF_FFFF
            dut.pool_we_i.value = 1
            await RisingEdge(dut.clk_i)
            dut.pool_we_i.value = 0
        dut.sums_busy_i.value = 0
        await cycles(dut.clk_i, int(rng.integers(4)))
        dut.score_hold_i.value = 0
        dut.mem_hold_i.value = 0

    async def run(
        self,
        op: Op,
        layer: Layer,
        *,
        gap: int | None = None,
        pool_base: int | None = None,
        **values: int,
    ) -> int:
        """Load a layer somewhere and run it; cycles from its start, or from its last sum.

        gap: beside the convolution that makes its sums, one in up to `gap` + 1 cycles.
        pool_base: the sums are there already.
        """
        dut, config, rng = self.dut, self.config, self.rng
        cout, cin = layer.weights.shape
        size = GATE_WORD_BYTES + cout * gate_row_bytes(cin)
        w_addr = int(rng.integers((config.gate_mem_bytes - size) // 16 + 1)) * 16
        fresh = pool_base is None
        if pool_base is None:
            pool_base = int(rng.integers(config.pool_depth - cin + 1))
        await self.load(layer, w_addr, pool_base, sums=fresh and gap is None)
        if gap is not None:
            await pulse(dut.clk_i, dut.sums_begin_i)
            dut.sums_busy_i.value = 1
            dut.score_hold_i.value = 1
            dut.mem_hold_i.value = 1
        dut.desc_i.value = descriptor(
            op,
            cin=cin,
            cout=cout,
            w_addr=w_addr,
            pool_base=pool_base,
            src_signed=layer.signed,
            **values,
        )
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        if gap is not None:
            await self.convolution(layer, pool_base, gap)
        self.pool_base = pool_base
        taken = 0
        await RisingEdge(dut.clk_i)
        while int(dut.busy_o.value):
            taken += 1
            await RisingEdge(dut.clk_i)
        return taken

    async def gate(
        self,
        layer: Layer,
        kind: GateKind,
        which: int,
        list_from: int,
        dst: int,
        *,
        stop: bool = False,
        gap: int | None = None,
        pool_base: int | None = None,
    ) -> int:
        """A GATE into list `which` (or none): the whole store is compared with the model."""
        scores = layer.scores(kind)
        if stop and not scores[:list_from].any():
            scores[list_from:] = 0
        taken = await self.run(
            Op.GATE,
            layer,
            gap=gap,
            pool_base=pool_base,
            gate_kind=kind == GateKind.BINARY,
            variant=SIGMOID if kind == GateKind.SIGMOID else stop * STOPS,
            out_list=which,
            list_from=list_from,
            dst=dst,
        )
        self.scores |= {dst + o: int(score) for o, score in enumerate(scores)}
        if which != ALL_CHANNELS:
            ids = np.flatnonzero(scores[list_from:]).tolist()
            self.lists[which] = ids, len(scores) - list_from
        assert not self.written, "a GATE wrote feature memory"
        await self.check_store()
        return taken

    async def use_memory(self, count: int) -> None:
        """Somebody uses feature memory for so many cycles from the start on: no byte may come.

        Lists and scores are in use all the time, of which a DENSE needs none.
        """
        dut = self.dut
        while True:
            await RisingEdge(dut.start_i)
            dut.mem_hold_i.value = dut.score_hold_i.value = 1
            for _ in range(count):
                await RisingEdge(dut.clk_i)
                assert not int(dut.mem_we_o.value), "a byte while others use feature memory"
            dut.mem_hold_i.value = 0

    async def check_store(self) -> None:
        """Scores through both ports and as words, lists through both ports, counts and bounds."""
        dut, config = self.dut, self.config
        for address in sorted(self.scores):
            dut.score_a_addr_i.value = address
            dut.score_b_addr_i.value = address
            await cycles(dut.clk_i, 2)
            score = self.scores[address]
            assert int(dut.score_a_o.value) == int(dut.score_b_o.value) == score, address
            word = unpack(int(dut.score_a_word_o.value), 8, 8)
            assert word[address % 8] == score
        width = config.max_channels.bit_length()
        counts = unpack(int(dut.list_count_o.value), width, config.n_lists)
        bounds = unpack(int(dut.list_bound_o.value), width, config.n_lists)
        for which in range(config.n_lists):
            ids, bound = self.lists.get(which, ([], 0))
            assert (counts[which], bounds[which]) == (len(ids), bound), which
            for position, channel in enumerate(ids):
                dut.list_a_addr_i.value = which * config.max_channels + position
                dut.list_b_addr_i.value = which * config.max_channels + position
                await cycles(dut.clk_i, 2)
                got = int(dut.list_a_data_o.value), int(dut.list_b_data_o.value)
                assert got == (channel, channel), (which, position)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(kind=list(GateKind))
async def gates(dut: Any, kind: GateKind) -> None:
    """Sizes around the words of gate memory; lists that begin late; lists begun anew."""
    bench = Bench(dut)
    await bench.start()
    sizes = [(1, 1), (7, 2), (8, 9), (9, 5), (16, 8), (24, 3), (25, 17), (40, 12)]
    for index, (cin, cout) in enumerate(sizes):
        which = [0, 1, ALL_CHANNELS][index % 3]
        list_from = [0, 1, cout // 2, cout][index % 4]
        taken = await bench.gate(bench.layer(cin, cout), kind, which, list_from, 8 + index)
        assert taken <= 16 + cout * (1 + -(-cin // 16)) + max(cin - cout, 0) + 24
    found = set(bench.scores.values())
    assert {0, 128} <= found and (kind == GateKind.BINARY or len(found) > 4)


@cocotb.test(**TIMEOUT)
async def extremes(dut: Any) -> None:
    """Sums and weights at their limits, shifts of 1 and 47; the widest vector."""
    bench = Bench(dut)
    await bench.start()
    for kind in GateKind:
        await bench.gate(bench.layer(30, 9, extreme=True), kind, 0, 0, 0)
    cin = min(bench.config.max_channels, bench.config.pool_depth)
    await bench.gate(bench.layer(cin, 3), GateKind.RELU1, 1, 0, 100)


@cocotb.test(**TIMEOUT)
async def sigmoids(dut: Any) -> None:
    """Every entry of the table, and what lies beyond: z is the bias, the weights are 0."""
    bench = Bench(dut)
    await bench.start()
    beyond = [-(1 << 31), -65537, -65536, -300, -129, 128, 129, 300, 65535, 65536, (1 << 31) - 1]
    steps = [*range(-128, 128), *beyond]
    for first in range(0, len(steps), 30):
        part = np.array(steps[first : first + 30])
        layer = bench.layer(1, len(part))
        layer.weights[:] = 0
        for name, value in (("bias", part), ("multiplier", 1 << 15), ("shift", 15)):
            layer.heads[name] = value
        await bench.gate(layer, GateKind.SIGMOID, 0, 0, first)
    assert [bench.scores[z + 128] for z in (-128, 0, 127)] == [0, 64, 128]


@cocotb.test(**TIMEOUT)
async def all_on_and_all_off(dut: Any) -> None:
    """Every channel survives, then none: the list is begun anew each time."""
    bench = Bench(dut)
    await bench.start()
    for bias in (1 << 30, -(1 << 30), 1 << 30):
        layer = bench.layer(6, 11)
        layer.heads["bias"] = bias
        await bench.gate(layer, GateKind.BINARY, 1, 3, 16)
        assert len(bench.lists[1][0]) == (8 if bias > 0 else 0)
    layer = bench.layer(6, 11)
    layer.heads["bias"], layer.weights[:] = 0, 0  # a sum of 0 is off
    await bench.gate(layer, GateKind.BINARY, 1, 3, 16)
    assert not bench.lists[1][0]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(gap=[0, 1, 9])
async def beside_a_convolution(dut: Any, gap: int) -> None:
    """Started before its sums: same results, and one pass is left after the last one."""
    bench = Bench(dut)
    await bench.start()
    for index, (cin, cout) in enumerate([(16, 9), (32, 12), (1, 1), (33, 5), (40, 17), (17, 2)]):
        which, kind = [0, 1, ALL_CHANNELS][index % 3], list(GateKind)[index % 3]
        layer = bench.layer(cin, cout)
        taken = await bench.gate(layer, kind, which, min(1, cout), 64 + index, gap=gap)
        if gap * 16 >= 9 * cout:  # as fast as the sums come
            assert taken <= 2 * cout + 24
    layer = bench.layer(20, 6)
    await bench.run(Op.DENSE, layer, gap=gap, clamp_lo=-128, clamp_hi=127, dst=8)
    assert len(bench.written) == 6


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(gap=[None, 0, 3])
async def stops(dut: Any, gap: int | None) -> None:
    """Outputs before list_from decide: all zero, and the others are zero in a few cycles."""
    bench = Bench(dut)
    await bench.start()
    for cin, cout, list_from, dst in (
        (16, 17, 1, 3),
        (33, 20, 3, 8),
        (5, 2, 1, 15),
        (24, 9, 1, 6),
        (8, 30, 2, 5),
        (16, 4, 4, 40),
    ):
        for closed in (True, False):
            layer = bench.layer(cin, cout)
            layer.heads["bias"][:list_from] = -(1 << 30)
            if not closed:  # the last of them alone is open
                layer.heads["bias"][list_from - 1] = 1 << 30
            kind = (GateKind.RELU1, GateKind.BINARY)[cin % 2]
            taken = await bench.gate(layer, kind, 0, list_from, dst, stop=True, gap=gap)
            if closed and gap is None:
                assert taken <= cin + list_from * (1 + -(-cin // 16)) + -(-cout // 8) + 28


@cocotb.test(**TIMEOUT)
async def same_sums_again(dut: Any) -> None:
    """The vector is kept for the next GATE, not across new sums, other sizes or parameters."""
    bench = Bench(dut)
    await bench.start()
    layer = bench.layer(32, 3)
    first = await bench.gate(layer, GateKind.RELU1, 0, 0, 0)
    base = bench.pool_base
    again = await bench.gate(layer, GateKind.RELU1, 0, 0, 0, pool_base=base)
    assert again <= first - 20
    layer.head["multiplier"] = 0xA000
    await bench.gate(layer, GateKind.RELU1, 0, 0, 0, pool_base=base)
    layer = dataclasses.replace(layer, signed=not layer.signed)
    await bench.gate(layer, GateKind.RELU1, 0, 0, 0, pool_base=base)
    fewer = dataclasses.replace(layer, sums=layer.sums[:20], weights=layer.weights[:, :20])
    await bench.gate(fewer, GateKind.RELU1, 0, 0, 0, pool_base=base)
    for gap in (None, 2):
        other = dataclasses.replace(layer, sums=layer.sums[::-1])
        await bench.gate(other, GateKind.RELU1, 0, 0, 0, gap=gap)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(used=[0, 10, 400])
async def dense(dut: Any, used: int) -> None:
    """DENSE writes bytes in order, clamped, once memory is free; scores and lists stay."""
    bench = Bench(dut)
    await bench.start()
    dut.mem_hold_i.value = 1  # of no concern to a GATE
    await bench.gate(bench.layer(5, 6), GateKind.RELU1, 0, 0, 0)
    dut.mem_hold_i.value = 0
    cocotb.start_soon(bench.use_memory(used))
    for cin, cout, low, high in ((1, 1, -128, 127), (17, 10, 0, 255), (32, 5, -20, 30)):
        layer = bench.layer(cin, cout)
        dst = int(bench.rng.integers(bench.config.fmem_bytes - cout))
        await bench.run(
            Op.DENSE, layer, dst=dst, clamp_lo=low, clamp_hi=high, out_list=ALL_CHANNELS
        )
        expected = np.clip(layer.scaled(), low, high) & 0xFF
        assert bench.written == [(dst + o, int(y)) for o, y in enumerate(expected)]
        bench.written.clear()
        await bench.check_store()


@cocotb.test(**TIMEOUT)
async def parts_of_one_gate(dut: Any) -> None:
    """A GATE with src > 0 continues the list: its channels count from there."""
    bench = Bench(dut)
    await bench.start()
    for sizes in ((5, 9), (1, 1, 1), (12, 3, 20)):
        first, ids = 0, []
        for cout in sizes:
            layer = bench.layer(9, cout)
            scores = np.clip(layer.scaled(), 0, 128)
            await bench.run(Op.GATE, layer, out_list=1, src=first, dst=16 + first)
            bench.scores |= {16 + first + o: int(score) for o, score in enumerate(scores)}
            ids += [first + int(o) for o in np.flatnonzero(scores)]
            first += cout
            bench.lists[1] = ids, first
            await bench.check_store()
