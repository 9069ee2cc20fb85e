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
from penstock.compiler.split import passes, tiles
from penstock.program.config import BEAT_BYTES, HwConfig
from penstock.program.counters import COUNTER_BYTES
from penstock.program.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.package import Package

#: Beats of one burst at most.
BURST_BEATS = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Constants of the core, in cycles; the one place to fit the model to the RTL.

    Attributes:
        latency: of the memory: from a read request to its first beat.
        restart: from start or the end of a record to the request of the first descriptor.
        ahead: descriptors that are asked for before they are needed.
        arrive: from a descriptor's last beat to its turn; assemble: from its predecessor's end.
        dispatch: taking, checking and deciding one descriptor, skipped ones included.
        unit: start and end of an operation that all units wait for.
        fetch: from the fetcher's start to the array's on a group, beside latency and beats.
        burst: of a read burst's slot, beside latency and beats.
        group: from the release of a half of the weight buffer to the request for its next group.
        tile: least cycles of a tile: its sums on their way to the shadow accumulators.
        shadow_rows: rows of a residual tile that may be left when the next one ends.
        drain: from a CONV's last step to its last write, rows not counted.
        release: from a group's last step to the release of its weights, rows not counted.
        gate: fixed part of GATE and DENSE.  copy: of COPY.
        load: fixed part of LOAD and GLOAD, beside latency.  store: of STORE and of the record.
        capture: from the start of the record to its counters being taken.
    """

    latency: int = 40
    restart: int = 3
    ahead: int = 4
    arrive: int = 0
    assemble: int = 8
    dispatch: int = 5
    unit: int = 2
    fetch: int = 9
    burst: int = 4
    group: int = 2
    tile: int = 10
    shadow_rows: int = 4
    drain: int = 18
    release: int = 10
    gate: int = 17
    copy: int = 3
    load: int = 0
    store: int = 11
    capture: int = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Cycles and bytes of N images; the first image's include what runs once (GLOAD)."""

    cycles: Array  # (N,)
    weight_bytes: Array  # (N,)
    descriptor_cycles: Array  # (N, descriptors): time the last unit gained
    descriptor_bytes: Array  # (N, descriptors): weights fetched


