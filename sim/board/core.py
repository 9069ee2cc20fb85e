"""What a simulated board asks of a core, and a scripted one for overhead and fault tests."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from penstock.program.core.registers import (
    AP_CTRL,
    AP_DONE,
    AP_IDLE,
    AP_READY,
    AP_START,
    GIER,
    IER,
    ISR,
    OFFSETS,
    Position,
)

Bytes = npt.NDArray[np.uint8]


class Core(Protocol):
    """A core behind its registers; time passes only when it is accessed or advanced."""

    def attach(self, memory: Bytes, base: int) -> None:
        """Reset, and see `memory` at address `base`."""

    def read(self, offset: int) -> int:
        """Read a register."""

    def write(self, offset: int, value: int) -> None:
        """Write a register."""

    def advance(self, cycles: int) -> bool:
        """Let up to `cycles` pass; True, at once, when the interrupt is high."""


class RegisterCore:
    """The registers of `ap_ctrl_hs` around `execute`, which does a whole run at once.

    Attributes:
        hang: never be done.
        delay: cycles a run takes.
        runs: runs so far.
    """

    def __init__(self) -> None:
        self.hang, self.delay, self.runs = False, 0, 0
        self._registers: dict[int, int] = {}

    def execute(self, memory: Bytes, base: int, registers: dict[int, int]) -> tuple[int, Position]:
        """One run: `registers` by offset as the host wrote them; returns (error, position)."""
        raise NotImplementedError

    def attach(self, memory: Bytes, base: int) -> None:
        """Reset, and see `memory` at address `base`."""
        self._memory, self._base = memory, base
        self._registers = {}
        self._busy = False
        self._done = self._left = self._error = 0
        self._position = Position(0, 0)

    def read(self, offset: int) -> int:
        """Read a register."""
        if offset == AP_CTRL:
            value = AP_START if self._busy else self._done | AP_IDLE
            self._done = 0
            return value
        if offset == OFFSETS["error"]:
            return self._error
        if offset == OFFSETS["position"]:
            return self._position.descriptor
        if offset == OFFSETS["image"]:
            return self._position.image
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == ISR:
            self._registers[ISR] = self._registers.get(ISR, 0) ^ value
        elif offset != AP_CTRL:
            self._registers[offset] = value
        elif value & AP_START and not self._busy:
            self.runs += 1
            self._busy, self._left = True, self.delay
            self.advance(0)

    def advance(self, cycles: int) -> bool:
        """Let up to `cycles` pass; True when the interrupt is high."""
        self._left -= cycles
        if self._busy and self._left <= 0:
            self._finish()
        return bool(self._registers.get(GIER, 0) & 1 and self._registers.get(ISR, 0))

    def _finish(self) -> None:
        self._error, self._position = self.execute(self._memory, self._base, self._registers)
        if self.hang:
            return
        self._busy = False
        self._done = AP_DONE | AP_READY
        self._registers[ISR] = self._registers.get(ISR, 0) | self._registers.get(IER, 0)


class ScriptedCore(RegisterCore):
    """The *null core*: a run does nothing, or what a test scripts.

    Attributes:
        error: stop with this code.
        position: what the registers position and image read then.
        on_run: called in a run with (memory, base, registers by offset).
    """

    def __init__(self, on_run: Callable[[Bytes, int, dict[int, int]], None] | None = None) -> None:
        super().__init__()
        self.error, self.position, self.on_run = 0, Position(0, 0), on_run

    def execute(self, memory: Bytes, base: int, registers: dict[int, int]) -> tuple[int, Position]:
        """The script."""
        if self.on_run:
            self.on_run(memory, base, registers)
        return self.error, self.position
