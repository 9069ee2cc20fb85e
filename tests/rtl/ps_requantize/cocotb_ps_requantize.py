"""ps_requantize: the numerics, saturated to 17 bits, three cycles later, scaled by ps_scale."""

import itertools
from collections import deque
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.compiler.numerics import MAX_SHIFT, MIN_SHIFT, requantize
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_rng, stall_pattern

LATENCY = 3
ACCUMULATORS = (-(1 << 31), -(1 << 31) + 1, -65537, -3, -2, -1, 0, 1, 2, 3, 65536, (1 << 31) - 1)
MULTIPLIERS = (0, 1, 2, 3, 0x7FFF, 0x8000, 0xFFFF)
SHIFTS = (0, MIN_SHIFT, 2, 15, 16, 17, 31, 32, 33, MAX_SHIFT - 1, MAX_SHIFT, 48, 49, 50, 63)


def expected(acc: int, multiplier: int, shift: int) -> int:
    """What the module must give."""
    multiplier, shift = (0, MAX_SHIFT) if shift > MAX_SHIFT else (multiplier, shift)
    exact = int(requantize(np.int64(acc), np.int64(multiplier), np.int64(shift)))
    return min(max(exact, -65536), 65535)


async def _check(dut: Any, operands: list[tuple[int, int, int]], stall: str) -> None:
    pattern = stall_pattern(stall, bench_rng())
    dut.enable_i.value = 0
    pipe: deque[int | None] = deque([None] * LATENCY)
    left = iter([*operands, *[None] * LATENCY])
    checked = 0
    for item in left:
        while True:
            idle = item is None or next(pattern)
            dut.enable_i.value = int(not idle)
            if not idle and item is not None:
                acc, multiplier, shift = item
                dut.acc_i.value = acc
                dut.multiplier_i.value = multiplier
                dut.triple_i.value = 3 * multiplier
                dut.half_i.value = (1 << shift >> 1) & ((1 << 47) - 1)
                dut.shift_i.value = shift
            await RisingEdge(dut.clk_i)
            # Sampled before this edge: the result of the operands LATENCY edges ago.
            result = pipe.popleft()
            if result is not None:
                assert dut.result_o.value.to_signed() == result
                checked += 1
            pipe.append(None if idle or item is None else expected(*item))
            if not idle or item is None:
                break
    assert checked == len(operands)


@cocotb.test(**TIMEOUT)
async def extremes(dut: Any) -> None:
    """Every combination of extreme accumulators, multipliers and shifts, back to back."""
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    await _check(dut, list(itertools.product(ACCUMULATORS, MULTIPLIERS, SHIFTS)), "none")


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS)
async def ties_and_random(dut: Any, idle: str) -> None:
    """Random operands, half of them made so that the result lies around a tie or a bound."""
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    rng = bench_rng()
    operands = []
    for _ in range(1000):
        shift = rng.randint(MIN_SHIFT, MAX_SHIFT)
        multiplier = rng.randrange(1 << 16)
        acc = rng.randrange(-(1 << 31), 1 << 31)
        if rng.random() < 0.5:
            around = rng.choice([-131072, -65536, -1, 0, 1, 65535, 131071, rng.randint(-300, 300)])
            acc = ((2 * around + 1) << (shift - 1)) // max(multiplier, 1) + rng.randint(-1, 1)
            acc = min(max(acc, -(1 << 31)), (1 << 31) - 1)
        operands.append((acc, multiplier, shift))
    await _check(dut, operands, idle)
