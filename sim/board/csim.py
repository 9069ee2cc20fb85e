"""The HLS core's C++ behind registers: a whole run happens at once, when it is started."""

import ctypes
import threading
from pathlib import Path
from typing import Any

from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.program.core.registers import OFFSETS, ErrorCode, Position
from penstock.sim.board.core import Bytes, RegisterCore
from penstock.sim.cache import load_library

_SCALARS = (
    "n_descriptors",
    "n_images",
    "input_stride",
    "output_stride",
    "weight_bytes",
    "config_hash",
)


_ONE_AT_A_TIME = threading.Lock()  # a library's memories are static, whoever has loaded it


class CsimBus(RegisterCore):
    """A library of `penstock.sim.csim.build`, on the memory of a simulated board."""

    def __init__(self, library: Path) -> None:
        super().__init__()
        self._run = load_library(library).ps_csim_run
        self._run.argtypes = [ctypes.c_void_p] * 6
        self._run.restype = None

    def execute(self, memory: Bytes, base: int, registers: dict[int, int]) -> tuple[int, Position]:
        """Run the C++; a buffer outside the memory is a READ or WRITE error, as on a bus."""
        scalars = {name: registers.get(OFFSETS[name], 0) for name in _SCALARS}
        sizes = {
            "program": (scalars["n_descriptors"] * DESCRIPTOR_BYTES, ErrorCode.READ),
            "weights": (scalars["weight_bytes"], ErrorCode.READ),
            "input": (scalars["n_images"] * scalars["input_stride"], ErrorCode.READ),
            "output": (scalars["n_images"] * scalars["output_stride"], ErrorCode.WRITE),
        }
        pointers = []
        for name, (size, error) in sizes.items():
            low, high = registers.get(OFFSETS[name], 0), registers.get(OFFSETS[name] + 4, 0)
            at = (high << 32 | low) - base
            if at < 0 or at + size > len(memory):
                return int(error), Position(0, 0)
            pointers.append(memory.ctypes.data + at)
        words: Any = (ctypes.c_uint32 * len(scalars))(*scalars.values())
        result: Any = (ctypes.c_uint32 * 3)()
        with _ONE_AT_A_TIME:
            self._run(*pointers, words, result)
        return int(result[0]), Position(descriptor=int(result[1]), image=int(result[2]))
