"""ps_ram: byte enables, a narrow last lane, read latency, old bytes on a collision."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng


@cocotb.test(**TIMEOUT)
async def random_accesses(dut: Any) -> None:
    """Each word read equals the model's of the cycle before, whatever is written meanwhile."""
    rng = bench_rng()
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    width, depth = int(dut.Width.value), int(dut.Depth.value)
    lanes = -(-width // 8)
    memory = []
    for address in range(depth):
        memory.append(rng.getrandbits(width))
        dut.wr_addr_i.value = address
        dut.wr_data_i.value = memory[-1]
        dut.wr_en_i.value = (1 << lanes) - 1
        await RisingEdge(dut.clk_i)
    read, collisions = None, 0
    for _ in range(3000):
        enables, target, source = rng.getrandbits(lanes), rng.randrange(depth), rng.randrange(depth)
        word = rng.getrandbits(width)
        dut.wr_en_i.value = enables
        dut.wr_addr_i.value = target
        dut.wr_data_i.value = word
        dut.rd_addr_i.value = source
        await RisingEdge(dut.clk_i)
        if read is not None:
            assert int(dut.rd_data_o.value) == read
        read = memory[source]
        collisions += source == target and enables != 0
        mask = sum(0xFF << 8 * lane for lane in range(lanes) if enables >> lane & 1)
        memory[target] = (memory[target] & ~mask | word & mask) & ((1 << width) - 1)
    assert collisions > 50
