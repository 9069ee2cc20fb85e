"""What the output records of a program hold."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """Output records, taken apart.  Counters are those of the engine that wrote the records.

    A run of several images (`CompiledNetwork.images`) has one record, so its counters are once for
    all of them.
    """

    logits: npt.NDArray[np.float32]  # (N, K)
    label: npt.NDArray[np.int64]  # (N,)
    scores: dict[str, Bytes]  # gate -> (N, n)
    counters: dict[str, npt.NDArray[np.uint32]]  # name -> (runs,)
    exits: npt.NDArray[np.int64]  # (N,) the early exit taken, in order; their number: none
    results: npt.NDArray[Any]  # (N, ...) the file's output: the logits, or what its tail makes
    outputs: dict[str, npt.NDArray[Any]]  # each of the file's outputs -> (N, ...)
