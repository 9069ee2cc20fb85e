"""Images as callers give them: read, checked, and what is odd about them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import InputError
from penstock.program.network.meta import InputMeta
from penstock.program.network.pixels import Pixels, real_images

#: Share of the image values beyond the input quantiser's range that goes without a warning.  A
#: trained scale leaves out the outliers of a data set, a few in ten thousand.
MOST_SATURATED = 0.02
#: Codes of the brightest image value, of 127 or 255, below which images are as good as black.
LEAST_CODE = 8


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


def as_images(
    images: Any, source: str, *, codes: bool = False, pixels: Pixels | None = None
) -> npt.NDArray[Any]:
    """Images of NumPy, PyTorch or lists as a NumPy array [N, C, H, W], after `check_images`.

    Real values of any precision become float32; `codes`: int8 and uint8 stay as they are; with
    `pixels` uint8 images are photographs, channels first or last.

    Raises:
        InputError: no such array, or as `check_images`; `source` is what it calls them.
    """
    array = as_array(images, source)
    if pixels is not None and array.dtype == np.uint8 and array.ndim in (3, 4):
        channels, last = len(pixels.mean), array.ndim == 4 and array.shape[1] != len(pixels.mean)
        height, width = array.shape[-3:-1] if last else array.shape[-2:]
        array = normalized(array, pixels, (channels, height, width), source)
    integers = array.dtype if codes and array.dtype in (np.int8, np.uint8) else None
    return check_images(array, None, source, codes=integers)


def as_array(images: Any, source: str) -> npt.NDArray[Any]:
    """Images of NumPy, PyTorch or lists; real values of any precision are float32."""
    if hasattr(images, "detach"):  # torch.Tensor, wherever it lies
        images = images.detach().cpu()
    try:
        array = np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, other libraries
        raise InputError(
            f"{source} of type {type(images).__name__}, which NumPy does not take ({error})",
            hint="give a numpy.ndarray or a torch.Tensor",
        ) from error
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def check_images(
    images: npt.NDArray[Any],
    shape: tuple[int, ...] | None,
    source: str,
    limit: int | None = None,
    codes: np.dtype[Any] | None = None,
    real: bool = True,
) -> npt.NDArray[Any]:
    """The first `limit` of `images` (N, C, H, W) float32 after checks.

    `shape` is the network's input (mostly C, H, W), None if any will do; `codes` the integer type
    that it takes as well, if any, and without `real` alone.  InputError on another dtype or shape,
    on no image at all, and on NaN or infinity (with the first such image).
    """
    if not ((images.dtype == np.float32 and real) or (codes and images.dtype == codes)):
        raise _wrong_type(images.dtype, source, codes, real)
    rank = 4 if shape is None else 1 + len(shape)
    if images.ndim != rank and (shape is not None or images.ndim < 2):
        wanted = "four dimensions N x C x H x W" if rank == 4 else f"{rank} dimensions"
        raise InputError(f"images have shape {images.shape}, expected {wanted}", source)
    if shape is not None and images.shape[1:] != shape:
        got, want = (" x ".join(map(str, s)) for s in (images.shape[1:], shape))
        axes = " (C x H x W)" if rank == 4 else ""
        raise InputError(f"images are {got}{axes}, the network takes {want}", source)
    images = images[:limit]
    if not len(images):
        raise InputError("there is no image", source)
    finite = np.isfinite(images)
    if not finite.all():
        first = int(np.argmin(finite.reshape(len(images), -1).all(axis=1)))
        kind = "NaN" if np.isnan(images[first]).any() else "infinity"
        raise InputError(f"image {first} holds {kind}", source)
    return np.ascontiguousarray(images)


def normalized(
    images: npt.NDArray[Any], pixels: Pixels, shape: tuple[int, ...], source: str
) -> npt.NDArray[np.float32]:
    """uint8 photographs, channels first or last, as real values [N, *shape].

    Raises:
        InputError: another size than the network's `shape`: (C, H, W) or (H, W, C).
    """
    found = real_images(pixels, images, shape)
    if found is None:
        got, want = (" x ".join(map(str, s)) for s in (images.shape, shape))
        raise InputError(
            f"photographs are {got}, the network takes {want}, channels first or last",
            source,
            "crop or resize them first",
        )
    return found


def _wrong_type(
    got: np.dtype[Any], source: str, codes: np.dtype[Any] | None, real: bool
) -> InputError:
    """The error for images of a type: integers are never taken for real values, or rescaled."""
    if codes is not None and not real:
        return InputError(
            f"images are {got}, expected {codes}, as the network's file takes them",
            source,
            hint=f"images.astype(numpy.{codes}), if none is outside its range",
        )
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


def image_warnings(images: npt.NDArray[Any], image: InputMeta) -> list[str]:
    """Warnings about images that the input quantiser (metadata `image`) makes little of."""
    if images.dtype != np.float32:
        return []
    steps = images / np.float32(image["scale"])
    low, high = (-128, 127) if image["signed"] else (0, 255)
    lost = float(((steps < low - 1) | (steps > high + 1)).mean())
    least, greatest = float(images.min()), float(images.max())
    spans = f"they span {least:.4g} to {greatest:.4g}, the input quantiser's range is "
    spans += f"{low * image['scale']:.4g} to {high * image['scale']:.4g}"
    if lost > MOST_SATURATED:
        return [f"{lost:.1%} of the image values saturate: {spans}; normalise as for training"]
    if 0 < np.abs(steps).max() < LEAST_CODE:
        return [f"the images use less than {LEAST_CODE} codes: {spans}; normalise as for training"]
    return []
