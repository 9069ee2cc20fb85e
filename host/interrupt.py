"""`InterruptLine`: waits for the core's interrupt from any thread, without an event loop.

PYNQ's own Interrupt belongs to the event loop of the thread that made it: a worker thread has none,
and a notebook's is busy running the cell.  A UIO device may be opened more than once, and each
opening sees every interrupt, so this one has its own and leaves PYNQ's alone.
"""

import contextlib
import os
import select
import sys
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

from pynq import MMIO
from pynq.interrupt import _InterruptController, get_uio_irq

# Registers of an AXI interrupt controller (PG099).
_IAR, _SIE, _MER = 0x0C, 0x10, 0x1C
_ENABLE = (1).to_bytes(4, sys.byteorder)


class InterruptLine:
    """The way from the core's pin through interrupt controllers to a UIO device."""

    def __init__(self, device: str, controllers: Sequence[tuple[Any, int]]) -> None:
        """`device` is the path of the UIO device, `controllers` registers and bit of each."""
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        self._file = os.open(device, flags)
        weakref.finalize(self, os.close, self._file)
        self._controllers = controllers
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def arm(self) -> None:
        """Forget old interrupts and let the next one through.  Before a start."""
        self._drain()
        for registers, bit in self._controllers:
            registers.write(_IAR, bit)
            registers.write(_SIE, bit)
            registers.write(_MER, 3)

    def wait(self, seconds: float) -> bool:
        """True as soon as an interrupt came, from whatever source shares the line."""
        os.write(self._file, _ENABLE)  # the kernel masks the line at each interrupt
        came = bool(self._poll.poll(max(seconds, 0) * 1000))
        self._drain()
        return came

    def acknowledge(self) -> None:
        """Tell the controllers that the core's interrupt has been served."""
        for registers, bit in self._controllers:
            registers.write(_IAR, bit)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._file, 4):
                pass


def line_of(name: str, pin: dict[str, Any], design: Any, device: Any) -> InterruptLine | None:
    """The line of a pin of `design`, which knows the controllers; None, with a warning, if none.

    Args:
        name: of the pin.
        pin: its entry in PYNQ's `interrupt_pins`.
        design: has `interrupt_controllers` and `ip_dict`, as an overlay has.
        device: the pynq Device.
    """
    controllers = []
    parent = pin.get("parent", pin.get("controller", ""))
    while parent:
        registers = MMIO(design.ip_dict[parent]["phys_addr"], 32, device=device)
        controllers.append((registers, 1 << pin["index"]))
        pin = design.interrupt_controllers[parent]
        parent = pin["parent"]
    path = _uio(pin["raw_irq"])
    why = f"no UIO device for line {pin['raw_irq']}"
    if path is not None:
        try:
            return InterruptLine(path, controllers)
        except OSError as error:
            why = str(error)
    warnings.warn(f"Interrupt {name} not created: {why}; the driver polls", stacklevel=3)
    return None


def _uio(line: int) -> str | None:
    """Path of the UIO device of an interrupt line."""
    known = _InterruptController._uio_devices.get(line)
    if known is not None:
        return str(known.uio.name)
    try:
        path: str | None = get_uio_irq(line)
    except OSError:
        return None
    return path
