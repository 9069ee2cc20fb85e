"""ps_desc_fetch: descriptors in order, never past the end, restarts with beats on their way."""

from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_rng, stall_pattern, start
from penstock.sim.cocotb.stream import collect, cycles, pulse, wait_for

BASE = 0xFEDC_BA98_0000_0FC0
BEATS = DESCRIPTOR_BYTES // 8
AHEAD = 4


class Bench:
    """A program in memory, a read master that answers in order, and its delays."""

    def __init__(self, dut: Any, idle: str, back_pressure: str) -> None:
        self.dut = dut
        self.rng = bench_rng()
        self.idle = stall_pattern(idle, self.rng)
        self.back_pressure = back_pressure
        self.program = [self.rng.getrandbits(8 * DESCRIPTOR_BYTES) for _ in range(60)]
        self.beats: deque[tuple[int, int]] = deque()  # (earliest cycle, beat)
        self.asked: list[int] = []
        self.taken = 0
        dut.start_i.value = 0
        dut.ready_i.value = 0
        dut.rsp_valid_i.value = 0
        dut.req_ready_i.value = 0

    async def start(self, count: int) -> None:
        self.dut.program_i.value = BASE
        self.dut.count_i.value = count
        self.count = count
        await start(self.dut.clk_i, self.dut.rst_ni)
        cocotb.start_soon(self._serve())

    async def _serve(self) -> None:
        dut = self.dut
        stall = stall_pattern(self.back_pressure, self.rng)
        cycle = 0
        while True:
            ready = not next(stall)
            dut.req_ready_i.value = int(ready)
            send = bool(self.beats) and self.beats[0][0] <= cycle and not next(self.idle)
            dut.rsp_valid_i.value = int(send)
            if send:
                dut.rsp_data_i.value = self.beats.popleft()[1]
            await RisingEdge(dut.clk_i)
            cycle += 1
            if ready and int(dut.req_valid_o.value):
                assert int(dut.req_beats_o.value) == BEATS
                index, rest = divmod(int(dut.req_addr_o.value) - BASE, DESCRIPTOR_BYTES)
                assert rest == 0 and 0 <= index < self.count, f"read past the end: {index}"
                if not int(dut.start_i.value):  # else of the old stream, and dropped
                    self.asked.append(index)
                delay = cycle + self.rng.choice([0, 1, 5, 20])
                for beat in range(BEATS):
                    self.beats.append((delay, self.program[index] >> 64 * beat & (1 << 64) - 1))

    async def restart(self, index: int) -> None:
        self.dut.index_i.value = index
        await pulse(self.dut.clk_i, self.dut.start_i)
        self.asked.clear()

    async def take(self, count: int, stall: str) -> list[int]:
        """The next `count` descriptors."""
        words: list[int] = []
        dut = self.dut
        get = lambda: int(dut.desc_o.value)  # noqa: E731
        pattern = stall_pattern(stall, self.rng)
        await collect(dut.clk_i, dut.valid_o, dut.ready_i, get, pattern, words, count)
        return words

    async def end(self) -> None:
        """at_end_o comes, valid_o does not."""
        dut = self.dut
        await wait_for(dut.clk_i, lambda: int(dut.at_end_o.value), 400)
        for _ in range(5):
            await RisingEdge(dut.clk_i)
            assert int(dut.at_end_o.value) and not int(dut.valid_o.value)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def in_order_to_the_end(dut: Any, idle: str, back_pressure: str) -> None:
    """Every descriptor once; asked for once, a few ahead; then the end."""
    bench = Bench(dut, idle, back_pressure)
    await bench.start(20)
    await bench.restart(0)
    assert await bench.take(20, back_pressure) == bench.program[:20]
    await bench.end()
    assert bench.asked == list(range(20))


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def restarts(dut: Any, idle: str, back_pressure: str) -> None:
    """A restart at any moment gives the new stream only, whatever is still on its way."""
    bench = Bench(dut, idle, back_pressure)
    await bench.start(60)
    await bench.restart(0)
    for delay in range(0, 60, 2):
        index = bench.rng.randrange(50)
        await bench.restart(index)
        count = bench.rng.choice([0, 0, 1, 3])
        if count:
            assert await bench.take(count, "none") == bench.program[index : index + count]
        await cycles(dut.clk_i, delay % 23)
        assert len(bench.asked) <= count + AHEAD + 1
    await bench.restart(7)
    await bench.restart(57)  # back to back
    assert await bench.take(3, back_pressure) == bench.program[57:]
    await bench.end()


@cocotb.test(**TIMEOUT)
async def beyond_the_end(dut: Any) -> None:
    """A start at or past the count reads nothing; without a start there is no end."""
    bench = Bench(dut, "none", "none")
    await bench.start(3)
    await cycles(dut.clk_i, 5)
    assert not int(dut.at_end_o.value)
    for index in (3, 4, 1 << 31):
        await bench.restart(index)
        await bench.end()
        assert bench.asked == []
    await bench.restart(2)
    assert await bench.take(1, "none") == [bench.program[2]]
    await bench.end()
