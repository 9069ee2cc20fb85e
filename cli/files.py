"""Reading arrays with checks; `program/files.py` and `program/folder.py` write."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])
Images = npt.NDArray[np.float32]


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file; InputError if it is missing, damaged or holds objects."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own, of a header that is no literal
            array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # NumPy passes on whatever zipfile and tokenize raise
        raise InputError(
            f"{path} is not a NumPy .npy array", hint="write it with numpy.save"
        ) from (error)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive of arrays", hint="give one .npy array")
    return array


def check_images(
    images: npt.NDArray[Any],
    shape: tuple[int, ...] | None,
    source: str,
    limit: int | None = None,
    codes: np.dtype[Any] | None = None,
) -> npt.NDArray[Any]:
    """The first `limit` of `images` (N, C, H, W) float32 after checks.

    `shape` is the network's input (C, H, W), None if any will do; `codes` the integer type that it
    takes as well, if any.  InputError on another dtype or shape, on no image at all, and on NaN or
    infinity (with the first such image).
    """
    if images.dtype != np.float32 and (codes is None or images.dtype != codes):
        raise _wrong_type(images.dtype, source, codes)
    if images.ndim != 4:
        raise InputError(
            f"images have shape {images.shape}, expected four dimensions N x C x H x W", source
        )
    if shape is not None and images.shape[1:] != shape:
        got, want = (" x ".join(map(str, s)) for s in (images.shape[1:], shape))
        raise InputError(f"images are {got} (C x H x W), the network takes {want}", source)
    images = images[:limit]
    if not len(images):
        raise InputError("there is no image", source)
    finite = np.isfinite(images)
    if not finite.all():
        first = int(np.argmin(finite.reshape(len(images), -1).all(axis=1)))
        kind = "NaN" if np.isnan(images[first]).any() else "infinity"
        raise InputError(f"image {first} holds {kind}", source)
    return np.ascontiguousarray(images)


def _wrong_type(got: np.dtype[Any], source: str, codes: np.dtype[Any] | None) -> InputError:
    """The error for images of a type: integers are never taken for real values, or rescaled."""
    if codes is not None:
        expected = f"float32 (real values) or {codes} (codes, as the network's file takes them)"
    else:
        expected = "float32"
    hint = "images.astype(numpy.float32)"
    if got.kind in "iub":
        hint = "normalise them as for training, in float32"
        if codes is not None:
            hint = f"codes: images.astype(numpy.{codes}), if none is outside its range"
    return InputError(f"images are {got}, expected {expected}", source, hint)


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
