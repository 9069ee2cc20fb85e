"""The board's memory: what the core sees, and the processor's cached copies of it.

A cacheable buffer has a copy of its own on the processor's side; only flush and invalidate move
bytes between it and the memory.  So a driver that forgets one of them fails here as on a board.
"""

import bisect
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from pynq.buffer import PynqBuffer

from penstock.program.base.arith import round_up

PAGE = 4096


class SimulatedBuffer(PynqBuffer):  # its memory is not mmap's to give back
    """A PynqBuffer that lies in a SimulatedMemory."""

    owner: "SimulatedMemory | None" = None
    device: Any = None  # NumPy 2 has an attribute of that name, PynqBuffer cannot set it there

    def freebuffer(self) -> None:
        """Give the memory back, once; views have no owner and give nothing back."""
        if self.owner is not None:
            self.owner.release(self.bo)
            self.owner = None


class SimulatedMemory:
    """Contiguous memory of a board, with first-fit allocation in pages.

    Attributes:
        dram: uint8, what the core reads and writes.
        base: address of its first byte.
        cacheable: what buffers are unless the caller of `pynq.allocate` says otherwise.
    """

    def __init__(self, size: int = 16 << 20, base: int = 0x1000_0000) -> None:
        self.dram: npt.NDArray[np.uint8] = np.zeros(size, np.uint8)
        self.base, self.cacheable = base, True
        self._used: list[tuple[int, int]] = []  # (offset, bytes), sorted
        self._lock = threading.RLock()  # taken again by a buffer that the collector frees
        self._copies: dict[int, npt.NDArray[np.uint8]] = {}

    @property
    def used(self) -> int:
        """Bytes in use."""
        return sum(size for _, size in self._used)

    def allocate(
        self, shape: Any, dtype: Any, device: Any, cacheable: bool | int | None = None
    ) -> PynqBuffer:
        """A buffer as `pynq.allocate` returns it.  RuntimeError if there is no room."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        offset = self._reserve(max(round_up(size, PAGE), PAGE))
        cached = self.cacheable if cacheable is None else bool(cacheable)
        if cached:
            memory = self._copies[offset] = self.dram[offset : offset + size].copy()
        else:
            memory = self.dram[offset : offset + size]
        buffer = SimulatedBuffer(
            shape=shape,
            dtype=dtype,
            buffer=memory.data,
            device=device,
            device_address=self.base + offset,
            bo=offset,
            coherent=not cached,
        )
        buffer.owner = self
        return buffer

    def release(self, offset: int) -> None:
        """Free the buffer at `offset`."""
        with self._lock:
            self._used = [entry for entry in self._used if entry[0] != offset]
            self._copies.pop(offset, None)

    def flush(self, bo: int, offset: int, size: int) -> None:
        """Processor's copy to memory."""
        if bo in self._copies:
            at = bo + offset
            self.dram[at : at + size] = self._copies[bo][offset : offset + size]

    def invalidate(self, bo: int, offset: int, size: int) -> None:
        """Memory to the processor's copy."""
        if bo in self._copies:
            at = bo + offset
            self._copies[bo][offset : offset + size] = self.dram[at : at + size]

    def _reserve(self, size: int) -> int:
        with self._lock:
            offset = 0
            for start, length in self._used:
                if start - offset >= size:
                    break
                offset = start + length
            if offset + size > len(self.dram):
                raise RuntimeError(f"Failed to allocate {size} bytes of contiguous memory")
            bisect.insort(self._used, (offset, size))
        return offset
