"""The on-chip memories and the error that stops a run."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.core.config import HwConfig
from penstock.program.core.counters import COUNTER_NAMES
from penstock.program.core.registers import ErrorCode, Position

Array = npt.NDArray[Any]


#: Before the first descriptor.
START = Position(0, 0)


class GoldenError(Exception):
    """The core would stop here."""

    def __init__(self, code: ErrorCode, position: Position = START, reason: str = "") -> None:
        super().__init__(f"{code.name} at {position}: {reason}")
        self.code = code
        self.position = position
        self.reason = reason


@dataclasses.dataclass(kw_only=True, eq=False)
class State:
    """Memories as they are between two descriptors; nothing is cleared between images."""

    fmem: Array  # (fmem_bytes,) uint8
    gmem: Array  # (gate_mem_bytes,) uint8
    scores: Array  # (score_depth,) uint8
    pool: Array  # (pool_depth,) int32
    lists: list[Array]  # n_lists of int64, increasing channels
    bounds: list[int]  # each list's entries are below
    counters: dict[str, int]
    table: Array | None = None  # (256,) uint8, activations; None before the first GLOAD of one

    @classmethod
    def new(cls, config: HwConfig) -> "State":
        """Memories of a core after reset."""
        return cls(
            fmem=np.zeros(config.fmem_bytes, np.uint8),
            gmem=np.zeros(config.gate_mem_bytes, np.uint8),
            scores=np.zeros(config.score_depth, np.uint8),
            pool=np.zeros(config.pool_depth, np.int32),
            lists=[np.zeros(0, np.int64)] * config.n_lists,
            bounds=[0] * config.n_lists,
            counters=dict.fromkeys(COUNTER_NAMES, 0),
        )
