"""ps_fifo: order, bounds, throughput, reset mid-stream."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_rng, stall_pattern, start

WORDS = 300


async def _source(dut: Any, words: list[int], stall: Iterator[bool]) -> None:
    for word in words:
        while next(stall):
            await RisingEdge(dut.clk_i)
        dut.in_data_i.value = word
        dut.in_valid_i.value = 1
        await RisingEdge(dut.clk_i)
        while not int(dut.in_ready_o.value):
            await RisingEdge(dut.clk_i)
        dut.in_valid_i.value = 0


async def _sink(dut: Any, count: int, stall: Iterator[bool]) -> list[int]:
    words: list[int] = []
    while len(words) < count:
        ready = not next(stall)
        dut.out_ready_i.value = int(ready)
        await RisingEdge(dut.clk_i)
        if ready and int(dut.out_valid_o.value):
            words.append(int(dut.out_data_o.value))
    dut.out_ready_i.value = 0
    return words


async def _check_count(dut: Any) -> None:
    """count_o equals words in minus words out, and bounds hold, in every cycle."""
    depth = int(dut.Depth.value)
    held: deque[int] = deque()
    while True:
        await RisingEdge(dut.clk_i)
        count = int(dut.count_o.value)
        assert count == len(held) <= depth
        assert int(dut.in_ready_o.value) == (count < depth)
        assert int(dut.out_valid_o.value) == (count > 0)
        if count and int(dut.out_ready_i.value):
            assert int(dut.out_data_o.value) == held.popleft()
        if int(dut.in_valid_i.value) and count < depth:
            held.append(int(dut.in_data_i.value))


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def stream(dut: Any, idle: str, back_pressure: str) -> None:
    """Every word arrives once and in order."""
    rng = bench_rng()
    dut.in_valid_i.value = 0
    dut.out_ready_i.value = 0
    await start(dut.clk_i, dut.rst_ni)
    check = cocotb.start_soon(_check_count(dut))
    words = [rng.randrange(1 << 16) for _ in range(WORDS)]
    source = cocotb.start_soon(_source(dut, words, stall_pattern(idle, rng)))
    assert await _sink(dut, WORDS, stall_pattern(back_pressure, rng)) == words
    await source
    check.cancel()


@cocotb.test(**TIMEOUT)
async def reset_mid_stream(dut: Any) -> None:
    """A reset empties the FIFO; nothing of the old stream comes out afterwards."""
    rng = bench_rng()
    dut.in_valid_i.value = 0
    dut.out_ready_i.value = 0
    await start(dut.clk_i, dut.rst_ni)
    source = cocotb.start_soon(_source(dut, [0xDEAD] * 50, stall_pattern("none", rng)))
    await _sink(dut, 10, stall_pattern("random", rng))
    source.cancel()
    dut.in_valid_i.value = 0
    dut.rst_ni.value = 0
    await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await RisingEdge(dut.clk_i)
    assert int(dut.count_o.value) == 0
    assert not int(dut.out_valid_o.value)
    words = [rng.randrange(1 << 15) for _ in range(20)]
    source = cocotb.start_soon(_source(dut, words, stall_pattern("none", rng)))
    assert await _sink(dut, 20, stall_pattern("none", rng)) == words
    await source
