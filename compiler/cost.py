"""The cost model: cycles and bytes of every descriptor for given gate scores.

Vectorised over images: every quantity is an array (N,).  `timeline` is the model of the core,
`timing` holds its constants.
"""

import dataclasses

import numpy as np

from penstock.compiler.activity import Array, activity, fetched_bytes, score_memory
from penstock.compiler.timeline import Timeline, store_cycles
from penstock.compiler.timing import Timing
from penstock.program.config import BEAT_BYTES
from penstock.program.counters import COUNTER_BYTES
from penstock.program.package import Package

__all__ = ["Prediction", "Timing", "compare", "predict", "predict_memory"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Cycles and bytes of N images; the first image's include what runs once (GLOAD)."""

    cycles: Array  # (N,)
    weight_bytes: Array  # (N,)
    descriptor_cycles: Array  # (N, descriptors): time the last unit gained
    descriptor_bytes: Array  # (N, descriptors): weights fetched


def predict_memory(package: Package, memory: Array, timing: Timing) -> Prediction:
    """Cycles and bytes for score memories uint8 (N, scores)."""
    config = package.config
    acts = activity(package, memory)
    later = np.arange(len(memory)) > 0
    # A record is written after its counters are taken: its time is the next image's.
    start = later * (store_cycles(COUNTER_BYTES // BEAT_BYTES, timing) - timing.capture)
    timeline = Timeline.start(start, config, timing)
    loop = acts[-1].descriptor.length
    times = [np.zeros(len(memory), np.int64)]
    for index, act in enumerate(acts):
        if index == loop:  # what comes before runs once
            timeline = timeline.only(~later, Timeline.start(start, config, timing))
        timeline.step(act, start)
        times.append(timeline.idle)
    times[: loop + 1] = [np.where(later, 0, time) for time in times[: loop + 1]]
    weights = np.stack([fetched_bytes(act, config) for act in acts], axis=1)
    return Prediction(
        cycles=timeline.idle,
        weight_bytes=weights.sum(axis=1),
        descriptor_cycles=np.diff(np.stack(times, axis=1), axis=1),
        descriptor_bytes=weights,
    )


def predict(package: Package, scores: dict[str, Array], timing: Timing | None = None) -> Prediction:
    """Cycles and bytes for gate scores, one uint8 array (N, n) a gate."""
    return predict_memory(package, score_memory(package, scores), timing or Timing())


def compare(package: Package, records: Array, timing: Timing | None = None) -> Array:
    """(N,) predicted / counted cycles of output records that the core wrote."""
    end = COUNTER_BYTES + sum(gate["count"] for gate in package.meta["gates"])
    predicted = predict_memory(package, records[:, COUNTER_BYTES:end], timing or Timing()).cycles
    counted = np.ascontiguousarray(records[:, :4]).view("<u4")[:, 0]
    return predicted / counted
