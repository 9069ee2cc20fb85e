"""ps_operands and ps_array: sums of every shape against NumPy, drained while the next ones grow."""

from collections import deque
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    bench_config,
    bench_rng,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.stream import pack, unpack

#: From the cycle of a last step to loaded_o: one in ps_operands, two in ps_array.
LOAD = 3


class Bench:
    """Feeds sums, drains rows, compares them with the model's."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = bench_config()
        rng = bench_rng()
        self.random = rng
        self.rng = np.random.default_rng(rng.getrandbits(32))
        self.due: deque[np.ndarray] = deque()  # sums whose last step is issued
        self.free = True  # the shadow is empty, or a last step issued now finds it so
        self.checked = 0
        for signal in (dut.valid_i, dut.shift_i, dut.first_i, dut.last_i):
            signal.value = 0

    async def start(self, drain: str) -> None:
        await start(self.dut.clk_i, self.dut.rst_ni)
        cocotb.start_soon(self._drain(drain))

    async def _drain(self, stall: str) -> None:
        """Rows leave one by one with pauses; the shadow is free when the last one leaves."""
        dut, config = self.dut, self.config
        pattern = stall_pattern(stall, self.random)
        while True:
            await RisingEdge(dut.clk_i)
            if not int(dut.loaded_o.value):
                continue
            rows = self.due.popleft()
            await RisingEdge(dut.clk_i)  # then the first one is there
            for index, row in enumerate(rows):
                while next(pattern):
                    await RisingEdge(dut.clk_i)
                got = unpack(int(dut.row_o.value), 32, config.p_px, signed=True)
                assert got == row.tolist(), f"row {index}"
                if index == len(rows) - 1:
                    self.free = True
                    break
                dut.shift_i.value = 1
                await RisingEdge(dut.clk_i)
                dut.shift_i.value = 0
                await RisingEdge(dut.clk_i)
            self.checked += 1

    async def sum(self, steps: int, mode: int, stall: str, *, extreme: bool = False) -> None:
        """One sum of `steps` steps in a mode, from a random row of the group on."""
        dut, config, rng = self.dut, self.config, self.rng
        pattern = stall_pattern(stall, self.random)
        rows = config.p_oc >> mode
        lane = int(rng.integers(config.p_oc - rows + 1))
        signed = bool(rng.integers(2))
        pad = int(rng.choice([0, 128, 255, rng.integers(256)]))
        total = np.zeros((config.p_oc, config.p_px), np.int64)
        for step in range(steps):
            window = rng.integers(0, 256, config.window_bytes)
            weights = rng.integers(-128, 128, config.p_oc)
            mask = rng.integers(0, 4, config.window_bytes) > 0
            if extreme:
                window[:] = 128 if signed else 255
                weights[:] = -128
                mask[:] = True
            while next(pattern) or (step == steps - 1 and not self.free):
                dut.valid_i.value = 0
                await RisingEdge(dut.clk_i)
            if step == steps - 1:
                self.free = False
            dut.valid_i.value = 1
            dut.first_i.value = int(step == 0)
            dut.last_i.value = int(step == steps - 1)
            dut.mode_i.value = mode
            dut.lane_i.value = lane
            dut.signed_i.value = int(signed)
            dut.pad_i.value = pad
            dut.mask_i.value = pack(mask, 1)
            dut.window_i.value = pack(window, 8)
            dut.weights_i.value = pack(weights, 8)
            window = np.where(mask, window, pad)
            pixels = np.where(signed & (window > 127), window - 256, window)
            for s in range(config.p_oc):
                block = s // rows * config.p_px
                total[s] += weights[lane + s % rows] * pixels[block : block + config.p_px]
            if step == steps - 1:
                self.due.append(total)
            await RisingEdge(dut.clk_i)
            dut.valid_i.value = 0

    async def finish(self, sums: int) -> None:
        for _ in range(20 * self.config.p_oc + 20):
            await RisingEdge(self.dut.clk_i)
        assert self.checked == sums and not self.due


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def sums(dut: Any, idle: str, back_pressure: str) -> None:
    """Sums of one step and of many, in every mode, back to back; padded and signed lanes."""
    bench = Bench(dut)
    await bench.start(back_pressure)
    lengths = [1, 1, 2, 3, 9, 1, 30]
    for index, steps in enumerate(lengths * 2):
        await bench.sum(steps, index % bench.config.modes, idle)
    await bench.finish(2 * len(lengths))


@cocotb.test(**TIMEOUT)
async def extremes(dut: Any) -> None:
    """The largest products: -128 * 255 and -128 * -128, many times."""
    bench = Bench(dut)
    await bench.start("none")
    for mode in range(bench.config.modes):
        for _ in range(2):
            await bench.sum(300, mode, "none", extreme=True)
    await bench.finish(2 * bench.config.modes)


@cocotb.test(**TIMEOUT)
async def reset_mid_sum(dut: Any) -> None:
    """A last step in flight at a reset loads nothing; the next sum is right."""
    bench = Bench(dut)
    await bench.start("none")
    for delay in range(LOAD - 1):
        await bench.sum(2, 0, "none")
        for _ in range(delay):
            await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 0
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        bench.due.clear()
        for _ in range(LOAD + 2):
            await RisingEdge(dut.clk_i)
            assert not int(dut.loaded_o.value)
        bench.free = True
    await bench.sum(4, 0, "none")
    await bench.finish(1)
