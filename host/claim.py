"""`Claim`: one process at a time drives the FPGA.

A POSIX file lock: the kernel gives it back when the process ends, however it ends, and a forked
child does not inherit it.
"""

import fcntl
import os
import re
import tempfile
import threading
import warnings

from penstock.host.errors import CoreBusyError

#: Where lock files live, the first that is there and may be written to.
FOLDERS = ("/run/lock", "/var/lock", tempfile.gettempdir())


class Claim:
    """The lock of one board, held while anything in this process uses it.

    There is one object a file in a process: closing any descriptor of a file drops its lock.
    """

    def __init__(self, path: str) -> None:
        self.path, self._pid = path, os.getpid()
        self._lock = threading.RLock()  # taken again by a finaliser that the garbage collector runs
        self._users, self._file = 0, -1

    def take(self) -> None:
        """Count one more user in this process.

        Raises:
            CoreBusyError: another process holds it.
        """
        with self._lock:
            if not self._users:
                self._file = _locked(self.path)
            self._users += 1

    def give_back(self) -> None:
        """Count one user less; the last one opens the board to other processes."""
        if self._pid != os.getpid():
            return  # a fork's copy: the file is the parent's
        with self._lock:
            self._users -= 1
            if self._users or self._file < 0:
                return
            os.unlink(self.path)
            os.close(self._file)
            self._file = -1


_CLAIMS: dict[str, Claim] = {}
os.register_at_fork(after_in_child=_CLAIMS.clear)  # its parent's, which the child does not hold


def claim_of(board: str) -> Claim:
    """The claim of the board of that name."""
    folder = next((f for f in FOLDERS if os.access(f, os.W_OK)), FOLDERS[-1])
    name = re.sub(r"[^A-Za-z0-9]+", "-", board).strip("-").lower()
    path = os.path.join(folder, f"penstock-{name}.lock")
    return _CLAIMS.setdefault(path, Claim(path))


def _locked(path: str) -> int:
    """A descriptor of the locked file; -1, with a warning, where none can be made."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            warnings.warn(
                f"{path} cannot be written ({error.strerror}): nothing keeps another process "
                "from using the core at the same time",
                stacklevel=2,
            )
            return -1
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise CoreBusyError(
                f"process {holder} uses the core",
                hint="one process drives a core: end that one (restart its notebook's kernel) "
                "or free() its overlay",
            ) from None
        if _is_still(path, file):
            os.ftruncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
            return file
        os.close(file)  # its last holder has just removed it


def _is_still(path: str, file: int) -> bool:
    """Whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
