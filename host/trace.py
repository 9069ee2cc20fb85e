"""`Trace`: what the core did for each image of a call - gates, exits, skips, cycles, bytes.

Where a run of the program takes several images (`meta["images"]`), every figure is a run's.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.base.arith import ceil_div
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.network.exits import exits_taken
from penstock.program.network.meta import ProgramMeta

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """Per-image figures, read from the output records the core wrote.

    Attributes:
        records: uint8 [N, record bytes], exactly as the core wrote them.
        meta: the program's metadata.
    """

    records: Bytes
    meta: ProgramMeta

    def __len__(self) -> int:
        return len(self.records)

    @property
    def counters(self) -> dict[str, Counts]:
        """Every counter (penstock.program.core.counters), uint32 [N] each."""
        words = np.ascontiguousarray(self.records[:, :COUNTER_BYTES]).view("<u4")
        return {name: words[:, index] for index, name in enumerate(COUNTER_NAMES)}

    @property
    def scores(self) -> dict[str, Bytes]:
        """Gate scores 0..128 (128 = 1.0, 0 = skipped, or after the image's exit) by gate name.

        uint8 [N, outputs].
        """
        return {
            gate["name"]: self.records[:, gate["offset"] : gate["offset"] + gate["count"]]
            for gate in self.meta["gates"]
        }

    @property
    def cycles(self) -> Counts:
        """Clock cycles of each image."""
        return self.counters["cycles"]

    @property
    def exits(self) -> Counts:
        """The early exit that each image took, in order; their number where it took none."""
        return exits_taken(self.records, self.meta).astype(np.uint32)

    @property
    def channels_skipped(self) -> Counts:
        """Output channels not computed."""
        return self.counters["channels_skipped"]

    @property
    def bytes_read(self) -> Counts:
        """Bytes the core read from memory: descriptors, weights, image."""
        return self.counters["read_bytes"]

    @property
    def weight_bytes(self) -> Counts:
        """Bytes of convolution weights and parameters among them."""
        return self.counters["weight_bytes"]

    def open_gates(self) -> npt.NDArray[np.bool_]:
        """True where a gate output was not zero: bool [N, outputs of all gates side by side]."""
        scores = list(self.scores.values())
        if not scores:
            return np.zeros((len(self), 0), np.bool_)
        return np.concatenate(scores, axis=1) != 0

    def skip_rate(self, labels: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.float64]]:
        """How often each gate output was closed, by class (the heat map of LC-Net, Fig. 7).

        Args:
            labels: the class of each image, integers [N].

        Returns:
            (classes [C], rates float64 [C, outputs of all gates]).
        """
        labels, images = np.asarray(labels), self.meta["images"]
        if labels.ndim != 1 or ceil_div(len(labels), images) != len(self):
            raise ValueError(f"labels have shape {labels.shape}, expected ({len(self) * images},)")
        classes = np.unique(labels)
        closed = np.repeat(~self.open_gates(), images, axis=0)[: len(labels)]
        return classes, np.stack([closed[labels == c].mean(axis=0) for c in classes])

    def summary(self) -> str:
        """A few lines of means over the images."""
        counters = self.counters
        names = ("cycles", "weight_bytes", "read_bytes", "channels_executed", "channels_skipped")
        images = self.meta["images"]
        head, each = "images", "an image"
        if images > 1:
            head, each = f"runs of {images} images", "a run"
        lines = [f"{len(self)} {head}"]
        lines += [f"  {name:18s} {counters[name].mean():12,.1f} {each}" for name in names]
        return "\n".join(lines)
