"""Files appear whole or not at all: `penstock.program.base.files` with this package's errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from penstock.model.errors import ModelError
from penstock.program.base.files import WriteError, write_file


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader sees the old or the whole new one.  Raises ModelError."""
    try:
        write_file(path, write)
    except WriteError as error:
        raise ModelError(error.message, error.hint or "choose another path") from error
