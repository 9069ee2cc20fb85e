"""`PenstockIP`: PYNQ's driver of the core - arguments, start, wait, outcome."""

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from pynq import DefaultIP

from penstock.host.errors import (
    ConfigurationError,
    CoreError,
    CoreTimeoutError,
    InterruptMissingError,
)
from penstock.host.registermap import HASH_PARAMETER, VLNV, offsets_of
from penstock.program.registers import AP_DONE, AP_IDLE, AP_START, REGISTERS, ErrorCode

_DONE_BIT = 1  # of GIER, IER and ISR
_SPINS = 20  # polls without a pause: short runs end within them
_PAUSE_S = 50e-6

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
    """The core.  PYNQ makes one when an overlay that holds a Penstock core is opened.

    Register offsets come from the `.hwh`.  `interrupt` is PYNQ's Interrupt if the design routes
    the core's interrupt through an AXI interrupt controller, else None: then `wait` polls.
    """

    bindto = list(VLNV.values())  # noqa: RUF012  # PYNQ's convention

    interrupt: Any = None

    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description
        self._connect()

    def _connect(self) -> None:
        super().__init__(self._description)
        name = self._description["fullpath"]
        self._at = offsets_of(self._description.get("registers"), name)
        self._written: dict[str, int] = {}
        self._done = False

    def reconnect(self) -> None:
        """Forget everything known of the core: the bitstream has been loaded again."""
        self._connect()

    @property
    def config_hash(self) -> int | None:
        """Hash of the configuration in the bitstream; None if the `.hwh` does not tell."""
        value = self._description.get("parameters", {}).get(HASH_PARAMETER)
        return None if value is None else int(str(value), 0)

    # ---- running
    def start(self, arguments: Mapping[str, int]) -> None:
        """Write the arguments (those of ARGUMENTS, every one the first time) and start.

        Arguments are latched by the core, so the next run's may be written while one is going
        on.  Only what changed since the last start is written.

        Raises:
            CoreTimeoutError: the core still runs: a start would have no effect.
        """
        if not self._control() & AP_IDLE:
            raise CoreTimeoutError(
                "the core still runs and cannot be started",
                str(self.state()),
                "load the overlay again",
            )
        for name, value in arguments.items():
            if self._written.get(name) != value:
                self._write_argument(name, value)
        self._done = False
        if self.interrupt is not None:
            self._clear_interrupt()
            self.write(self._at["GIER"], _DONE_BIT)
            self.write(self._at["IP_IER"], _DONE_BIT)
        self.write(self._at["CTRL"], AP_START)

    def wait(self, timeout: float) -> None:
        """Return when the run is done, at most `timeout` seconds from now.

        Waits for the interrupt if there is one and no event loop runs here (in a notebook one
        does), else polls.

        Raises:
            CoreTimeoutError: not done in time; names the core's state.
            InterruptMissingError: done, but the interrupt did not come; later waits will poll.
            ConfigurationError: the program is for another hardware configuration.
            CoreError: the core stopped with another error code.
        """
        if self.interrupt is not None and not _loop_runs():
            self._wait_for_interrupt(timeout)
        else:
            self._poll(timeout)
        self._check_outcome()

    def state(self) -> CoreState:
        """What the registers say now."""
        position = self.read(self._at["position"])
        return CoreState(
            idle=bool(self._control() & AP_IDLE),
            error=self.read(self._at["error"]),
            image=position >> 16,
            descriptor=position & 0xFFFF,
        )

    # ---- parts
    def _control(self) -> int:
        """AP_CTRL; ap_done is cleared by reading, so it is kept here."""
        control = int(self.read(self._at["CTRL"]))
        self._done = self._done or bool(control & AP_DONE)
        return control

    def _write_argument(self, name: str, value: int) -> None:
        value = int(value)  # pynq.MMIO takes nothing but a plain int
        if ARGUMENTS[name] == 64:
            self.write(self._at[f"{name}_1"], value & 0xFFFFFFFF)
            self.write(self._at[f"{name}_2"], value >> 32)
        else:
            self.write(self._at[name], value)
        self._written[name] = value

    def _clear_interrupt(self) -> None:
        pending = self.read(self._at["IP_ISR"])
        if pending:
            self.write(self._at["IP_ISR"], pending)  # toggles

    def _is_done(self) -> bool:
        if not self._done:
            self._control()
        if self._done and self.interrupt is not None:
            self._clear_interrupt()
        return self._done

    def _poll(self, timeout: float) -> None:
        for _ in range(_SPINS):
            if self._is_done():
                return
        deadline = time.monotonic() + timeout
        while not self._is_done():
            if time.monotonic() > deadline:
                raise self._timeout(timeout)
            time.sleep(_PAUSE_S)

    def _wait_for_interrupt(self, timeout: float) -> None:
        loop = asyncio.get_event_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(self._interrupted(), timeout))
        except asyncio.TimeoutError:
            if not self._is_done():
                raise self._timeout(timeout) from None
            self.interrupt = None
            raise InterruptMissingError(
                f"the core is done, but no interrupt came within {timeout:g} s",
                hint="check the interrupt controller and its UIO device; polling from now on",
            ) from None

    async def _interrupted(self) -> None:
        while not self._is_done():
            await self.interrupt.wait()

    def _timeout(self, timeout: float) -> CoreTimeoutError:
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


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
