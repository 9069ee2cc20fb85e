"""ps_axil_regs: the ap_ctrl_hs register map, start and done, interrupts, latched arguments."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.program.core import registers
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_rng, start
from penstock.sim.cocotb.control import ARGUMENTS, Host


class Core:
    """The core's side: counts starts, gives done on request."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.starts = 0
        dut.done_i.value = 0
        dut.error_i.value = 0
        dut.position_i.value = 0
        dut.image_i.value = 0
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        while True:
            await RisingEdge(self.dut.clk_i)
            self.starts += int(self.dut.start_o.value)

    async def done(self) -> None:
        self.dut.done_i.value = 1
        await RisingEdge(self.dut.clk_i)
        self.dut.done_i.value = 0
        await RisingEdge(self.dut.clk_i)

    def arguments(self) -> dict[str, int]:
        return {r.name: int(getattr(self.dut, f"{r.name}_o").value) for r in ARGUMENTS}


async def _setup(
    dut: Any, idle: str = "none", back_pressure: str = "none"
) -> tuple[Host, Core, random.Random]:
    rng = bench_rng()
    core = Core(dut)
    host = Host(dut, dut.clk_i, dut.rst_ni, rng, idle, back_pressure)
    await start(dut.clk_i, dut.rst_ni)
    return host, core, rng


def _random_arguments(rng: random.Random) -> dict[str, int]:
    return {register.name: rng.getrandbits(register.width) for register in ARGUMENTS}


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def arguments(dut: Any, idle: str, back_pressure: str) -> None:
    """Arguments read back, reach the core at start and survive rewriting while it is busy."""
    host, core, rng = await _setup(dut, idle, back_pressure)
    first, second = _random_arguments(rng), _random_arguments(rng)
    await host.write_arguments(first)
    for register in ARGUMENTS:
        assert await host.read(register.offset, register.width) == first[register.name]
    await host.write(registers.AP_CTRL, registers.AP_START)
    for _ in range(2):
        await RisingEdge(dut.clk_i)
    assert core.starts == 1
    assert core.arguments() == first
    await host.write_arguments(second)
    await host.write(registers.AP_CTRL, registers.AP_START)  # busy: no effect
    assert core.arguments() == first
    assert await host.read(registers.AP_CTRL) == registers.AP_START
    await core.done()
    assert core.starts == 1
    await host.write(registers.AP_CTRL, registers.AP_START)
    for _ in range(2):
        await RisingEdge(dut.clk_i)
    assert core.starts == 2
    assert core.arguments() == second


@cocotb.test(**TIMEOUT)
async def control_bits(dut: Any) -> None:
    """idle, start, done (clear on read), ready; error, position and image from the core."""
    host, core, _ = await _setup(dut)
    assert await host.read(registers.AP_CTRL) == registers.AP_IDLE
    await host.write(registers.AP_CTRL, registers.AP_START)
    assert await host.read(registers.AP_CTRL) == registers.AP_START
    dut.error_i.value = 0x12345678
    dut.position_i.value = 0x9ABCDEF0
    dut.image_i.value = 0x0FEDCBA9
    assert await host.read(registers.OFFSETS["error"]) == 0x12345678
    assert await host.read(registers.OFFSETS["position"]) == 0x9ABCDEF0
    assert await host.read(registers.OFFSETS["image"]) == 0x0FEDCBA9
    await core.done()
    expected = registers.AP_DONE | registers.AP_IDLE | registers.AP_READY
    assert await host.read(registers.AP_CTRL) == expected
    assert await host.read(registers.AP_CTRL) == registers.AP_IDLE
    await host.write(registers.AP_CTRL, 0)
    assert core.starts == 1


@cocotb.test(**TIMEOUT)
async def done_wins_over_its_read(dut: Any) -> None:
    """A done in the very cycle in which AP_CTRL is read is not lost, whatever the cycle."""
    host, core, _ = await _setup(dut)
    for delay in range(8):
        await host.write(registers.AP_CTRL, registers.AP_START)
        read = cocotb.start_soon(host.read(registers.AP_CTRL))
        for _ in range(delay):
            await RisingEdge(dut.clk_i)
        await core.done()
        seen = await read | await host.read(registers.AP_CTRL)
        assert seen & registers.AP_DONE, f"done lost at delay {delay}"


@cocotb.test(**TIMEOUT)
async def interrupts(dut: Any) -> None:
    """GIER and IER gate the interrupt; ISR toggles on write."""
    host, core, _ = await _setup(dut)

    async def run() -> None:
        await host.write(registers.AP_CTRL, registers.AP_START)
        await core.done()

    await run()
    assert await host.read(registers.ISR) == 0  # IER off: nothing recorded
    await host.write(registers.IER, 1)
    await run()
    assert await host.read(registers.ISR) == 1
    assert int(dut.interrupt_o.value) == 0  # GIER off
    await host.write(registers.GIER, 1)
    await RisingEdge(dut.clk_i)
    assert int(dut.interrupt_o.value) == 1
    await host.write(registers.ISR, 1)
    await RisingEdge(dut.clk_i)
    assert int(dut.interrupt_o.value) == 0
    await host.write(registers.IER, 3)
    await run()
    assert await host.read(registers.ISR) == 3
    await host.write(registers.ISR, 2)
    assert await host.read(registers.ISR) == 1
    await host.write(registers.ISR, 3)  # toggles: clears bit 0, sets bit 1
    assert await host.read(registers.ISR) == 2
    assert await host.read(registers.GIER) == 1
    assert await host.read(registers.IER) == 3


@cocotb.test(**TIMEOUT)
async def strobes_and_holes(dut: Any) -> None:
    """Byte strobes are honoured; unmapped addresses read 0 and change nothing."""
    host, core, _ = await _setup(dut)
    values = {register.name: 0x0101010101010101 % (1 << register.width) for register in ARGUMENTS}
    await host.write_arguments(values)
    await host.axi.write(registers.OFFSETS["n_images"] + 1, b"\xaa\xbb")
    assert await host.read(registers.OFFSETS["n_images"]) == 0x01BBAA01
    mapped = {r.offset + i for r in registers.REGISTERS for i in range(0, r.width // 8, 4)}
    mapped |= {registers.AP_CTRL, registers.GIER, registers.IER, registers.ISR}
    for offset in sorted(set(range(0, 256, 4)) - mapped):
        await host.write(offset, 0xFFFFFFFF)
        assert await host.read(offset) == 0
    values["n_images"] = 0x01BBAA01
    for register in ARGUMENTS:
        assert await host.read(register.offset, register.width) == values[register.name]
    assert core.starts == 0
