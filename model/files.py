"""Files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from penstock.model.errors import ModelError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under a temporary name in its folder, then move it into place.

    A reader sees the old file or the whole new one.  Raises ModelError.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            write(file)
        os.chmod(temporary, 0o644)  # temporary files start private
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(
            f"cannot write {path}: {error.strerror or error}", "choose another path"
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
