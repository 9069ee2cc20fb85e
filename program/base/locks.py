"""Locks between processes, and a word to whoever has to wait for one."""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Seconds without a word.
PATIENCE = 1.0


@contextlib.contextmanager
def locked(path: Path, what: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of `path`, a folder or a lock file (made if missing), waiting for it.

    After a second of waiting one line on stderr names the process that holds it; `what` says what
    is waited for, such as "the build of the core tiny".  A process that ends lets go of it.
    `shared`: any number may hold it at once, while none holds it alone.
    """
    handle = os.open(path, os.O_RDONLY) if path.is_dir() else _lock_file(path)
    try:
        _acquire(handle, what, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _acquire(handle: int, what: str, kind: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                break
        time.sleep(0.05)
    print(f"waiting for {what}: {_holder(handle)}", file=sys.stderr, flush=True)
    fcntl.flock(handle, kind)


def _holder(handle: int) -> str:
    """Who holds the lock, as far as the kernel tells."""
    pid = _holder_pid(os.fstat(handle))
    if pid is None:
        return "another process holds the lock"
    if _state(pid) in ("T", "t"):
        return f"process {pid} holds the lock and is stopped (kill -CONT {pid} lets it go on)"
    return f"process {pid} holds the lock"


def _holder_pid(status: os.stat_result) -> int | None:
    """From /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`."""
    try:
        lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if len(words) < 6 or words[1] != "FLOCK":
            continue
        inode = words[5].rpartition(":")[2]
        if inode == str(status.st_ino) and int(words[4]) > 0:
            return int(words[4])
    return None


def _state(pid: int) -> str:
    """The kernel's letter of a process's state; "" if it cannot be told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]
