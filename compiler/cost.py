"""The cost model: cycles and bytes of every descriptor for given gate scores.

Vectorised over images: every quantity is an array (N,).  It follows three clocks, as the core has
them: the sequencer, which takes descriptors in order; the fetcher, which it starts on the next
convolution's weights while the array still computes the one before; the array, which also runs
COPY.  Every other operation waits for all of them.
"""

import dataclasses

import numpy as np

from penstock.compiler.activity import (
    Activity,
    Array,
    activity,
    fetched_bytes,
    out_size,
    score_memory,
)
from penstock.program.config import BEAT_BYTES, HwConfig
from penstock.program.counters import COUNTER_BYTES
from penstock.program.descriptor import DESCRIPTOR_BYTES, Op
from penstock.program.package import Package


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Constants of the core, in cycles; the one place to fit the model to the RTL.

    Attributes:
        latency: from a read request to its first beat at the unit that asked.
        dispatch: taking, checking and deciding one descriptor, skipped ones included.
        fetch: from the fetcher's start to its first request, and from a group's last beat to
            the token that lets the array start on it.
        group: requests of one group, beside their beats.
        tile: least cycles of a tile: its sums on their way to the shadow accumulators.
        shadow_rows, shadow_rows_residual: rows that may still be in the shadow when a tile's
            last step is issued; the others are waited for.
        drain: from a CONV's last step to its last write, rows not counted.
        gate: fixed part of GATE and DENSE.
        copy: fixed part of COPY.
        unit: start and end of an operation that all units wait for.
        store: from STORE's last beat to the response.
        restart: from HALT's end to the first descriptor of the next image, latency not counted.
    """

    latency: int = 45
    dispatch: int = 5
    fetch: int = 8
    group: int = 4
    tile: int = 11
    shadow_rows: int = 9
    shadow_rows_residual: int = 4
    drain: int = 20
    gate: int = 20
    copy: int = 4
    unit: int = 3
    store: int = 50
    restart: int = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Cycles and bytes of N images; the first image's include what runs once (GLOAD)."""

    cycles: Array  # (N,)
    weight_bytes: Array  # (N,)
    descriptor_cycles: Array  # (N, descriptors): time the last unit gained
    descriptor_bytes: Array  # (N, descriptors): weights fetched


@dataclasses.dataclass(kw_only=True)
class _Timeline:
    """When each part of the core is free, in cycles since the image began."""

    config: HwConfig
    timing: Timing
    sequencer: Array
    fetcher: Array
    array: Array
    halves: list[Array]  # of the weight buffer, the one that is released first in front

    @classmethod
    def start(cls, count: int, config: HwConfig, timing: Timing) -> "_Timeline":
        """All clocks at 0."""
        zero = np.zeros(count, np.int64)
        return cls(
            config=config,
            timing=timing,
            sequencer=zero,
            fetcher=zero,
            array=zero,
            halves=[zero, zero],
        )

    @property
    def idle(self) -> Array:
        """When everything is done."""
        return np.maximum(self.sequencer, np.maximum(self.fetcher, self.array))

    def step(self, act: Activity) -> None:
        """Run one descriptor on every image."""
        self.sequencer = self.sequencer + self.timing.dispatch
        match act.op:
            case Op.CONV:
                self._conv(act)
            case Op.COPY:
                start = np.maximum(self.sequencer, self.array)
                self.array = np.where(act.runs, start + self._cycles(act), self.array)
                self.sequencer = np.where(act.runs, start + 1, self.sequencer)
            case _:
                done = self.idle + self.timing.unit + self._cycles(act)
                self.sequencer = np.where(act.runs, done, self.sequencer)

    def _cycles(self, act: Activity) -> int:
        """Cycles of an operation that only its descriptor decides."""
        d, t, beats = act.descriptor, self.timing, -(-act.descriptor.length // BEAT_BYTES)
        match act.op:
            case Op.LOAD | Op.GLOAD:
                return t.latency + beats
            case Op.STORE:
                return t.store + beats
            case Op.GATE | Op.DENSE:
                return t.gate + d.cin + d.cout * (1 + -(-d.cin // BEAT_BYTES))
            case Op.COPY:
                return t.copy + d.cout * d.height * -(-d.width // self.config.fmem_banks)
            case _:
                descriptor = t.latency + DESCRIPTOR_BYTES // BEAT_BYTES
                return t.store + COUNTER_BYTES // BEAT_BYTES + t.restart + descriptor

    def _conv(self, act: Activity) -> None:
        """Groups of P_oc surviving output channels; the next group's weights come meanwhile."""
        d, t, rows = act.descriptor, self.timing, self.config.p_oc
        works = act.runs & (act.outputs > 0)
        request = np.maximum(self.sequencer, self.fetcher)
        begin = np.maximum(request + 1, self.array)
        self.sequencer = np.where(works, begin + 1, self.sequencer)
        height, width = out_size(d)
        tiles = -(-height * width // self.config.p_px)
        steps = np.where(act.inputs > 0, act.inputs * d.kernel * d.kernel, 1)
        arrived, now = request + t.fetch, begin + 1
        last = np.zeros_like(now)
        for group in range(-(-d.cout // rows)):
            lanes = np.clip(act.outputs - group * rows, 0, rows)
            active = works & (lanes > 0)
            request = np.maximum(request, self.halves[0]) + t.group
            beats = self._beats(act, lanes)
            came = np.maximum(arrived, request + t.latency) + beats
            drain = lanes * (2 if d.res_en else 1)
            end = np.maximum(now, came + t.fetch) + tiles * np.maximum(
                steps, self._least(act, lanes)
            )
            released = end + t.tile + drain
            arrived = np.where(active, came, arrived)
            now = np.where(active, end, now)
            last = np.where(active, drain, last)
            self.halves = [
                np.where(active, self.halves[1], self.halves[0]),
                np.where(active, released, self.halves[1]),
            ]
        self.fetcher = np.where(works, arrived, self.fetcher)
        self.array = np.where(works, now + t.drain + last, self.array)

    def _least(self, act: Activity, lanes: Array) -> Array:
        """Cycles below which a tile cannot go: the tile before must leave the shadow."""
        t = self.timing
        if act.descriptor.res_en:
            return t.tile + 2 * np.maximum(lanes - t.shadow_rows_residual, 0)
        return t.tile + np.maximum(lanes - t.shadow_rows, 0)

    def _beats(self, act: Activity, lanes: Array) -> Array:
        """Beats of one group's weights and parameters."""
        d = act.descriptor
        if d.w_rows:
            return lanes * (d.w_stride // BEAT_BYTES)
        return self.config.p_oc + act.inputs * (d.w_chunk // BEAT_BYTES)

    def keep_first(self) -> None:
        """Forget the time spent so far on every image but the first (the prologue)."""
        first = (np.arange(len(self.sequencer)) == 0).astype(np.int64)
        self.sequencer = self.idle * first
        self.fetcher = self.array = self.sequencer


def predict_memory(package: Package, memory: Array, timing: Timing) -> Prediction:
    """Cycles and bytes for score memories uint8 (N, scores)."""
    config = package.config
    acts = activity(package, memory)
    timeline = _Timeline.start(len(memory), config, timing)
    loop = acts[-1].descriptor.length
    times = [timeline.idle]
    for index, act in enumerate(acts):
        timeline.step(act)
        if index == loop - 1:
            timeline.keep_first()
        times.append(timeline.idle)
    weights = np.stack([fetched_bytes(act, config.p_oc) for act in acts], axis=1)
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