@dataclasses.dataclass(kw_only=True)
class _Timeline:
    """When each part of the core is free, in cycles since the last image's counters were taken."""

    config: HwConfig
    timing: Timing
    sequencer: Array
    fetcher: Array
    array: Array
    halves: list[Array]  # of the weight buffer, the one that is released first in front
    assembled: list[Array]  # when each descriptor was complete
    beats_end: Array  # when the last descriptor's beats were in

    @classmethod
    def start(cls, start: Array, config: HwConfig, timing: Timing) -> "_Timeline":
        """Every clock at `start`; the first descriptors are asked for."""
        request = start + timing.restart
        return cls(
            config=config,
            timing=timing,
            sequencer=request,
            fetcher=request,
            array=request,
            halves=[request, request],
            assembled=[],
            beats_end=request,
        )

    @property
    def idle(self) -> Array:
        """When everything is done."""
        return np.maximum(self.sequencer, np.maximum(self.fetcher, self.array))

    def step(self, act: Activity, start: Array) -> None:
        """Run one descriptor on every image; the program was (re)started at `start`."""
        t = self.timing
        asked = self.assembled[-t.ahead] if len(self.assembled) >= t.ahead else start + t.restart
        come = np.maximum(asked + t.latency, self.beats_end) + DESCRIPTOR_BYTES // BEAT_BYTES
        self.beats_end = come
        ready = np.maximum(come + t.arrive, self.sequencer + t.assemble)
        self.assembled.append(ready)
        self.sequencer = ready + t.dispatch
        match act.op:
            case Op.CONV:
                self._conv(act)
            case Op.COPY:
                begin = np.maximum(self.sequencer, self.array)
                self.array = np.where(act.runs, begin + self._cycles(act), self.array)
                self.sequencer = np.where(act.runs, begin + 1, self.sequencer)
            case Op.HALT:
                self.sequencer = self.idle
            case _:
                done = self.idle + t.unit + self._cycles(act)
                self.sequencer = np.where(act.runs, done, self.sequencer)

    def only(self, images: Array, others: "_Timeline") -> "_Timeline":
        """This timeline for `images`, that of `others`, just started, for the rest."""
        return dataclasses.replace(
            self,
            sequencer=np.where(images, self.sequencer, others.sequencer),
            fetcher=np.where(images, self.fetcher, others.fetcher),
            array=np.where(images, self.array, others.array),
            halves=[
                np.where(images, a, b) for a, b in zip(self.halves, others.halves, strict=True)
            ],
            assembled=[np.where(images, time, others.beats_end) for time in self.assembled],
            beats_end=np.where(images, self.beats_end, others.beats_end),
        )

    def _cycles(self, act: Activity) -> int:
        """Cycles of an operation that only its descriptor decides."""
        d, t, beats = act.descriptor, self.timing, -(-act.descriptor.length // BEAT_BYTES)
        match act.op:
            case Op.LOAD | Op.GLOAD:
                return t.load + t.latency + beats
            case Op.STORE:
                return store_cycles(beats, t)
            case Op.GATE | Op.DENSE:
                return t.gate + d.cin + d.cout * (1 + -(-d.cin // BEAT_BYTES))
            case _:
                return t.copy + d.cout * d.height * -(-d.width // self.config.fmem_banks)

    def _conv(self, act: Activity) -> None:
        """Groups of P_oc surviving output channels; the next group's weights come meanwhile."""
        d, t, rows = act.descriptor, self.timing, self.config.p_oc
        works = act.runs & (act.outputs > 0)
        request = np.maximum(self.sequencer, self.fetcher)
        begin = np.maximum(request + 1, self.array)
        self.sequencer = np.where(works, begin + 1, self.sequencer + 1)
        height, width = out_size(d)
        shape = _group_shapes(d, height * width, self.config)
        steps = np.where(act.inputs > 0, act.inputs * d.kernel * d.kernel, 1)
        arrived, now = request, begin + 1
        last = np.zeros_like(now)
        stall = np.zeros_like(now)  # the last tile of a group makes the next group's first wait
        for group in range(-(-d.cout // rows)):
            lanes = np.clip(act.outputs - group * rows, 0, rows)
            active = works & (lanes > 0)
            free = self.halves[0] + t.group
            request = np.maximum(request, free)
            cold, warm = self._transfer(act, lanes)
            came = np.maximum(arrived + warm, request + t.latency + cold)
            count = shape.tiles[lanes]
            least = t.tile
            if d.res_en:
                least = least + 2 * np.maximum(shape.slices[lanes] - t.shadow_rows, 0)
            wait = np.maximum(least - steps, 0)
            first = np.maximum(now, came + t.fetch)
            end = np.maximum(first + steps, now + stall + steps) + (count - 1) * (steps + wait)
            drain = shape.last_slices[lanes]
            if d.res_en:
                drain = drain * 2 - 1
            arrived = np.where(active, came, arrived)
            now = np.where(active, end, now)
            stall = np.where(active, wait, stall)
            last = np.where(active, drain, last)
            self.halves = [
                np.where(active, self.halves[1], self.halves[0]),
                np.where(active, end + t.release + drain, self.halves[1]),
            ]
        self.fetcher = np.where(works, arrived, self.fetcher)
        self.array = np.where(works, now + t.drain + last, self.array)

    def _transfer(self, act: Activity, lanes: Array) -> tuple[Array, Array]:
        """Cycles of one group's beats after a first latency, and in a running stream.

        One each, or what the bursts allow that may be outstanding.
        """
        d, t = act.descriptor, self.timing
        if d.w_rows:
            row = d.w_stride // BEAT_BYTES
            beats, bursts = lanes * row, lanes * -(-row // BURST_BEATS)
        else:
            walked = act.inputs * (self.config.chunk_bytes(d.kernel) // BEAT_BYTES)
            beats = self.config.p_oc + walked
            run = -(-walked // np.maximum(act.input_runs, 1))
            bursts = 1 + act.input_runs * -(-run // BURST_BEATS)
        outstanding = self.config.max_outstanding
        slot = t.latency + t.burst + beats // np.maximum(bursts, 1)
        cold = np.maximum(beats, (bursts - 1) // outstanding * slot)
        return cold, np.maximum(beats, bursts * slot // outstanding)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Shapes:
    """Of a group of n rows, n = 0 .. P_oc (index): what its passes add up to."""

    tiles: Array
    slices: Array  # of a whole tile of the last pass
    last_slices: Array  # of the very last tile


def _group_shapes(d: Descriptor, pixels: int, config: HwConfig) -> _Shapes:
    """Tiles and slices of every size of group of a CONV (docs/program.md, "Passes")."""
    table = np.zeros((3, config.p_oc + 1), np.int64)
    for rows in range(1, config.p_oc + 1):
        parts = passes(rows, d.split, config)
        mode, taken = parts[-1]
        full, lanes = config.p_oc >> mode, config.p_px << mode
        left = (pixels - 1) % lanes + 1
        blocks, last_blocks = (-(-min(n, pixels) // config.p_px) for n in (lanes, left))
        table[:, rows] = (
            sum(tiles(pixels, mode, config) for mode, _ in parts),
            (blocks - 1) * full + taken,
            (last_blocks - 1) * full + taken,
        )
    return _Shapes(tiles=table[0], slices=table[1], last_slices=table[2])


def store_cycles(beats: int, timing: Timing) -> int:
    """Cycles of a write of `beats` beats: one more a burst, then the response."""
    return timing.store + timing.latency + beats + -(-beats // BURST_BEATS) - 1


def predict_memory(package: Package, memory: Array, timing: Timing) -> Prediction:
    """Cycles and bytes for score memories uint8 (N, scores)."""
    config = package.config
    acts = activity(package, memory)
    later = np.arange(len(memory)) > 0
    # A record is written after its counters are taken: its time is the next image's.
    start = later * (store_cycles(COUNTER_BYTES // BEAT_BYTES, timing) - timing.capture)
    timeline = _Timeline.start(start, config, timing)
    loop = acts[-1].descriptor.length
    times = [np.zeros(len(memory), np.int64)]
    for index, act in enumerate(acts):
        if index == loop:  # what comes before runs once
            timeline = timeline.only(~later, _Timeline.start(start, config, timing))
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
