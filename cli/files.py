"""Labels from files, and an option that is everyone's; `program/` writes files and folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.errors import InputError
from penstock.images import read_array

F = TypeVar("F", bound=Callable[..., Any])


def read_labels(path: Path, images: int) -> npt.NDArray[np.int64]:
    """The first `images` labels of a .npy file; InputError if there are fewer or no integers."""
    labels = read_array(path)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels are {labels.dtype} of shape {labels.shape}, expected N integers", str(path)
        )
    if len(labels) < images:
        raise InputError(f"{len(labels)} labels for {images} images", str(path))
    return labels[:images].astype(np.int64)


def force_option(command: F) -> F:
    """The `--force` of every command that writes a folder."""
    return click.option(
        "--force",
        is_flag=True,
        help="Write also into a folder with other files in it, and over files that were changed.",
    )(command)
