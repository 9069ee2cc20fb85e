"""ps_list_walk: ids, positions and ends of walks over all channels or a list, once or for ever."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    bench_config,
    bench_rng,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.stream import collect, cycles, pulse, read_port

#: (id, position, last)
Word = tuple[int, int, int]


class Bench:
    """List memory, walks and the words that come out."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        config = bench_config()
        self.channels = config.max_channels
        self.lists = [self.rng.randrange(self.channels) for _ in range(2 * self.channels)]
        self.words: list[Word] = []
        dut.start_i.value = 0
        dut.ready_i.value = 0

    async def start(self) -> None:
        await start(self.dut.clk_i, self.dut.rst_ni)
        lookup = lambda: self.lists[int(self.dut.mem_addr_o.value)]  # noqa: E731
        cocotb.start_soon(read_port(self.dut.clk_i, self.dut.mem_data_i, lookup))

    def _word(self) -> Word:
        dut = self.dut
        return int(dut.id_o.value), int(dut.pos_o.value), int(dut.last_o.value)

    async def walk(self, which: int | None, count: int, loop: bool) -> list[Word]:
        """Start a walk over list `which` (None: all channels); the words of one round."""
        dut = self.dut
        dut.all_i.value = int(which is None)
        dut.list_i.value = which or 0
        dut.count_i.value = count
        dut.loop_i.value = int(loop)
        await pulse(dut.clk_i, dut.start_i)
        first = (which or 0) * self.channels
        ids = range(count) if which is None else self.lists[first : first + count]
        return [(c, pos, int(pos == count - 1)) for pos, c in enumerate(ids)]

    async def check(self, expected: list[Word], stall: str) -> None:
        """Exactly `expected` comes out next."""
        words: list[Word] = []
        pattern = stall_pattern(stall, self.rng)
        dut = self.dut
        await collect(
            dut.clk_i, dut.valid_o, dut.ready_i, self._word, pattern, words, len(expected)
        )
        assert words == expected

    async def quiet(self) -> None:
        """Nothing comes out."""
        for _ in range(10):
            await RisingEdge(self.dut.clk_i)
            assert not int(self.dut.valid_o.value)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(back_pressure=STALLS, which=[None, 0, 1])
async def once(dut: Any, back_pressure: str, which: int | None) -> None:
    """A walk gives its ids once, then nothing; a count of 0 gives nothing."""
    bench = Bench(dut)
    await bench.start()
    for count in (1, 0, 2, 3, 4, 5, 17, bench.channels, 0, 1):
        await bench.check(await bench.walk(which, count, False), back_pressure)
        await bench.quiet()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(back_pressure=STALLS, which=[None, 1])
async def loop(dut: Any, back_pressure: str, which: int | None) -> None:
    """A walk in a loop begins again without a gap in the sequence."""
    bench = Bench(dut)
    await bench.start()
    for count in (1, 2, 3, 7, 40):
        words = await bench.walk(which, count, True)
        await bench.check(words * 4 + words[: count // 2], back_pressure)
    await bench.walk(which, 0, True)
    await bench.quiet()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(back_pressure=STALLS)
async def restart(dut: Any, back_pressure: str) -> None:
    """A start at any moment of a walk drops the old ids and gives the new ones only."""
    bench = Bench(dut)
    await bench.start()
    for delay in [*range(12), *range(12)]:
        await bench.walk(bench.rng.choice([None, 0, 1]), 9, bench.rng.random() < 0.5)
        dut.ready_i.value = bench.rng.randrange(2)
        await cycles(dut.clk_i, delay)
        dut.ready_i.value = 0
        words = await bench.walk(bench.rng.choice([None, 0, 1]), 6, False)
        await bench.check(words, back_pressure)
        await bench.quiet()


@cocotb.test(**TIMEOUT)
async def one_id_a_cycle(dut: Any) -> None:
    """Without back-pressure a walk takes a cycle an id after the first."""
    bench = Bench(dut)
    await bench.start()
    expected = await bench.walk(0, 60, False)
    dut.ready_i.value = 1
    while not int(dut.valid_o.value):
        await RisingEdge(dut.clk_i)
    for word in expected:
        assert int(dut.valid_o.value) and bench._word() == word
        await RisingEdge(dut.clk_i)


@cocotb.test(**TIMEOUT)
async def reset_mid_walk(dut: Any) -> None:
    """A reset ends a walk."""
    bench = Bench(dut)
    await bench.start()
    await bench.check((await bench.walk(1, 30, True))[:5], "none")
    dut.rst_ni.value = 0
    await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await RisingEdge(dut.clk_i)
    await bench.quiet()
    await bench.check(await bench.walk(0, 5, False), "none")
