"""`Board`: what this process knows of one FPGA, shared by every overlay and network on it.

Nothing is remembered that a bitstream loaded by someone else, another overlay or an interrupted
call could make untrue: arguments are written anew for each run, and whether the right design is
loaded is asked of PYNQ each time.
"""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from penstock.host.claim import claim_of
from penstock.host.errors import CoreBusyError


class Design(NamedTuple):
    """A bitstream and its `.hwh`, by SHA-1 of their contents; "" for a `.hwh` not known."""

    bit: str
    hwh: str

    def fits(self, other: "Design | None") -> bool:
        """Whether both are the same hardware."""
        if other is None or self.bit != other.bit:
            return False
        return self.hwh == other.hwh or not (self.hwh and other.hwh)


class Board:
    """One FPGA.  `board_of` makes them, one a device and process.

    Attributes:
        lock: held while a network runs, while a bitstream is loaded, while buffers are freed.
        pid: the process; a forked child has another, and must not use its parent's board.
        loading: the design whose loading has begun and not ended.
        running: the network whose run has begun and not ended: the core may write its buffers.
        done: ap_done has been seen since the last start; reading AP_CTRL clears it in the core.
        control: held from reading AP_CTRL until what it said is in `done`.
        lost: the time stamp of the bitstream under which an interrupt did not come.
    """

    def __init__(self, name: str) -> None:
        self.lock, self.control = threading.RLock(), threading.Lock()
        self.pid = os.getpid()
        self.loading: Design | None = None
        self.running: Any = None
        self.done = False
        self.lost: str | None = None
        self.claim = claim_of(name)
        self._seen: tuple[str, Design | None] | None = None

    def enter(self) -> None:
        """Check that this process and this thread may begin a run.

        Raises:
            CoreBusyError: in a forked child, or in the middle of a run of the same thread.
        """
        self.check_process()
        if self.inside():
            raise CoreBusyError(
                "this thread is in the middle of a run of the core",
                hint="do not call a network from a signal handler or a finaliser",
            )

    def inside(self) -> bool:
        """Whether this very thread holds the lock: a signal handler or finaliser within a run."""
        # What threading.Condition asks as well; no flag of our own survives every interruption.
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]

    def check_process(self) -> None:
        """CoreBusyError in a forked child."""
        if self.pid != os.getpid():
            raise CoreBusyError(
                f"the overlay was opened by process {self.pid}, this is a fork of it",
                hint="one process drives a core: send it the images, or open the overlay in the "
                "child alone (multiprocessing's 'spawn')",
            )

    def design(self, device: Any) -> Design | None:
        """What the FPGA holds, as far as PYNQ knows; None for nothing."""
        stamp = stamp_of(device)
        if self._seen is None or self._seen[0] != stamp:  # loaded by another than `loaded` tells
            if self._seen is not None:
                self.running, self.done = None, False  # which has reset the core
            name = getattr(device, "bitfile_name", None)
            self._seen = stamp, design_of(name) if stamp and name else _from_another_process()
        return self._seen[1]

    def loaded(self, device: Any, design: Design) -> None:
        """The loading of a bitstream has ended: the core is reset."""
        self._seen = stamp_of(device), design
        self.running, self.done = None, False
        self.loading = None


def board_of(device: Any) -> Board:
    """The board of a pynq Device in this process."""
    # It lives as long as the device; setdefault does not let two threads make two.
    board: Board = vars(device).setdefault(
        f"_penstock_board_{os.getpid()}", Board(str(getattr(device, "name", "pl")))
    )
    return board


def stamp_of(device: Any) -> str:
    """When PYNQ loaded the bitstream, "" if this process has loaded none."""
    return str(getattr(device, "timestamp", None) or "")


def design_of(bitfile: str | os.PathLike[str]) -> Design | None:
    """The design in a file and its `.hwh`; None if it cannot be read."""
    try:
        digests = [
            hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
            for path in (Path(bitfile), Path(bitfile).with_suffix(".hwh"))
        ]
    except OSError:
        return None
    return Design(*digests)


def _from_another_process() -> Design | None:
    """What PYNQ's own record, which outlives a process, says is loaded."""
    try:
        from pynq.pl_server import global_state

        if not global_state.global_state_file_exists():
            return None
        global_state.initial_global_state_file_boot_check()
        if not global_state.global_state_file_exists():
            return None
        digest: str = global_state.load_global_state().bitfile_hash
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    return Design(digest, "") if digest else None
