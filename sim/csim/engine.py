"""Engine `csim`: runs Programs on the HLS core's C++, over the same memory image as the others."""

import ctypes
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.hls.sources import HlsError, Types
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import BEAT_BYTES, HwConfig, get_config
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim.cache import load_library
from penstock.sim.csim.build import build_csim
from penstock.sim.job import Job

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CsimResult:
    """What one run did: records uint8 [N, output_stride] (zero where nothing was written), error
    code (ErrorCode) and position."""

    output: Bytes
    error: int
    position: Position


class CsimCore:
    """One core.  Its on-chip memories are the library's: they live on from run to run."""

    def __init__(
        self, config: HwConfig | str, *, types: Types = Types.PLAIN, library: Path | None = None
    ) -> None:
        """Build (first time only) and load the core with plain integers or ap_types.

        `library`: one of build.build_csim to load instead (tests).

        Raises:
            HlsError: the core cannot be built.
        """
        self.config = get_config(config) if isinstance(config, str) else config
        self._library = load_library(library or build_csim(self.config, types))
        self._library.ps_csim_run.argtypes = [ctypes.c_void_p] * 6
        self._library.ps_csim_run.restype = None

    def run(self, package: Package, inputs: Bytes) -> Bytes:
        """Run a package: its output records, uint8 [N, record_bytes].

        Raises:
            HlsError: the core stopped with an error.
        """
        result = self.execute(Job.of(package, inputs))
        if result.error:
            name = ErrorCode(result.error).name
            raise HlsError(f"the core stopped with {name}", str(result.position))
        return result.output

    def execute(self, job: Job) -> CsimResult:
        """Run a program over every image; an error of the core is a result, not an exception."""
        inputs = np.ascontiguousarray(job.inputs, np.uint8)
        output = job.output()
        beats = [_beats(data) for data in (job.program, job.weights, inputs.tobytes())]
        buffers = [*(array.ctypes.data for array in beats), output.ctypes.data]
        sizes = (*inputs.shape, job.output_stride, len(job.weights))
        scalars = (job.descriptors(), *sizes, job.hash_for(self.config))
        words: Any = (ctypes.c_uint32 * len(scalars))(*scalars)
        result: Any = (ctypes.c_uint32 * 3)()
        self._library.ps_csim_run(*buffers, words, result)
        position = Position(descriptor=int(result[1]), image=int(result[2]))
        return CsimResult(output=output, error=int(result[0]), position=position)


def _beats(data: bytes) -> npt.NDArray[np.uint64]:
    """The bytes as whole beats, padded with zeros; at least one."""
    size = max(ceil_div(len(data), BEAT_BYTES), 1) * BEAT_BYTES
    return np.frombuffer(data.ljust(size, b"\0"), np.uint64)
