"""ps_exit against the golden engine: logits of both types, any stride, any table, bounds at the
sum and beside it; its cycles."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.compiler.numerics import exp_table
from penstock.program.core.config import EXIT_TABLE_BYTES, GATE_WORD_BYTES
from penstock.program.core.descriptor import Descriptor, Op
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng, start
from penstock.sim.cocotb.stream import pulse, read_port
from penstock.sim.golden.checks import Limits, check
from penstock.sim.golden.exits import exit_taken
from penstock.sim.golden.state import State

LATENCY = 3  # of the feature memory
FIXED = 7  # cycles beside two a logit


class Bench:
    """Feature memory and gate memory as arrays of bytes."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = bench_config()
        self.rng = np.random.default_rng(bench_rng().getrandbits(32))
        self.state = State.new(self.config)
        dut.start_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        await start(dut.clk_i, dut.rst_ni)
        cocotb.start_soon(read_port(dut.clk_i, dut.mem_data_i, self._byte, LATENCY))
        cocotb.start_soon(read_port(dut.clk_i, dut.table_word_i, self._word))

    def _byte(self) -> int:
        return int(self.state.fmem[int(self.dut.mem_addr_o.value) % self.config.fmem_bytes])

    def _word(self) -> int:
        at = int(self.dut.table_addr_o.value) * GATE_WORD_BYTES
        return int.from_bytes(self.state.gmem[at : at + GATE_WORD_BYTES].tobytes(), "little")

    def fill(self, scale: float | None = None) -> None:
        """Anything everywhere; with `scale`, gate memory in tables of it."""
        rng, state = self.rng, self.state
        state.fmem[:] = rng.integers(0, 256, len(state.fmem), np.uint8)
        state.gmem[:] = rng.integers(0, 256, len(state.gmem), np.uint8)
        if scale is not None:
            table = exp_table(scale).astype("<u2").view(np.uint8)
            state.gmem[:] = np.resize(table, len(state.gmem))

    def sum(self, d: Descriptor) -> int:
        """What is compared with the bound, by bisection on the golden engine."""
        low, high = 0, 1 << 27
        while low < high:
            middle = (low + high) // 2
            at = Descriptor(values=d.values | {"w_stride": middle})
            low, high = (low, middle) if exit_taken(at, self.state) else (middle + 1, high)
        return low

    async def exit(self, d: Descriptor) -> bool:
        """Run one EXIT_IF; whether it was taken.  Its cycles are as stated."""
        limits = Limits(
            config=self.config, n_descriptors=9, input_stride=0, output_stride=0, weight_bytes=0
        )
        check(d, limits)
        dut = self.dut
        dut.desc_i.value = int.from_bytes(d.encode(), "little")
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        busy = 0
        await RisingEdge(dut.clk_i)
        while int(dut.busy_o.value):
            busy += 1
            await RisingEdge(dut.clk_i)
        assert busy == 2 * d.cin + FIXED
        return bool(int(dut.taken_o.value))

    def descriptor(self, logits: int, stride: int, **fields: int) -> Descriptor:
        """A legal EXIT_IF at random places."""
        room = self.config.fmem_bytes - (logits - 1) * stride - 1
        words = (self.config.gate_mem_bytes - EXIT_TABLE_BYTES) // GATE_WORD_BYTES
        values = {
            "cin": logits,
            "src_stride": stride,
            "src": int(self.rng.integers(room + 1)),
            "w_addr": GATE_WORD_BYTES * int(self.rng.integers(words + 1)),
            "length": int(self.rng.integers(1, 9)),
            "src_signed": int(self.rng.integers(2)),
        }
        return Descriptor.make(Op.EXIT_IF, **(values | fields))

    async def around(self, d: Descriptor) -> None:
        """Bounds below, at and above the sum of the golden engine."""
        total = self.sum(d)
        for bound in (0, max(total - 1, 0), total, total + 1, 0xFFFF_FFFF):
            at = Descriptor(values=d.values | {"w_stride": bound})
            assert await self.exit(at) == (total <= bound) == exit_taken(at, self.state)


@cocotb.test(timeout_time=10, timeout_unit="ms")  # 2 n cycles, n up to max_channels
async def sizes(dut: Any) -> None:
    """One logit to the most there may be, next to each other or far apart, any table."""
    bench = Bench(dut)
    await bench.start()
    most = bench.config.max_channels
    for logits in (1, 2, 3, 7, 8, 9, 10, 17, most - 1, most):
        for stride in (1, 0, 3, (bench.config.fmem_bytes - 1) // logits):
            bench.fill()
            await bench.around(bench.descriptor(logits, stride))


@cocotb.test(**TIMEOUT)
async def extremes(dut: Any) -> None:
    """The least and greatest logits of each type together; every entry at its most."""
    bench = Bench(dut)
    await bench.start()
    for signed in (0, 1):
        for codes in ((0x80, 0x7F), (0x00, 0xFF), (0x80,), (0x7F,), (0xFF,), (0x00,)):
            bench.fill(scale=0.04)
            bench.state.fmem[:] = np.resize(np.array(codes, np.uint8), len(bench.state.fmem))
            await bench.around(bench.descriptor(11, 1, src_signed=signed))
    bench.state.gmem[:] = 0xFF
    await bench.around(bench.descriptor(bench.config.max_channels, 1))


@cocotb.test(**TIMEOUT)
async def softmax(dut: Any) -> None:
    """With a table of exp the largest softmax is at least t, up to the rounding of the table."""
    bench = Bench(dut)
    await bench.start()
    seen = set()
    for scale in (0.02, 0.1, 0.5):
        bench.fill(scale=scale)
        for _ in range(15):
            d = bench.descriptor(10, 1, src_signed=1, w_addr=0)
            logits = bench.state.fmem[d.src : d.src + 10].view(np.int8) * scale
            confidence = 1 / np.exp(logits - logits.max()).sum()
            for threshold in (confidence * 0.99, min(confidence * 1.01, 1.0)):
                at = Descriptor(values=d.values | {"w_stride": int((1 << 15) / threshold)})
                taken = await bench.exit(at)
                assert taken == (confidence >= threshold) or abs(confidence - 1) < 0.001
                seen.add(taken)
    assert seen == {False, True}


@cocotb.test(**TIMEOUT)
async def reset_mid_exit(dut: Any) -> None:
    """A reset ends it; the next one is whole."""
    bench = Bench(dut)
    await bench.start()
    bench.fill()
    for waited in (1, 4, 12, 25):
        task = cocotb.start_soon(bench.exit(bench.descriptor(10, 1)))
        for _ in range(waited):
            await RisingEdge(dut.clk_i)
        task.cancel()
        dut.start_i.value = 0
        dut.rst_ni.value = 0
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        await RisingEdge(dut.clk_i)
        assert not int(dut.busy_o.value)
        await bench.around(bench.descriptor(5, 2))
