"""Reading arrays with checks, writing files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.cli.errors import InputError

Images = npt.NDArray[np.float32]


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file; InputError if it is missing, damaged or holds objects."""
    try:
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


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step (temporary name, then rename)."""
    write_file(path, lambda temporary: temporary.write_text(text))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then give it its name; InputError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # numpy.savez appends .npz to other names, so the temporary name keeps the suffix.
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            write(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def write_folder(path: Path, write: Callable[[Path], object], marker: str) -> None:
    """Let `write` fill a temporary folder, then put it at `path`.

    An existing folder is replaced only if it is empty or an earlier result: it holds `marker`.
    """
    if path.exists():
        if not path.is_dir():
            raise InputError(f"{path} exists and is not a folder", hint="choose another -o")
        if any(path.iterdir()) and not (path / marker).exists():
            raise InputError(
                f"{path} exists and is not the output of this command", hint="choose another -o"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as holder:
            made = Path(holder) / "new"
            made.mkdir()
            write(made)
            if path.exists():
                os.replace(path, Path(holder) / "old")
            os.replace(made, path)
            shutil.rmtree(Path(holder) / "old", ignore_errors=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
