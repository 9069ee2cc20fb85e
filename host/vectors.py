"""Test vectors of a deployed network: images, labels, and the results the core must give.

A `.npz` file: `images` as the network takes them (mostly float32 [N, C, H, W]), `labels` int64 [N],
`results` uint8 [runs, bytes], the output records without their counters, as the golden engine wrote
them (a run is an image, or several).
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.host.errors import HostError
from penstock.program.core.counters import COUNTER_BYTES

FIELDS = ("images", "labels", "results")


class VectorError(HostError):
    """The file of test vectors is missing or damaged."""


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors:
    """Images and what must come out, see above."""

    images: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    results: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def load(cls, path: Path) -> "Vectors":
        """Read a file.  VectorError if it is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays: dict[str, Any] = {name: data[name] for name in FIELDS}
        except FileNotFoundError as error:
            raise VectorError(f"{path} is missing", hint="deploy the network again") from error
        except Exception as error:  # NumPy passes on whatever zipfile, zlib and tokenize raise
            raise VectorError(f"{path} is damaged ({error})", hint="copy it again") from error
        return cls(**arrays)

    def save(self, path: Path) -> None:
        """Write a file."""
        np.savez_compressed(path, images=self.images, labels=self.labels, results=self.results)

    def differing(self, records: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Bytes that differ, record by record, [len(records)]."""
        got = records[:, COUNTER_BYTES:]
        differ: npt.NDArray[np.int64] = (got != self.results[: len(got)]).sum(axis=1)
        return differ
