"""ps_bank_ram: banks with two ports, enables, data that hold, old bytes on a collision."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng


def _pack(data: list[int]) -> int:
    return int.from_bytes(bytes(data), "little")


@cocotb.test(**TIMEOUT)
async def random_accesses(dut: Any) -> None:
    """Either port shows, bank by bank, the byte of its last enabled address."""
    rng = bench_rng()
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    depth, banks = int(dut.Depth.value), int(dut.Banks.value)
    memory = [[rng.randrange(256) for _ in range(depth)] for _ in range(banks)]
    dut.a_en_i.value = 0
    dut.b_en_i.value = 1
    dut.b_we_i.value = (1 << banks) - 1
    for address in range(depth):
        for k in range(banks):
            dut.b_addr_i[k].value = address
        dut.b_data_i.value = _pack([bank[address] for bank in memory])
        await RisingEdge(dut.clk_i)
    a_data: int | None = None
    b_data: int | None = None
    collisions = 0
    for _ in range(3000):
        a_en, b_en, b_we = rng.randrange(2), rng.randrange(2), rng.randrange(1 << banks)
        row, row_next, choice = (
            rng.randrange(depth),
            rng.randrange(depth),
            rng.randrange(1 << banks),
        )
        a_addr = [row_next if choice >> k & 1 else row for k in range(banks)]
        b_addr = [rng.randrange(depth) for _ in range(banks)]
        data = [rng.randrange(256) for _ in range(banks)]
        dut.a_en_i.value = a_en
        dut.a_row_i.value = row
        dut.a_row_next_i.value = row_next
        dut.a_next_i.value = choice
        dut.b_en_i.value = b_en
        dut.b_we_i.value = b_we
        for k in range(banks):
            dut.b_addr_i[k].value = b_addr[k]
        dut.b_data_i.value = _pack(data)
        await RisingEdge(dut.clk_i)
        if a_data is not None:
            assert int(dut.a_data_o.value) == a_data
        if b_data is not None:
            assert int(dut.b_data_o.value) == b_data
        if a_en:
            a_data = _pack([memory[k][a_addr[k]] for k in range(banks)])
        if b_en:
            b_data = _pack([memory[k][b_addr[k]] for k in range(banks)])
            for k in range(banks):
                if b_we >> k & 1:
                    collisions += a_en and a_addr[k] == b_addr[k]
                    memory[k][b_addr[k]] = data[k]
    assert collisions > 20
