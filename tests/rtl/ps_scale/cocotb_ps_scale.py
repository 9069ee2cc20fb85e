"""ps_scale: the multiplier, three times it, half a unit of every shift; held while idle."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng


@cocotb.test(**TIMEOUT)
async def every_shift(dut: Any) -> None:
    """Every shift with extreme and random multipliers; nothing moves without enable_i."""
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    rng = bench_rng()
    for shift in range(64):
        for multiplier in (0, 1, 0x5555, 0xFFFF, rng.randrange(1 << 16)):
            await FallingEdge(dut.clk_i)
            dut.enable_i.value = 1
            dut.multiplier_i.value = multiplier
            dut.shift_i.value = shift
            for _ in range(2):
                await FallingEdge(dut.clk_i)
                assert int(dut.multiplier_o.value) == multiplier
                assert int(dut.triple_o.value) == 3 * multiplier
                assert int(dut.half_o.value) == (1 << shift >> 1) % (1 << 47)
                assert int(dut.shift_o.value) == shift
                dut.enable_i.value = 0
                dut.multiplier_i.value = rng.randrange(1 << 16)
                dut.shift_i.value = rng.randrange(64)
