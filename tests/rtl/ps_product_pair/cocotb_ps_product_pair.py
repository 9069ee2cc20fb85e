"""ps_product_pair: both products of one packed multiplication, exactly."""

import itertools
from typing import Any

import cocotb
from cocotb.triggers import Timer

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng

WEIGHTS = (-128, -127, -2, -1, 0, 1, 2, 126, 127)
PIXELS = (-128, -127, -1, 0, 1, 127, 128, 254, 255)


@cocotb.test(**TIMEOUT)
async def both_products(dut: Any) -> None:
    """Every combination of extremes, then random operands."""
    rng = bench_rng()
    operands = list(itertools.product(WEIGHTS, WEIGHTS, PIXELS))
    for _ in range(5000):
        weights = rng.randint(-128, 127), rng.randint(-128, 127)
        operands.append((*weights, rng.randint(-128, 255)))
    for weight0, weight1, pixel in operands:
        dut.weight0_i.value, dut.weight1_i.value, dut.pixel_i.value = weight0, weight1, pixel
        await Timer(1, unit="ns")
        assert dut.product0_o.value.to_signed() == weight0 * pixel
        assert dut.product1_o.value.to_signed() == weight1 * pixel
