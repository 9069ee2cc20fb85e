"""The host's side of `s_axi_control`: registers by offset over a cocotbext-axi master."""

import random
from collections.abc import Mapping
from typing import Any

from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from penstock.program.core import registers
from penstock.sim.cocotb.bench import stall_pattern

#: The registers the host writes.
ARGUMENTS = tuple(register for register in registers.REGISTERS if not register.from_core)


class Host:
    """An AXI4-Lite master whose five channels stall as asked."""

    def __init__(
        self,
        dut: Any,
        clock: Any,
        reset: Any,
        rng: random.Random,
        idle: str = "none",
        back_pressure: str = "none",
    ) -> None:
        bus = AxiLiteBus.from_prefix(dut, "s_axi_control")
        self.axi = AxiLiteMaster(bus, clock, reset, reset_active_level=False)
        write, read = self.axi.write_if, self.axi.read_if
        for source in (write.aw_channel, write.w_channel, read.ar_channel):
            source.set_pause_generator(stall_pattern(idle, rng))
        for sink in (write.b_channel, read.r_channel):
            sink.set_pause_generator(stall_pattern(back_pressure, rng))

    async def write(self, offset: int, value: int, width: int = 32) -> None:
        """Write a register of 32 or 64 bits."""
        await self.axi.write(offset, value.to_bytes(width // 8, "little"))

    async def read(self, offset: int, width: int = 32) -> int:
        """Read a register of 32 or 64 bits."""
        return int.from_bytes((await self.axi.read(offset, width // 8)).data, "little")

    async def write_arguments(self, values: Mapping[str, int]) -> None:
        """Write every argument; `values` by register name."""
        for register in ARGUMENTS:
            await self.write(register.offset, values[register.name], register.width)
