"""Shared libraries that are built once and kept: a lock, a temporary folder, one move."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def fingerprint(words: Sequence[str], files: Sequence[Path]) -> str:
    """16 hexadecimal digits that change with any of the words or the files' names or contents."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in files:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build_once(folder: Path, library: str, build: Callable[[Path], None]) -> Path:
    """The file `library` in `folder`; if it is missing, `build` makes it in a temporary folder.

    A lock keeps two processes from building the same one, and a broken build leaves nothing.
    """
    path = folder / library
    if path.is_file():
        return path
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_suffix(".lock")):
        if path.is_file():  # another process has built it meanwhile
            return path
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
            build(Path(work))
            folder.mkdir(exist_ok=True)
            os.replace(Path(work) / library, path)
    return path


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
