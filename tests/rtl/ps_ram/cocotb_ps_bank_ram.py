"""ps_bank_ram: two ports, enables, data that hold, old bytes on a collision."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng


@cocotb.test(**TIMEOUT)
async def random_accesses(dut: Any) -> None:
    """Either port shows the byte of its last enabled address."""
    rng = bench_rng()
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    depth = int(dut.Depth.value)
    memory = [rng.randrange(256) for _ in range(depth)]
    dut.a_en_i.value = 0
    dut.b_en_i.value = 1
    dut.b_we_i.value = 1
    for address, byte in enumerate(memory):
        dut.b_addr_i.value = address
        dut.b_data_i.value = byte
        await RisingEdge(dut.clk_i)
    a_data: int | None = None
    b_data: int | None = None
    collisions = 0
    for _ in range(3000):
        a_en, b_en, b_we = rng.randrange(2), rng.randrange(2), rng.randrange(2)
        a_addr, b_addr, byte = rng.randrange(depth), rng.randrange(depth), rng.randrange(256)
        dut.a_en_i.value = a_en
        dut.a_addr_i.value = a_addr
        dut.b_en_i.value = b_en
        dut.b_we_i.value = b_we
        dut.b_addr_i.value = b_addr
        dut.b_data_i.value = byte
        await RisingEdge(dut.clk_i)
        if a_data is not None:
            assert int(dut.a_data_o.value) == a_data
        if b_data is not None:
            assert int(dut.b_data_o.value) == b_data
        if a_en:
            a_data = memory[a_addr]
        if b_en:
            b_data = memory[b_addr]
        if b_en and b_we:
            collisions += a_en and a_addr == b_addr
            memory[b_addr] = byte
    assert collisions > 20
