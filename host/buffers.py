"""Memory the host shares with the core: `pynq.allocate`, flush before, invalidate after."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pynq import allocate

from penstock.host.codec import Array, Bytes, InputCodec
from penstock.host.errors import BufferExhaustedError
from penstock.program.base.arith import round_up


def shared(shape: tuple[int, ...], purpose: str, device: Any) -> Any:
    """A zeroed uint8 PynqBuffer.

    Raises:
        BufferExhaustedError: there is not enough contiguous memory.
    """
    size = int(np.prod(shape))
    try:
        buffer = allocate(shape, dtype=np.uint8, target=device)
    except (MemoryError, RuntimeError, OSError, ValueError, OverflowError) as error:
        raise BufferExhaustedError(
            f"no {size:,} bytes of contiguous memory for {purpose} ({error})",
            hint="load with a smaller batch, or close() networks that are no longer used",
        ) from error
    buffer[:] = 0
    return buffer


def constant(data: bytes, purpose: str, device: Any) -> Any:
    """A buffer that holds `data`, zero padded to whole beats of 8 bytes, for the core to read."""
    buffer = shared((max(round_up(len(data), 8), 8),), purpose, device)
    rewrite(buffer, data)
    return buffer


def rewrite(buffer: Any, data: bytes) -> None:
    """Put `data` at the start of a buffer, for the core to read."""
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    buffer.flush()


class Slot:
    """Input and output of one batch.  Two of them make the double buffer."""

    def __init__(
        self, codec: InputCodec, images: tuple[int, int], records: tuple[int, int], device: Any
    ) -> None:
        """`images` and `records`: how many, and bytes of each."""
        self.input = shared(images, "images", device)
        try:
            self.output = shared(records, "results", device)
        except BufferExhaustedError:
            self.input.freebuffer()
            raise
        self._codec = codec
        # Plain views, made once: slicing a PynqBuffer costs more than the copy it is for.
        self._codes: Array = np.asarray(self.input).view(codec.dtype)[:, : codec.size]
        self._records: Bytes = np.asarray(self.output)

    def fill(self, images: Array, first: int, runs: int) -> None:
        """Quantise a batch into the input, clear the output, hand both to the core.

        What the last of the runs has no image for is zeros.
        """
        self._codec.encode(images, self._codes, first)
        self._codes[len(images) : runs * len(self._codes) // len(self._records)] = 0
        self._records[:runs] = 0
        self.input.flush()
        self.output.flush()  # else a dirty line could be written back over the core's results

    def drain(self, records: npt.NDArray[np.uint8]) -> None:
        """Copy the records of a batch out of the output the core has written."""
        self.output.invalidate()
        records[:] = self._records[: len(records)]

    def free(self) -> None:
        """Give the memory back."""
        del self._codes, self._records
        self.input.freebuffer()
        self.output.freebuffer()
