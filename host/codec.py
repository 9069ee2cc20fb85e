"""Images into the core's bytes; nothing is allocated an image.

The rounding is the compiler's (`penstock.compiler.numerics.quantize`): float32 division, half to
even, saturated.  A test holds the two equal.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.host.errors import BufferExhaustedError, ImageError
from penstock.program.network.ends import HostPart
from penstock.program.network.pixels import Pixels, as_photographs, pixels_of, real_images

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


def _as_array(images: Any) -> Array:
    try:
        return np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, other libraries
        raise ImageError(
            f"images are {type(images).__name__}, which NumPy does not take ({error})",
            hint="give a numpy.ndarray",
        ) from error


def apply_head(head: HostPart, images: Array, pixels: Pixels | None = None) -> Array:
    """What a network's head makes of images [N, ...] as its file takes them, for `InputCodec`.

    With `pixels` uint8 images are photographs, as in `InputCodec.check`.

    Raises:
        ImageError: another shape or type than the file's.
    """
    images = _as_array(images)
    want = head.source
    if pixels is not None and images.dtype == np.uint8:
        real_values = real_images(pixels, images, want.shape)
        if real_values is None:
            raise _wrong_photographs(images, want.shape)
        images = real_values
    real = images.dtype == np.float32 and (head.moves or want.type == "float32")
    if not real and images.dtype != want.type:
        raise ImageError(f"images are {images.dtype}, expected {want.type}")
    if images.shape[1:] != want.shape or not images.ndim:
        expected, got = (" x ".join(map(str, s)) for s in (want.shape, images.shape))
        raise ImageError(
            f"images are {got}, expected N x {expected}", hint="one image: images[None]"
        )
    return head.run(images)


def _wrong_photographs(images: Array, shape: tuple[int, ...]) -> ImageError:
    want, got = (" x ".join(map(str, s)) for s in (shape, images.shape))
    return ImageError(
        f"photographs are {got}, expected {want}, channels first or last",
        hint="crop or resize them first",
    )


class InputCodec:
    """Quantises batches of at most `batch` images into a buffer the core reads."""

    def __init__(self, image: Mapping[str, Any], batch: int, head: HostPart | None = None) -> None:
        """`image` is `meta["input"]` of the program; behind a `head` there are no photographs.

        Raises:
            BufferExhaustedError: there is not enough memory.
        """
        self.shape: tuple[int, ...] = tuple(image["shape"])
        self.size = int(np.prod(self.shape))
        self.dtype = np.dtype(np.int8 if image["signed"] else np.uint8)
        self._scale = np.float32(image["scale"])
        pixels = pixels_of(image) if head is None else None
        self._table = None if pixels is None else pixels.codes(image["scale"], self.dtype)
        self._zero = np.float32(image.get("zero_point", 0))
        info = np.iinfo(self.dtype)
        self._low, self._high = np.float32(info.min), np.float32(info.max)
        try:
            self._steps = np.empty((batch, self.size), np.float32)
            self._finite = np.empty((batch, self.size), np.bool_)
        except (MemoryError, ValueError) as error:  # NumPy's, for more than there can be
            raise BufferExhaustedError(
                f"no memory to quantise {batch} images of {self.size:,} numbers",
                hint="load with a smaller batch",
            ) from error

    def check(self, images: Array) -> Array:
        """`images` as one contiguous block [N, pixels].

        Of a program with a pixel convention uint8 images are photographs, channels first or last,
        or one of them.

        Raises:
            ImageError: neither float32 nor the codes the core takes, another shape, or none.
        """
        images = _as_array(images)
        photographs = self._photographs(images)
        if photographs is not None:
            return photographs
        if images.dtype not in (np.dtype(np.float32), self.dtype):
            raise ImageError(
                f"images are {images.dtype}, expected float32 (or {self.dtype} codes)",
                hint="images.astype(numpy.float32)",
            )
        if images.ndim != 1 + len(self.shape) or images.shape[1:] != self.shape:
            want, got = (" x ".join(map(str, s)) for s in (self.shape, images.shape))
            raise ImageError(
                f"images are {got}, expected N x {want}", hint="one image: images[None]"
            )
        if not len(images):
            raise ImageError("there is no image")
        return np.ascontiguousarray(images).reshape(len(images), -1)

    def _photographs(self, images: Array) -> Array | None:
        """uint8 images [N, pixels] of a program that says how they become input."""
        if self._table is None or images.dtype != np.uint8:
            return None
        found = as_photographs(images, self.shape)
        if found is None:
            raise _wrong_photographs(images, self.shape)
        if not len(found):
            raise ImageError("there is no image")
        return np.ascontiguousarray(found).reshape(len(found), -1)

    def _look_up(self, images: Array, codes: Array) -> None:
        """Photographs [n, pixels] into codes, channel by channel."""
        assert self._table is not None
        plane = self.size // len(self._table)
        for channel, row in enumerate(self._table):
            part = slice(channel * plane, (channel + 1) * plane)
            np.take(row, images[:, part], out=codes[:, part], mode="clip")

    def encode(self, images: Array, codes: Array, first: int = 0) -> None:
        """Write images [n, pixels] as `codes`, an array of self.dtype [>= n, pixels].

        Raises:
            ImageError: NaN or infinity; `first` is the number of the first image in the message.
        """
        count = len(images)
        if self._table is not None and images.dtype == np.uint8:
            self._look_up(images, codes[:count])
            return
        if images.dtype == self.dtype:
            codes[:count] = images
            return
        steps, finite = self._steps[:count], self._finite[:count]
        np.isfinite(images, out=finite)
        if not finite.all():
            bad = first + int(np.argmin(finite.all(axis=1)))
            raise ImageError(f"image {bad} holds a NaN or an infinity")
        np.divide(images, self._scale, out=steps)
        np.rint(steps, out=steps)
        np.add(steps, self._zero, out=steps)
        np.clip(steps, self._low, self._high, out=steps)
        np.copyto(codes[:count], steps, casting="unsafe")
