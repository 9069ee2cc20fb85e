"""Files that appear whole or not at all: the one way in which this project writes a result.

A regular file, or a new one, is written under a temporary name in its folder and then renamed.
Anything else a path can name - a device, a pipe, an open descriptor such as /dev/stdout - is
written through: renaming over it would destroy it.  A symbolic link stays, its target is written.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from penstock.program.base.errors import PenstockError

#: Prefix of every temporary file and folder.
TEMPORARY = ".penstock-"

_DESCRIPTOR = re.compile(r"/(?:dev|proc/(?:self|thread-self|\d+))/fd/(\d+)")
_LINKS = 40  # as many as the kernel follows


class WriteError(PenstockError):
    """A result that cannot be written where the user wants it."""


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.  WriteError if it cannot be written."""
    write_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that then appears at `path`; missing folders are made.

    Args:
        path: a regular file, a link to one or nothing: replaced in one step, its mode kept.
            A device, a pipe, /dev/stdout or /dev/fd/N: written through.
        write: is given a seekable binary file.

    Raises:
        WriteError: the file cannot be written; what was there is as it was.
    """
    path = Path(path)
    try:
        with _opened(path) as through:
            if through is None:
                _replace(Path(os.path.realpath(path)), write)
                return
            with tempfile.TemporaryFile() as file:  # archives need one that seeks
                write(file)
                file.seek(0)
                shutil.copyfileobj(file, through)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | None]:
    """The file to write through, open; None if `path` is to be replaced."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            yield file
        return
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise WriteError(f"cannot write {path}: it is a folder", hint="give the name of a file")
    if stat.S_ISBLK(mode):
        raise WriteError(f"cannot write {path}: it is a block device", hint="give another name")
    if stat.S_ISREG(mode):
        yield None
        return
    with os.fdopen(os.open(path, os.O_WRONLY), "wb") as file:
        yield file


def _descriptor(path: Path) -> int | None:
    """N of a path that ends, link by link, at /dev/fd/N; None of any other."""
    name = os.path.abspath(path)
    for _ in range(_LINKS):
        if found := _DESCRIPTOR.fullmatch(name):
            return int(found[1])
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


def _replace(target: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside `target`, then rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode(target)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, or those of a new one."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(os.stat(target).st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
