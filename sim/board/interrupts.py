"""An AXI interrupt controller and the UIO device PYNQ waits on."""

import asyncio
import os
import pty
import select
import threading
import tty
import weakref
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
    """A UIO device: a file that is read for an interrupt and written to let the next one through.

    It is one end of a pseudo-terminal; at the other a thread lets the core's time pass from when
    the interrupt is let through until it comes.  PYNQ's UioController has the same attribute `uio`.

    Attributes:
        uio: the file, open; its name is the device's path.
        lost: never pass an interrupt on.
    """

    def __init__(self, advance: Callable[[], object], output: Callable[[], bool]) -> None:
        self.lost, self.closed = False, False
        self._advance, self._output = advance, output
        self._board_side, host_side = pty.openpty()
        tty.setraw(host_side)
        flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
        self.uio: Any = open(  # noqa: SIM115  # as long as the device lives
            os.ttyname(host_side), "r+b", buffering=0, opener=lambda path, _: os.open(path, flags)
        )
        os.close(host_side)
        self._events: list[Any] = []
        weakref.finalize(self, os.close, self._board_side)
        threading.Thread(
            target=_serve, args=(weakref.ref(self), os.dup(self._board_side)), daemon=True
        ).start()

    def close(self) -> None:
        """Its bitstream is gone: no interrupt comes any more."""
        self.closed = True

    def add_event(self, event: Any, number: int) -> None:
        """PYNQ's call: set `event` at the next interrupt, from the event loop that runs here."""
        if not self._events:
            asyncio.get_event_loop().add_reader(self.uio, self._callback)
            self.uio.write((1).to_bytes(4, "little"))
        self._events.append(event)

    def _callback(self) -> None:
        self.uio.read(4)
        asyncio.get_event_loop().remove_reader(self.uio)
        events, self._events = self._events, []
        for event in events:
            event.set()

    def _turn(self) -> bool:
        """Let some time pass; whether the interrupt has come and been passed on."""
        self._advance()
        if self.lost or not self._output():
            return False
        os.write(self._board_side, (1).to_bytes(4, "little"))
        return True


def _serve(device: "weakref.ref[SimulatedUio]", board_side: int) -> None:
    """The board's end, until the device is closed or nobody has it any more."""
    poll = select.poll()
    poll.register(board_side, select.POLLIN)
    enabled, turns = False, 0
    while True:
        events = poll.poll(_pause_ms(turns) if enabled else 100)
        if events and not events[0][1] & select.POLLIN:
            break  # nobody has the device open any more
        if events:
            os.read(board_side, 4)
            enabled, turns = True, 0
        uio = device()
        if uio is None or uio.closed:
            break
        if enabled:
            enabled, turns = not uio._turn(), turns + 1
        del uio
    os.close(board_side)


def _pause_ms(turns: int) -> int:
    """None at first; a core that does not come to an end must not take the whole processor."""
    return 0 if turns < 5000 else 1
