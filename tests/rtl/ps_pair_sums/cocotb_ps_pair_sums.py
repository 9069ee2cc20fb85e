"""ps_pair_sums: both sums of every pair after every step, exactly."""

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

LATENCY = 2
#: Products as large as they get, sums that cross multiples of 2^16 either way, and zeros.
WEIGHTS = np.array([-128, -127, -1, 0, 1, 127])
PIXELS = np.array([-128, -127, -1, 0, 1, 127, 128, 254, 255])


class Bench:
    """Feeds steps and compares what comes out two cycles later with NumPy's sums."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = bench_config()
        self.random = bench_rng()
        self.rng = np.random.default_rng(self.random.getrandbits(32))
        self.width = (self.config.wbuf_bytes * 32640).bit_length() + 1
        self.sums = np.zeros((self.config.p_oc, self.config.p_px), np.int64)
        self.due: deque[np.ndarray | None] = deque([None] * LATENCY)
        dut.valid_i.value = 0

    async def cycle(self, operands: tuple[np.ndarray, np.ndarray] | None, *, first: bool) -> None:
        """One cycle: a step with (weights, pixels a pair of rows) or none; then a check."""
        dut, config = self.dut, self.config
        dut.valid_i.value = int(operands is not None)
        if operands is not None:
            weights, pixels = operands
            dut.first_i.value = int(first)
            dut.weights_i.value = pack(weights, 8)
            dut.pixels_i.value = pack(pixels.ravel(), 16)
            products = weights[:, None] * pixels.repeat(2, axis=0)
            self.sums = products + (0 if first else self.sums)
        await RisingEdge(dut.clk_i)
        self.due.append(None if operands is None else self.sums)
        due = self.due.popleft()
        if due is not None:
            count = config.p_oc * config.p_px
            got = np.array(unpack(int(dut.acc_o.value), self.width, count, signed=True))
            got = got.reshape(config.p_oc, config.p_px)
            assert (got[::2] == due[::2]).all()
            assert (got[1::2] - (got[::2] >> 16) == due[1::2]).all()

    async def flush(self) -> None:
        for _ in range(LATENCY):
            await self.cycle(None, first=False)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS)
async def every_step(dut: Any, idle: str) -> None:
    """Sums of 1 to 40 steps, random operands and extreme ones, with and without pauses."""
    bench = Bench(dut)
    await start(dut.clk_i, dut.rst_ni)
    pattern = stall_pattern(idle, bench.random)
    config, rng = bench.config, bench.rng
    shape = config.p_oc // 2, config.p_px
    for turn, steps in enumerate((1, 2, 40, 1, 1, 30, 3, 40)):
        for step in range(steps):
            while next(pattern):
                await bench.cycle(None, first=False)
            if turn % 2:
                operands = rng.choice(WEIGHTS, config.p_oc), rng.choice(PIXELS, shape)
            else:
                operands = rng.integers(-128, 128, config.p_oc), rng.integers(-128, 256, shape)
            await bench.cycle(operands, first=step == 0)
    await bench.flush()


@cocotb.test(**TIMEOUT)
async def largest_sums(dut: Any) -> None:
    """As many steps as a half of the weight buffer holds, the largest products of either sign."""
    bench = Bench(dut)
    await start(dut.clk_i, dut.rst_ni)
    config = bench.config
    weights = np.tile([-128, -128, 127, -128, -128, 127, 127, 127], config.p_oc // 8)
    pixels = np.zeros((config.p_oc // 2, config.p_px), np.int64)
    pixels[:, ::2], pixels[:, 1::2] = 255, -128
    for step in range(config.wbuf_bytes):
        await bench.cycle((weights, pixels), first=step == 0)
    await bench.flush()
