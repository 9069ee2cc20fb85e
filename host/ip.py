"""`PenstockIP`: PYNQ's driver of the core - arguments, start, wait, outcome."""

import dataclasses
import time
import warnings
from collections.abc import Mapping
from typing import Any

from pynq import DefaultIP

from penstock.host.board import board_of, stamp_of
from penstock.host.errors import (
    AddressError,
    ConfigurationError,
    CoreError,
    CoreTimeoutError,
    HostError,
    InterruptMissingError,
    OverlayError,
)
from penstock.host.interrupt import InterruptLine, line_of
from penstock.host.registermap import HASH_PARAMETER, VLNV, offsets_of
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.registers import AP_DONE, AP_IDLE, AP_START, BASES, REGISTERS, ErrorCode

_DONE_BIT = 1  # of GIER, IER and ISR
_SPINS = 20  # polls without a pause: short runs end within them
_PAUSE_S = 50e-6
_LOOK_S = 1.0  # at most so long without a look at the core, whatever the interrupt does
_GRACE_S = 0.05  # that an interrupt may come after the core is done

_PIN = "interrupt"

#: Width in bits of every argument the host writes.
ARGUMENTS = {r.name: r.width for r in REGISTERS if not r.from_core}


@dataclasses.dataclass(frozen=True)
class CoreState:
    """What the core's registers say: its position is where it is, or where it stopped."""

    idle: bool
    error: int
    image: int
    descriptor: int

    def __str__(self) -> str:
        doing = "idle" if self.idle else "running"
        return f"{doing} at image {self.image}, descriptor {self.descriptor}, error {self.error}"


