"""Which convolutions of a Program start earlier with weights in rows: the first group then has
fewer of them (docs/program.md, "Passes").

The first group arrives cold where nothing runs that would hide it: behind a LOAD, a short layout
copy, a convolution of few steps.  With half, a quarter or an eighth of the rows the array starts
that much sooner; the last group then is the partial one, and hides less of what comes next.  So
neighbours are tried together, on the model of the core.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from penstock.compiler.estimate.activity import Activity, activity, out_size
from penstock.compiler.estimate.array_shape import tiles
from penstock.compiler.estimate.cost import begin
from penstock.compiler.estimate.paths import main_halt, paths
from penstock.compiler.estimate.timeline import Timeline
from penstock.compiler.estimate.timing import Timing
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import ALL_CHANNELS, BEAT_BYTES, HwConfig
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package

#: Bytes of the parameters of an output channel.
PARAMETER_BYTES = 8

#: Cycles of a convolution that are no waiting for weights: drain and start.
OVERHEAD = 60

#: Convolutions behind a pair that are looked at: what hides less shows there.
BEHIND = 2


def first_groups(package: Package) -> dict[int, int]:
    """CONV (its number among them) -> mode whose rows are its first group, in row layout.

    For gates that are all open; only of convolutions of every channel that always run.
    """
    memory = np.full((1, sum(gate["count"] for gate in package.meta["gates"])), 255, np.uint8)
    acts = activity(package, memory)
    descriptors = [act.descriptor for act in acts]
    halt = main_halt(descriptors)
    loop = descriptors[halt].length
    search = _Search(config=package.config, acts=acts)
    found = search.run([index for index in paths(descriptors)[halt] if index >= loop])
    convs = [index for index, d in enumerate(descriptors) if d.op == Op.CONV]
    return {convs.index(index): mode for index, mode in found.items()}


@dataclasses.dataclass(kw_only=True, eq=False)
class _Search:
    """From the first convolution on, each with the next one; what is chosen stays."""

    config: HwConfig
    acts: list[Activity]  # as they are with what is chosen
    chosen: dict[int, int] = dataclasses.field(default_factory=dict)

    def run(self, way: Sequence[int]) -> dict[int, int]:
        """Descriptor -> mode; `way`: the descriptors that an image comes by."""
        late = self._late(way)
        convs = [at for at, index in enumerate(way) if self.acts[index].op == Op.CONV]
        now = self._start()
        for at, index in enumerate(way):
            if at in convs and late:
                near = [*convs[convs.index(at) :], len(way) - 1][: BEHIND + 2]
                pair = [way[conv] for conv in near[:2] if self._may(self.acts[way[conv]])]
                if index in pair and late.intersection(pair):
                    self._choose(now, way[at : near[-1] + 1], pair)
            now.step(self.acts[index])
        return self.chosen

    def _start(self) -> Timeline:
        start, asked = begin(np.ones(1, bool), Timing())
        return Timeline.start(start, self.config, Timing(), asked)

    @staticmethod
    def _may(act: Activity) -> bool:
        d = act.descriptor
        whole = d.in_list == ALL_CHANNELS and d.out_list == ALL_CHANNELS and not d.pred_en
        return act.op == Op.CONV and whole and bool(d.cin) and not d.depthwise

    def _late(self, way: Sequence[int]) -> set[int]:
        """What takes longer than its steps."""
        late, now = set(), self._start()
        for index in way:
            before = int(now.array[0])
            now.step(self.acts[index])
            if self._may(self.acts[index]):
                steps = _steps(self.acts[index].descriptor, self.config)
                if int(now.array[0]) - before > steps + OVERHEAD:
                    late.add(index)
        return late

    def _choose(self, now: Timeline, behind: Sequence[int], pair: list[int]) -> None:
        """The layouts of a pair with which all behind it is done first."""
        acts = {index: self.acts[index] for index in behind}
        modes: list[int | None] = [None, *range(1, self.config.modes)]

        def done(options: tuple[int | None, ...]) -> int:
            timeline = now.copy()
            tried = {i: _with(self.acts[i], m) for i, m in zip(pair, options, strict=False)}
            for index in behind:
                timeline.step((acts | tried)[index])
            return int(timeline.idle[0])

        best = min(itertools.product(modes, repeat=len(pair)), key=done)
        for index, mode in zip(pair, best, strict=True):
            if mode is not None:
                self.chosen[index] = mode
                self.acts[index] = _with(self.acts[index], mode)


def _steps(d: Descriptor, config: HwConfig) -> int:
    """Steps of a convolution of whole groups."""
    height, width = out_size(d)
    groups = ceil_div(d.cout, config.p_oc)
    return groups * tiles(height * width, 0, config) * d.row_inputs * d.kernel * d.kernel


def _with(act: Activity, mode: int | None) -> Activity:
    """A convolution's work with weights in rows and a first group in `mode`; None: as it is."""
    if mode is None:
        return act
    d = act.descriptor
    row = PARAMETER_BYTES + round_up(d.row_inputs * d.kernel * d.kernel, BEAT_BYTES)
    values = d.values | {"w_rows": 1, "w_stride": row, "split": (d.split & ~3) | mode}
    return dataclasses.replace(act, descriptor=Descriptor(values=values))
