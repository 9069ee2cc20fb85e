"""ps_params: what is written is read back, with the gate score folded into the multiplier."""

import itertools
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from penstock.compiler.numerics import SCORE_ONE, fold
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_config, bench_rng, stall_pattern
from penstock.sim.cocotb.stream import cycles, read_port

LATENCY = 4
MULTIPLIERS = (0, 1, 63, 64, 127, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
SCORES = (0, 1, 63, 64, 65, 127, SCORE_ONE)

#: bias, multiplier, shift, channel
Entry = tuple[int, int, int, int]


class Bench:
    """Scores beside the module, and the entries it must hold."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        self.config = bench_config()
        self.scores = [self.rng.choice(SCORES) for _ in range(self.config.score_depth)]
        self.entries: dict[tuple[int, int], Entry] = {}
        dut.wr_valid_i.value = 0
        cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
        lookup = lambda: self.scores[int(dut.score_addr_o.value)]  # noqa: E731
        cocotb.start_soon(read_port(dut.clk_i, dut.score_i, lookup))

    def fold_by(self, slot: int, *, enable: bool, by_channel: bool) -> None:
        """Choose the fold; no beat may be on its way."""
        self.slot, self.enable, self.by_channel = slot, enable, by_channel
        self.dut.fold_i.value = int(enable)
        self.dut.fold_channel_i.value = int(by_channel)
        self.dut.fold_slot_i.value = slot

    async def write(self, group: int, row: int, channel: int, multiplier: int) -> None:
        """One parameter beat."""
        dut, rng = self.dut, self.rng
        bias, shift = rng.randrange(-(1 << 31), 1 << 31), rng.randint(1, 47)
        beat = (shift << 48) | (multiplier << 32) | (bias & 0xFFFF_FFFF)
        dut.wr_valid_i.value = 1
        dut.wr_group_i.value = group
        dut.wr_row_i.value = row
        dut.wr_channel_i.value = channel
        dut.wr_param_i.value = beat
        await RisingEdge(dut.clk_i)
        dut.wr_valid_i.value = 0
        score = self.scores[self.slot + (channel if self.by_channel else 0)]
        folded = int(fold(np.int64(multiplier), np.int64(score))) if self.enable else multiplier
        self.entries[group, row] = bias, folded, shift, channel

    async def check(self) -> None:
        """Every entry written so far."""
        dut = self.dut
        for (group, row), entry in self.entries.items():
            dut.rd_group_i.value = group
            dut.rd_row_i.value = row
            await RisingEdge(dut.clk_i)
            await Timer(1, unit="ns")
            bias = dut.rd_bias_o.value.to_signed()
            rest = (dut.rd_multiplier_o, dut.rd_shift_o, dut.rd_channel_o)
            assert (bias, *(int(value.value) for value in rest)) == entry, (group, row)
        await RisingEdge(dut.clk_i)  # in step with the clock again


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, enable=[False, True], by_channel=[False, True])
async def folded(dut: Any, idle: str, enable: bool, by_channel: bool) -> None:
    """Random rows of all groups, one after the other or with gaps."""
    bench = Bench(dut)
    await cycles(dut.clk_i, 2)
    config = bench.config
    pattern = stall_pattern(idle, bench.rng)
    for _ in range(12):
        slot = bench.rng.randrange(config.score_depth - config.max_channels)
        bench.fold_by(slot, enable=enable, by_channel=by_channel)
        group, first = bench.rng.randrange(4), bench.rng.randrange(config.max_channels - 8)
        rows = bench.rng.randint(1, config.p_oc)
        for row in range(rows):
            while next(pattern):
                await RisingEdge(dut.clk_i)
            await bench.write(group, row, first + row, bench.rng.choice(MULTIPLIERS))
        await cycles(dut.clk_i, LATENCY)
        await bench.check()


@cocotb.test(**TIMEOUT)
async def every_score(dut: Any) -> None:
    """m * s rounded, for extreme multipliers and scores; 1.0 keeps m, 0 gives 0."""
    bench = Bench(dut)
    await cycles(dut.clk_i, 2)
    bench.scores[: len(SCORES)] = SCORES
    for multiplier, slot in itertools.product(MULTIPLIERS, range(len(SCORES))):
        bench.fold_by(slot, enable=True, by_channel=False)
        await bench.write(0, 0, 0, multiplier)
        await cycles(dut.clk_i, LATENCY)
        await bench.check()