class PenstockIP(DefaultIP):
    """The core.  PYNQ makes one for every overlay that holds a Penstock core.

    Register offsets come from the `.hwh`.  What there is to remember of the core is in `board`,
    which all of them share.

    Attributes:
        board: the FPGA.
        design: knows the design's interrupt controllers: the overlay, or else PYNQ's device.
    """

    bindto = list(VLNV.values())  # noqa: RUF012  # PYNQ's convention

    def __init__(self, description: dict[str, Any]) -> None:
        # PYNQ would make its Interrupt here, which needs an event loop of this thread.
        super().__init__({k: v for k, v in description.items() if k != "interrupts"})
        self._interrupts = description.get("interrupts", {})
        self._description = description
        self._at = offsets_of(description.get("registers"), description["fullpath"])
        self.board = board_of(self.device)
        self.design: Any = self.device
        self._line: tuple[str, InterruptLine | None] | None = None
        self._loaded: str | None = None  # stamp of the bitstream at the last start

    def __reduce__(self) -> Any:
        raise HostError("the driver of a core belongs to its process and cannot be copied")

    @property
    def config_hash(self) -> int | None:
        """Hash of the configuration in the bitstream; None if the `.hwh` does not tell."""
        value = self._description.get("parameters", {}).get(HASH_PARAMETER)
        return None if value is None else int(str(value), 0)

    @property
    def interrupt(self) -> InterruptLine | None:
        """The core's interrupt, if the design and the kernel have a way for it: else polled."""
        stamp = stamp_of(self.device)
        if _PIN not in self._interrupts or self.board.lost == stamp:
            return None
        if self._line is None or self._line[0] != stamp:  # another bitstream since
            line = line_of(_PIN, self._interrupts[_PIN], self.design, self.device)
            self._line = stamp, line
        return self._line[1]

    # ---- running; whoever does so holds `board.lock`
    def start(self, arguments: Mapping[str, int]) -> None:
        """Write the arguments (those of ARGUMENTS; others stay what they are) and start.

        Arguments are latched by the core.  All that are given are written: what the core holds
        may be another overlay's, or gone with a bitstream.

        Raises:
            AddressError: a buffer does not begin with a whole beat.
            CoreTimeoutError: the core still runs: a start would have no effect.
            OverlayError: the registers do not keep what is written to them.
        """
        for name in BASES:
            if (at := arguments.get(name, 0)) % BEAT_BYTES:
                raise AddressError(
                    f"the buffer '{name}' begins at {at:#x}, which is no multiple of {BEAT_BYTES}",
                    hint="allocate it with pynq.allocate",
                )
        if not self._control() & AP_IDLE:
            raise CoreTimeoutError(
                "the core still runs and cannot be started",
                str(self.state()),
                "load the overlay again",
            )
        for name, value in arguments.items():
            self._write_argument(name, int(value))  # pynq.MMIO takes nothing but a plain int
        self._check_kept(arguments)
        line = self.interrupt
        self._clear_interrupt()
        if line is not None:
            line.arm()
            self.write(self._at["GIER"], _DONE_BIT)
            self.write(self._at["IP_IER"], _DONE_BIT)
        self._loaded = stamp_of(self.device)
        with self.board.control:
            self.board.done = False
            self.write(self._at["CTRL"], AP_START)

    def wait(self, timeout: float | None) -> None:
        """Return when the run is done, at most `timeout` seconds from now (None: whenever).

        Waits for the interrupt if there is one, in whatever thread this is, else polls.

        Raises:
            CoreTimeoutError: not done in time; names the core's state.
            InterruptMissingError: done, but the interrupt did not come; later waits will poll.
            ConfigurationError: the program is for another hardware configuration.
            CoreError: the core stopped with another error code.
            OverlayError: another bitstream has been loaded meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._spin():
            line = self.interrupt
            try:
                if line is not None:
                    self._wait_for_interrupt(line, deadline, timeout)
            except OSError as error:
                warnings.warn(f"the UIO device fails ({error}); the driver polls", stacklevel=2)
                self.board.lost = stamp_of(self.device)
            if self.interrupt is None:
                self._poll(deadline, timeout)
        self._check_loaded()
        self._clear_interrupt()
        self._check_outcome()

    def wait_until_idle(self, timeout: float) -> None:
        """Return when the core does nothing, whatever it did.  CoreTimeoutError if it goes on."""
        deadline = time.monotonic() + timeout
        while not self._control() & AP_IDLE:
            if time.monotonic() > deadline:
                raise self._timeout(timeout)
            time.sleep(_PAUSE_S)

    def state(self) -> CoreState:
        """What the registers say now."""
        return CoreState(
            idle=bool(self._control() & AP_IDLE),
            error=self.read(self._at["error"]),
            image=self.read(self._at["image"]),
            descriptor=self.read(self._at["position"]),
        )

    # ---- parts
    def _control(self) -> int:
        """AP_CTRL; ap_done is cleared by reading, so it is kept."""
        with self.board.control:
            control = int(self.read(self._at["CTRL"]))
            self.board.done = self.board.done or bool(control & AP_DONE)
        return control

    def _write_argument(self, name: str, value: int) -> None:
        if ARGUMENTS[name] == 64:
            self.write(self._at[f"{name}_1"], value & 0xFFFFFFFF)
            self.write(self._at[f"{name}_2"], value >> 32)
        else:
            self.write(self._at[name], value)

    def _check_kept(self, arguments: Mapping[str, int]) -> None:
        wanted = arguments.get("config_hash")
        if wanted is None or self.read(self._at["config_hash"]) == wanted:
            return
        raise OverlayError(
            f"the registers at {self.mmio.base_addr:#x} do not keep what is written to them: the "
            "FPGA holds another design, or the core has no clock",
            hint="overlay.download()",
        )

    def _clear_interrupt(self) -> None:
        if _PIN not in self._interrupts:
            return
        pending = self.read(self._at["IP_ISR"])
        if pending:
            self.write(self._at["IP_ISR"], pending)  # toggles

    def _is_done(self) -> bool:
        return self.board.done or bool(self._control() & AP_DONE)

    def _has_ended(self) -> bool:
        """Also if someone else's look at AP_CTRL took ap_done away; not right after a start."""
        return self._is_done() or bool(self._control() & AP_IDLE)

    def _spin(self) -> bool:
        return any(self._is_done() for _ in range(_SPINS if self.interrupt is None else 1))

    def _check_loaded(self) -> None:
        if self._loaded not in (None, stamp_of(self.device)):
            raise OverlayError(
                "another bitstream was loaded while the core ran",
                hint="overlay.download() loads this one again",
            )

    def _poll(self, deadline: float | None, timeout: float | None) -> None:
        look = time.monotonic() + _LOOK_S
        while not self._is_done():
            now = time.monotonic()
            self._check_loaded()
            if now > look or (deadline is not None and now > deadline):
                if self._has_ended():
                    return
                look = now + _LOOK_S
            if deadline is not None and now > deadline:
                raise self._timeout(timeout)
            time.sleep(_PAUSE_S)

    def _wait_for_interrupt(
        self, line: InterruptLine, deadline: float | None, timeout: float | None
    ) -> None:
        while True:
            left = _LOOK_S if deadline is None else deadline - time.monotonic()
            came = line.wait(min(left, _LOOK_S))
            line.acknowledge()
            self._check_loaded()
            if self._is_done() or (not came and self._has_ended()):
                if not came and not line.wait(_GRACE_S):
                    raise self._missing(timeout)
                return
            if deadline is not None and time.monotonic() > deadline:
                raise self._timeout(timeout)
            if came:
                time.sleep(_PAUSE_S)  # it was another's, and may come again at once

    def _missing(self, timeout: float | None) -> InterruptMissingError:
        self.board.lost = self._loaded
        waited = _LOOK_S if timeout is None else min(timeout, _LOOK_S)
        return InterruptMissingError(
            f"the core is done, but no interrupt came within {waited:g} s",
            hint="check the interrupt controller and its UIO device; polling from now on",
        )

    def _timeout(self, timeout: float | None) -> CoreTimeoutError:
        return CoreTimeoutError(f"the core is not done after {timeout:g} s", str(self.state()))

    def _check_outcome(self) -> None:
        error = self.read(self._at["error"])
        if error == ErrorCode.NONE:
            return
        state = self.state()
        failure = CoreError(error, state.image, state.descriptor)
        if error == ErrorCode.CONFIG:
            raise ConfigurationError(failure.message, hint=failure.hint) from failure
        raise failure
