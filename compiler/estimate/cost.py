"""The cost model: cycles and bytes of every descriptor for given gate scores.

Vectorised over images: every quantity is an array (N,).  `timeline` is the model of the core,
`timing` holds its constants.
"""

import dataclasses

import numpy as np

from penstock.compiler.estimate.activity import (
    Activity,
    Array,
    activity,
    fetched_bytes,
    halts_of,
    score_memory,
)
from penstock.compiler.estimate.paths import paths
from penstock.compiler.estimate.timeline import Timeline, store_cycles
from penstock.compiler.estimate.timing import Timing
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.network.exits import exits_taken
from penstock.program.network.package import Package

__all__ = ["Prediction", "Timing", "compare", "predict", "predict_memory"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """Cycles and bytes of N images; the first image's include what runs once (GLOAD)."""

    cycles: Array  # (N,)
    weight_bytes: Array  # (N,)
    descriptor_cycles: Array  # (N, descriptors): time the last unit gained
    descriptor_bytes: Array  # (N, descriptors): weights fetched


def predict_memory(
    package: Package, memory: Array, timing: Timing, exits: Array | None = None
) -> Prediction:
    """Cycles and bytes for score memories uint8 (N, scores) and exits taken (N,); None: none."""
    acts = activity(package, memory, exits)
    halts = halts_of(package, len(memory), exits)
    cycles = np.zeros(len(memory), np.int64)
    gained = np.zeros((len(memory), len(acts)), np.int64)
    for halt, way in paths([act.descriptor for act in acts]).items():
        images = np.flatnonzero(halts == halt)
        if len(images):
            times = _times([(i, acts[i].only(images)) for i in way], images > 0, package, timing)
            cycles[images] = times[-1]
            gained[np.ix_(images, np.array(way))] = np.diff(np.stack(times, axis=1), axis=1)
    weights = np.stack([fetched_bytes(act, package.config) for act in acts], axis=1)
    return Prediction(
        cycles=cycles,
        weight_bytes=weights.sum(axis=1),
        descriptor_cycles=gained,
        descriptor_bytes=weights,
    )


def begin(later: Array, timing: Timing) -> tuple[Array, Array]:
    """When units and descriptors of an image may begin; `later`: not the first of the run.

    A record is written after its counters are taken: its time is the next image's, whose
    descriptors come meanwhile.
    """
    start = later * (store_cycles(COUNTER_BYTES // BEAT_BYTES, timing) - timing.capture)
    return start, timing.restart - later * timing.capture


def _times(
    acts: list[tuple[int, Activity]], later: Array, package: Package, timing: Timing
) -> list[Array]:
    """When the core is idle before and after each descriptor of one way through the program.

    `acts`: (index in the program, work).  `later`: images that are not the first of the run.
    """
    config = package.config
    start, asked = begin(later, timing)
    timeline = Timeline.start(start, config, timing, asked)
    loop, before = acts[-1][1].descriptor.length, 0
    times = [np.zeros(len(later), np.int64)]
    for index, act in acts:
        if index == loop:  # what comes before runs once
            timeline = timeline.only(~later, Timeline.start(start, config, timing, asked))
        elif index > before + 1:  # an exit was taken
            start = timeline.idle
            timeline = Timeline.start(start, config, timing)
        timeline.step(act)
        times.append(timeline.idle)
        before = index
    times[: loop + 1] = [np.where(later, 0, time) for time in times[: loop + 1]]
    return times


def predict(
    package: Package,
    scores: dict[str, Array],
    timing: Timing | None = None,
    exits: Array | None = None,
) -> Prediction:
    """Cycles and bytes for gate scores, one uint8 array (N, n) a gate, and exits taken (N,)."""
    memory = score_memory(package, scores, 1 if exits is None else len(exits))
    return predict_memory(package, memory, timing or Timing(), exits)


def compare(package: Package, records: Array, timing: Timing | None = None) -> Array:
    """(N,) predicted / counted cycles of output records that the core wrote."""
    end = COUNTER_BYTES + sum(gate["count"] for gate in package.meta["gates"])
    exits = exits_taken(records, package.meta)
    memory = records[:, COUNTER_BYTES:end]
    predicted = predict_memory(package, memory, timing or Timing(), exits).cycles
    counted = np.ascontiguousarray(records[:, :4]).view("<u4")[:, 0]
    return predicted / counted
