"""An AXI interrupt controller and the UIO device PYNQ waits on."""

import asyncio
from collections.abc import Callable
from typing import Any

_ISR, _IPR, _IER, _IAR, _SIE, _CIE, _MER = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C


class InterruptController:
    """Registers of `axi_intc` (PG099) with one level-sensitive input."""

    def __init__(self, level: Callable[[], bool], index: int) -> None:
        """`level` tells whether the input numbered `index` is high."""
        self._level, self._bit = level, 1 << index
        self._latched = self._enabled = self._master = 0

    def read(self, offset: int) -> int:
        """Read a register."""
        self._sample()
        pending = self._latched & self._enabled
        return {_ISR: self._latched, _IPR: pending, _IER: self._enabled, _MER: self._master}.get(
            offset, 0
        )

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._sample()
        if offset == _IER:
            self._enabled = value
        elif offset == _SIE:
            self._enabled |= value
        elif offset == _CIE:
            self._enabled &= ~value
        elif offset == _IAR:
            self._latched &= ~value
        elif offset == _MER:
            self._master = value

    def output(self) -> bool:
        """Its interrupt to the processor."""
        self._sample()
        return self._master & 3 == 3 and bool(self._latched & self._enabled)

    def _sample(self) -> None:
        if self._level():
            self._latched |= self._bit


class SimulatedUio:
    """Stands where PYNQ keeps a UioController: sets events when the interrupt comes.

    The core moves while the event loop is idle.

    Attributes:
        lost: never pass an interrupt on.
    """

    def __init__(self, advance: Callable[[], object], output: Callable[[], bool]) -> None:
        self.lost = False
        self._advance, self._output = advance, output
        self._events: list[Any] = []

    def add_event(self, event: Any, number: int) -> None:
        """PYNQ's call: set `event` at the next interrupt."""
        if not self._events:
            asyncio.get_event_loop().call_soon(self._turn)
        self._events.append(event)

    def _turn(self) -> None:
        self._advance()
        if self.lost or not self._output():
            asyncio.get_event_loop().call_later(0.001 if self.lost else 0, self._turn)
            return
        events, self._events = self._events, []
        for event in events:
            event.set()
