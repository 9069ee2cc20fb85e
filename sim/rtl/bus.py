"""The Verilated core as a host sees it: registers, an interrupt, and one memory both share.

`RtlCore` (engine.py) runs whole programs by itself.  Here a host does what a driver does on a
board - write arguments, start, poll or wait for the interrupt - and the core only moves when it
is accessed or told to run, so a simulated board needs no thread.
"""

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from penstock.program.core.config import HwConfig, get_config
from penstock.program.core.registers import BASES
from penstock.sim.rtl.build import SimulationError, build_core
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.records import Region, ResultRecord, RunRecord, load_library

Bytes = npt.NDArray[np.uint8]


class RtlBus:
    """One Verilated core behind its registers.

    Attributes:
        config: what the core was built for.
        cycles: clock cycles since it was made.
        bad_accesses: beats outside the memory (they were answered DECERR).
    """

    def __init__(
        self,
        config: HwConfig | str,
        *,
        latency: int = 40,
        library: Path | None = None,
        seed: int = 0,
        core: RtlCore | None = None,
    ) -> None:
        """Load the core, built if need be.

        Args:
            config: the configuration or its name.
            latency: cycles from a read request to its first beat.
            library: a library that is built already.
            seed: of the on-chip memories' first contents.
            core: use its model, which stays its own, instead of making one.

        Raises:
            SimulationError: the core cannot be built.
        """
        self.config = get_config(config) if isinstance(config, str) else config
        self._borrowed = core is not None
        self._core: int | None
        if core is not None:
            self._library, self._core = core.model()
        else:
            path = library or build_core(self.config)
            self._library = load_library(path)
            self._core = self._library.ps_create(seed, False)
        self._latency = latency
        self._memory: Bytes | None = None  # keeps the array alive that the library points into
        self.cycles = self.bad_accesses = 0

    def attach(self, memory: Bytes, base: int) -> None:
        """Let the core see `memory` (whole beats) at address `base`; resets the core."""
        region = Region(base, memory.nbytes, memory.ctypes.data)
        run = RunRecord(reset=1, latency=max(self._latency, 1))
        for name in BASES:
            setattr(run, name, region)
        self._memory = memory
        self._library.ps_attach(self._core, ctypes.byref(run))

    def write(self, offset: int, value: int) -> None:
        """Write one 32-bit register over AXI4-Lite."""
        self._library.ps_poke(self._core, offset, value)

    def read(self, offset: int) -> int:
        """Read one 32-bit register over AXI4-Lite."""
        return int(self._library.ps_peek(self._core, offset))

    def host(self, *, strobe: int = 0xF, patience: int = 0) -> None:
        """How the host behaves: byte enables of its writes, cycles every answer has to wait."""
        self._library.ps_host(self._core, strobe, patience)

    def advance(self, cycles: int) -> bool:
        """Let up to `cycles` pass; True, at once, when the interrupt is high.

        Raises:
            SimulationError: the core broke an AXI rule.
        """
        result = ResultRecord()
        interrupt = self._library.ps_run(self._core, cycles, ctypes.byref(result))
        self.cycles, self.bad_accesses = result.cycles, result.bad_accesses
        if result.message:
            raise SimulationError(f"the core broke a rule: {result.message.decode()}")
        return bool(interrupt)

    def close(self) -> None:
        """Free the model."""
        if self._core and not self._borrowed:
            self._library.ps_destroy(self._core)
        self._core = None
