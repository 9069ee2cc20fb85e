"""Photographs as network input: the convention by which a network's pixels became numbers.

    real = (pixel / full_scale - mean[channel]) / std[channel]        float32, in this order

Training writes it beside the network (checkpoint, ONNX metadata, Program), so that whoever runs it
takes uint8 photographs and needs not know it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

LEVELS = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A convention: `name` of it, `full_scale` that is white, mean and std of each channel."""

    name: str
    full_scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = (self.full_scale, *self.mean, *self.std)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"has no finite numbers: {numbers}")
        if self.full_scale <= 0 or not self.std or min(self.std) <= 0:
            raise ValueError("has a full scale or a standard deviation that is not above 0")
        if len(self.mean) != len(self.std):
            raise ValueError(f"has {len(self.mean)} means and {len(self.std)} deviations")

    def normalize(self, photographs: Bytes) -> npt.NDArray[np.float32]:
        """uint8 [N, C, H, W] -> float32 of the same shape, as training made it."""
        mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (self.mean, self.std))
        return (photographs.astype(np.float32) / np.float32(self.full_scale) - mean) / std

    def codes(self, scale: float, dtype: npt.DTypeLike) -> Array:
        """int8 or uint8 [C, 256]: the input quantiser's code of each pixel.

        As quantising `normalize` gives it: float32 division, half to even, saturated.
        """
        levels = np.arange(LEVELS, dtype=np.uint8).reshape(1, 1, 1, LEVELS)
        every = np.broadcast_to(levels, (1, len(self.mean), 1, LEVELS))
        real = self.normalize(every).reshape(len(self.mean), LEVELS)
        limits = np.iinfo(np.dtype(dtype))
        return np.clip(np.rint(real / np.float32(scale)), limits.min, limits.max).astype(dtype)

    def properties(self) -> dict[str, str]:
        """As the metadata of an ONNX file holds it, "penstock." before each name."""
        return {
            "full_scale": _text(self.full_scale),
            "mean": ",".join(map(_text, self.mean)),
            "std": ",".join(map(_text, self.std)),
        }

    def plain(self) -> dict[str, Any]:
        """As the metadata of a Program holds it."""
        return dataclasses.asdict(self) | {"mean": list(self.mean), "std": list(self.std)}


def _text(value: float) -> str:
    """The shortest text of a number."""
    return repr(float(value)).removesuffix(".0")


def pixels_of(image: Mapping[str, Any], source: Sequence[int] | None = None) -> Pixels | None:
    """The convention in a Program's `meta["input"]`; None if it has none.

    `source`: an image as the file takes it, where a head comes before the core: its channels may
    be first or last.

    Raises:
        ValueError: it is none, or not for the image's channels; in a few words.
    """
    given = image.get("pixels")
    if given is None:
        return None
    try:
        found = Pixels(
            name=str(given["name"]),
            full_scale=float(given["full_scale"]),
            mean=tuple(float(value) for value in given["mean"]),
            std=tuple(float(value) for value in given["std"]),
        )
    except (TypeError, LookupError) as error:
        raise ValueError(f"has no pixel convention: {error}") from None
    shape = image["shape"] if source is None else source
    if len(found.mean) not in (shape[0], *([] if source is None else shape[-1:])):
        raise ValueError(f"has {len(found.mean)} means for {shape[0]} channels")
    return found


def pixels_of_properties(
    given: Mapping[str, str], channels: int, source: Sequence[int] | None = None
) -> Pixels | None:
    """The convention in the metadata of an ONNX file; None if there is none.  `source` as in
    `pixels_of`.

    Raises:
        ValueError: it is none, or not for so many channels; in a few words.
    """
    if not all(key in given for key in ("full_scale", "mean", "std")):
        return None
    try:
        rows = {key: [float(v) for v in given[key].split(",")] for key in ("mean", "std")}
        full_scale = float(given["full_scale"])
    except ValueError:
        raise ValueError("has no numbers in full_scale, mean and std") from None
    known = {"name": given.get("dataset", ""), "full_scale": full_scale, **rows}
    image: dict[str, Any] = {"shape": [channels], "pixels": known}
    return pixels_of(image, source)


def real_images(
    pixels: Pixels, images: Array, shape: tuple[int, ...]
) -> npt.NDArray[np.float32] | None:
    """uint8 photographs as real values [N, *shape], `shape` with its channels first or last; None
    if they are no such."""
    last = len(shape) == 3 and shape[0] != len(pixels.mean)
    found = as_photographs(images, (shape[2], *shape[:2]) if last else shape)
    if found is None:
        return None
    made = pixels.normalize(found)
    return np.ascontiguousarray(np.moveaxis(made, 1, -1)) if last else made


def as_photographs(images: Array, shape: tuple[int, ...]) -> Bytes | None:
    """uint8 images as [N, C, H, W], for images of `shape` (C, H, W); None if they are no such.

    Taken are H x W x C, N x H x W x C, C x H x W and N x C x H x W; of one channel H x W and
    N x H x W too.  Where a shape can be read both ways, channels come first.
    """
    channels, height, width = shape
    if images.dtype != np.uint8:
        return None
    if images.shape[-3:] == shape and images.ndim in (3, 4):
        return images.reshape(-1, *shape)
    if images.shape[-3:] == (height, width, channels) and images.ndim in (3, 4):
        return np.moveaxis(images.reshape(-1, height, width, channels), -1, 1)
    if channels == 1 and images.shape[-2:] == (height, width) and images.ndim in (2, 3):
        return images.reshape(-1, *shape)
    return None
