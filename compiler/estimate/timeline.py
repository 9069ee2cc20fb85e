"""When each part of the core is free, descriptor by descriptor; vectorised over images.

Three clocks, as the core has them: the sequencer, which takes descriptors in order; the fetcher,
which it starts on the next convolution's weights while the array still computes the one before;
the array, which also runs COPY and POOL.  A GATE or DENSE follows the sums of the convolution
before it; every other operation waits for all clocks.  What comes after one of these is there when
it is done, and is not looked at before; a LOAD, and a GLOAD of a table, take the array's place.
"""

import dataclasses

import numpy as np

from penstock.compiler.estimate.activity import Activity, Array, out_size, pool_size
from penstock.compiler.estimate.array_shape import first_rows, group_rows, passes, tiles
from penstock.compiler.estimate.timing import Timing
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import ALL_CHANNELS, BEAT_BYTES, GATE_WORD_BYTES, HwConfig
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, Op

#: Beats of one burst at most.
BURST_BEATS = 16


@dataclasses.dataclass(kw_only=True, eq=False)
class Timeline:
    """When each part of the core is free, in cycles since the last image's counters were taken."""

    config: HwConfig
    timing: Timing
    sequencer: Array
    fetcher: Array
    array: Array
    unit: Array  # when the last operation that is neither a CONV nor a COPY or POOL is done
    issued: Array  # when the last convolution has issued its last step
    sums: Array  # when it has drained: its sums are final, its bytes are written
    summing: Array  # bool: it makes sums
    kept: Array  # bool: the gate unit's vector is that of the sums as they are
    vector: tuple[int, ...] = ()  # what that vector was made from
    halves: list[Array]  # of the weight buffer, the one that is released first in front
    loaded: Array  # when the last LOAD's beats are in: those of weights come behind them
    tabled: Array  # when the last table's beats are in
    asked: Array  # when the first descriptors were asked for
    assembled: list[Array]  # when each descriptor was complete
    beats_end: Array  # when the last descriptor's beats were in

    @classmethod
    def start(
        cls, start: Array, config: HwConfig, timing: Timing, asked: Array | None = None
    ) -> "Timeline":
        """Every clock at `start`; the first descriptors are asked for, at `asked` if that is not
        then.
        """
        request = start + timing.restart if asked is None else asked
        return cls(
            config=config,
            timing=timing,
            sequencer=start + 1 - timing.assemble,  # if they are there they are whole
            fetcher=start,
            array=start,
            unit=start,
            issued=start,
            sums=start,
            summing=np.zeros(len(start), bool),
            kept=np.zeros(len(start), bool),
            halves=[start, start],
            loaded=start,
            tabled=start,
            asked=request,
            assembled=[],
            beats_end=request,
        )

    @property
    def idle(self) -> Array:
        """When everything is done."""
        work = np.maximum(np.maximum(self.fetcher, self.array), self.unit)
        return np.maximum(self.sequencer, work)

    def step(self, act: Activity) -> None:
        """Run one descriptor on every image."""
        t = self.timing
        asked = self.assembled[-t.ahead] if len(self.assembled) >= t.ahead else self.asked
        come = np.maximum(asked + t.latency, self.beats_end) + DESCRIPTOR_BYTES // BEAT_BYTES
        self.beats_end = come
        ready = np.maximum(come + t.arrive, self.sequencer + t.assemble)
        self.assembled.append(ready)
        self.sequencer = ready + t.dispatch
        match act.op:
            case Op.CONV:
                self._conv(act)
            case Op.COPY | Op.POOL:
                begin = np.maximum(self.sequencer, self.array)
                # They leave `sums` alone: they were final before it.
                self.array = np.where(act.runs, begin + self._cycles(act), self.array)
                self._handed_over(act.runs, begin)
            case Op.HALT:
                self.sequencer = self.idle
            case Op.GATE | Op.DENSE:
                self._waited(act, self.sequencer + t.begin, self._gate(act))
            case Op.LOAD | Op.GLOAD if act.op == Op.LOAD or act.descriptor.loads_table:
                begin = self.idle
                done = begin + self._cycles(act)
                if act.op == Op.LOAD:
                    self.loaded = np.where(act.runs, done, self.loaded)
                else:
                    self.tabled = np.where(act.runs, done, self.tabled)
                self.array = np.where(act.runs, done + t.unit, self.array)
                self._handed_over(act.runs, begin)
            case _:
                begin = self.idle + t.unit
                self._waited(act, begin, begin + self._cycles(act))

    def copy(self) -> "Timeline":
        """The same to go on with: arrays are shared, no step changes one."""
        return dataclasses.replace(
            self, halves=list(self.halves), assembled=self.assembled[-self.timing.ahead :]
        )

    def _waited(self, act: Activity, begin: Array, done: Array) -> None:
        """A unit at work from `begin` to `done`: the next descriptor is assembled meanwhile."""
        t = self.timing
        self.unit = np.where(act.runs, done, self.unit)
        left = done if act.op == Op.EXIT_IF else np.maximum(begin, done - t.assemble)
        self._handed_over(act.runs, left)

    def _handed_over(self, runs: Array, begin: Array) -> None:
        """The next descriptor is assembled from `begin` on; behind a skipped one, which no unit
        takes, a cycle before it would have been dispatched.
        """
        self.sequencer = np.where(runs, begin, self.sequencer - 1)

    def only(self, images: Array, others: "Timeline") -> "Timeline":
        """This timeline for `images`, that of `others`, just started, for the rest."""
        return dataclasses.replace(
            self,
            sequencer=np.where(images, self.sequencer, others.sequencer),
            fetcher=np.where(images, self.fetcher, others.fetcher),
            array=np.where(images, self.array, others.array),
            unit=np.where(images, self.unit, others.unit),
            issued=np.where(images, self.issued, others.issued),
            sums=np.where(images, self.sums, others.sums),
            summing=images & self.summing,
            kept=images & self.kept,
            loaded=np.where(images, self.loaded, others.loaded),
            tabled=np.where(images, self.tabled, others.tabled),
            asked=np.where(images, self.asked, others.asked),
            halves=[
                np.where(images, a, b) for a, b in zip(self.halves, others.halves, strict=True)
            ],
            assembled=[np.where(images, time, others.beats_end) for time in self.assembled],
            beats_end=np.where(images, self.beats_end, others.beats_end),
        )

    def _cycles(self, act: Activity) -> int:
        """Cycles of an operation that only its descriptor decides."""
        d, t, beats = act.descriptor, self.timing, ceil_div(act.descriptor.length, BEAT_BYTES)
        match act.op:
            case Op.LOAD | Op.GLOAD:
                return t.load + t.latency + beats
            case Op.STORE:  # not the answer
                return store_cycles(beats, t) - t.latency
            case Op.EXIT_IF:
                return t.exit + 2 * d.cin
            case Op.POOL:
                rows, columns = pool_size(d)
                tiles = ceil_div(columns, self.config.pool_lanes(2 if d.stride2 else 1))
                drain = t.average if d.average else t.pool
                return drain + d.cout * rows * tiles * d.kernel * d.kernel
            case _:
                if d.interleaves:  # two windows, a read of each of two planes; a cycle behind
                    pairs = ceil_div(d.width, 2 * self.config.fmem_banks)
                    return t.copy + 1 + d.cout * d.height * 2 * pairs
                rows = (d.height, ceil_div(d.height, 2), d.height // 2)[d.variant]
                return t.copy + d.cout * rows * ceil_div(d.width, self.config.fmem_banks)

    def _gate(self, act: Activity) -> Array:
        """When a GATE or DENSE is done.

        A pass over the outputs for their parameters, then one for each word of the vector.  Beside
        a convolution that makes sums all but the words of its last group are done when its last sum
        is there.  Beside another one the last pass waits, as the core's interlock has it: a GATE
        until lists and scores are read, a DENSE until feature memory is written.
        """
        d, t = act.descriptor, self.timing
        words = ceil_div(d.cin, GATE_WORD_BYTES)
        begin = self.sequencer + t.begin
        vector = (d.pool_base, d.cin, d.src_signed)
        kept = self.kept & (vector == self.vector)
        beside = self.sums > begin
        group = (d.cin - 1) % self.config.p_oc + 1
        late = words - (d.cin - group) // GATE_WORD_BYTES
        early = begin + d.cout * (1 + words - late)
        followed = np.maximum(early, self.sums + t.follow) + (late - 1) * d.cout + act.outputs
        ahead = d.list_from if d.stops else 0
        hold = np.where(beside, self.sums if act.op == Op.DENSE else self.issued, begin)
        now = begin + (ahead or d.cout)
        for word in range(1, words + 1):
            made = begin + t.follow + min(word * GATE_WORD_BYTES, d.cin)
            now = np.where(kept, now, np.maximum(now, made))
            now = (np.maximum(now, hold) if word == words else now) + (ahead or d.cout)
        rest = (d.cout - ahead) * (1 + words) if ahead else 0
        alone = now + np.where(act.outputs < d.cout, 0, rest)
        fill = np.where(act.outputs < d.cout, t.fill + (d.cout - ahead) // BEAT_BYTES, 0)
        self.vector = vector
        self.kept = np.where(act.runs, True, kept)
        return np.where(beside & self.summing, followed, alone) + t.gate + fill

    def _conv(self, act: Activity) -> None:
        """Groups of P_oc surviving output channels; the next group's weights come meanwhile."""
        d, t, rows = act.descriptor, self.timing, self.config.p_oc
        works = act.runs & (act.outputs > 0)
        request = np.maximum(self.sequencer, self.fetcher)
        begin = np.maximum(request + 1, self.array)
        self._handed_over(works, begin)
        height, width = out_size(d)
        shape = _group_shapes(d, height * width, self.config)
        steps = np.where(act.inputs > 0, act.inputs * d.kernel * d.kernel, 1)
        arrived, now = self._bus_free(act, request), begin + 1
        last = np.zeros_like(now)
        stall = np.zeros_like(now)  # the last tile of a group makes the next group's first wait
        taken = 0
        for most in group_rows(
            d.cout, first_rows(d.split, self.config) if d.w_rows else rows, self.config
        ):
            lanes = np.clip(act.outputs - taken, 0, most)
            taken += most
            active = works & (lanes > 0)
            free = self.halves[0] + t.group
            walked = request + self._first_walk(act)
            request = np.maximum(request + (t.walk if d.w_rows else 0), free)
            cold, warm = self._transfer(act, lanes)
            came = np.maximum(arrived + warm, np.maximum(request, walked) + t.latency + cold)
            wait, drain = self._drain(act, shape, lanes, steps)
            first = np.maximum(now + stall, came + t.fetch) + steps
            end = first + (shape.tiles[lanes] - 1) * (steps + wait)
            arrived = np.where(active, came, arrived)
            now = np.where(active, end, now)
            stall = np.where(active, wait, stall)
            last = np.where(active, drain, last)
            self.halves = [
                np.where(active, self.halves[1], self.halves[0]),
                np.where(active, end + t.release, self.halves[1]),
            ]
        self.fetcher = np.where(works, arrived + t.refetch, self.fetcher)
        self.issued = np.where(works, now, self.issued)
        self.summing = np.where(works, bool(d.pool_en), self.summing)
        tail = t.drain + (t.total if d.pool_en else 0)
        self.array = np.where(works, now + tail + last, self.array)
        self.sums = np.where(works, self.array, self.sums)
        self.kept = self.kept & ~works

    def _bus_free(self, act: Activity, request: Array) -> Array:
        """When weights may come: behind an image's beats, or a table's, beside whose latency their
        own requests are on their way."""
        lanes = np.minimum(act.outputs, self.config.p_oc)
        row = act.descriptor.w_stride // BEAT_BYTES
        walked = act.inputs * (self.config.chunk_bytes(act.descriptor.kernel) // BEAT_BYTES)
        beats = lanes * row if act.descriptor.w_rows else self.config.p_oc + walked
        _, warm = self._transfer(act, lanes)
        behind = np.maximum(self.loaded, self.tabled - (warm - beats))
        return np.maximum(request, behind)

    def _drain(
        self, act: Activity, shape: "_Shapes", lanes: Array, steps: Array
    ) -> tuple[Array, Array]:
        """Cycles a tile waits for the one before, and those of the very last tile's rows."""
        last = shape.last_slices[lanes]
        least = self.timing.tile + np.maximum(shape.slices[lanes] - self.timing.shadow_slices, 0)
        if act.descriptor.res_en:  # reads and writes take turns, unless the array reads nothing
            slow = act.inputs > 0
            extra = 2 * np.maximum(shape.slices[lanes] - self.timing.shadow_rows, 0)
            least = np.where(slow, self.timing.tile + extra, least)
            last = np.where(slow, last * 2 - 1, last)
        return np.maximum(least - steps, 0), last

    def _transfer(self, act: Activity, lanes: Array) -> tuple[Array, Array]:
        """Cycles of one group's beats after a first latency, and in a running stream.

        One each, or what the bursts allow that may be outstanding.
        """
        d, t = act.descriptor, self.timing
        if d.w_rows:
            row = d.w_stride // BEAT_BYTES
            beats, bursts = lanes * row, lanes * ceil_div(row, BURST_BEATS)
        else:
            walked = act.inputs * (self.config.chunk_bytes(d.kernel) // BEAT_BYTES)
            beats = self.config.p_oc + walked
            run = ceil_div(walked, np.maximum(act.input_runs, 1))
            bursts = 1 + act.input_runs * ceil_div(run, BURST_BEATS)
        outstanding = self.config.max_outstanding
        slot = t.latency + t.burst + beats // np.maximum(bursts, 1)
        cold = np.maximum(beats, (bursts - 1) // outstanding * slot)
        return cold, np.maximum(beats, bursts * slot // outstanding)

    def _first_walk(self, act: Activity) -> Array | int:
        """Cycles by which a listed group's first run is asked for later than all of it would be.

        The run is walked, a channel a cycle, while the group waits for its half and its parameters
        are on their way.
        """
        if act.descriptor.w_rows or act.descriptor.in_list == ALL_CHANNELS:
            return 0
        channels = ceil_div(act.inputs, np.maximum(act.input_runs, 1))
        return np.maximum(channels - self.config.p_oc, 0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shapes:
    """Of a group of n rows, n = 0 .. P_oc (index): what its passes add up to."""

    tiles: Array
    slices: Array  # of a whole tile of the last pass
    last_slices: Array  # of the very last tile


def _group_shapes(d: Descriptor, pixels: int, config: HwConfig) -> _Shapes:
    """Tiles and slices of every size of group of a CONV (docs/program.md, "Passes")."""
    table = np.zeros((3, config.p_oc + 1), np.int64)
    for rows in range(1, config.p_oc + 1):
        parts = passes(rows, d.split, config, depthwise=d.depthwise)
        mode, taken = parts[-1]
        full, lanes = config.p_oc >> mode, config.p_px << mode
        left = (pixels - 1) % lanes + 1
        blocks, last_blocks = (ceil_div(min(n, pixels), config.p_px) for n in (lanes, left))
        table[:, rows] = (
            sum(tiles(pixels, mode, config) for mode, _ in parts),
            (blocks - 1) * full + taken,
            (last_blocks - 1) * full + taken,
        )
    return _Shapes(tiles=table[0], slices=table[1], last_slices=table[2])


def store_cycles(beats: int, timing: Timing) -> int:
    """Cycles of a write of `beats` beats: one more a burst, then the response."""
    return timing.store + timing.latency + beats + ceil_div(beats, BURST_BEATS) - 1
