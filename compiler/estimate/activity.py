"""What each descriptor does for given gate scores: skipped or not, channels in, channels out.

Reads the descriptors alone, as the sequencer does; `cost` and `macs` are sums over it.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.estimate.paths import main_halt, paths
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.network.package import Package

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activity:
    """One descriptor over N images.  One that is skipped or not reached has no channels."""

    descriptor: Descriptor
    runs: Array  # (N,) bool; CONV with pred_empty always runs
    inputs: Array  # (N,) input channels walked for each output channel
    input_runs: Array  # (N,) runs of neighbours among them: read together
    outputs: Array  # (N,) output channels computed; GATE: outputs, fewer where it stops

    def only(self, images: Array) -> "Activity":
        """The same for some images: indices."""
        arrays = ("runs", "inputs", "input_runs", "outputs")
        return dataclasses.replace(self, **{name: getattr(self, name)[images] for name in arrays})

    @property
    def op(self) -> Op:
        """The operation."""
        return Op(self.descriptor.op)


def decode(package: Package) -> list[Descriptor]:
    """The descriptors of a program."""
    data = package.descriptors
    starts = range(0, len(data), DESCRIPTOR_BYTES)
    return [Descriptor.decode(data[at : at + DESCRIPTOR_BYTES]) for at in starts]


def out_size(d: Descriptor) -> tuple[int, int]:
    """(rows, columns) of the map a CONV writes."""
    return (ceil_div(d.height, 2), ceil_div(d.width, 2)) if d.polyphase else (d.height, d.width)


def pool_size(d: Descriptor) -> tuple[int, int]:
    """(rows, columns) of the map a POOL writes."""
    lost, stride = d.kernel - 2 * d.pad, 2 if d.stride2 else 1
    return (d.height - lost) // stride + 1, (d.width - lost) // stride + 1


def score_memory(package: Package, scores: dict[str, Array], count: int = 1) -> Array:
    """uint8 (N, scores) as the core holds them, from one array (N, n) a gate.

    `count`: images, where there is no gate.
    """
    gates = package.meta["gates"]
    count = len(next(iter(scores.values()))) if scores else count
    memory = np.zeros((count, sum(gate["count"] for gate in gates)), np.uint8)
    for gate in gates:
        start = gate["score"]
        memory[:, start : start + gate["count"]] = scores[gate["name"]]
    return memory


def halts_of(package: Package, count: int, exits: Array | None) -> Array:
    """(N,) the HALT of each image, for the exits it takes (`exits_taken`); None: it takes none."""
    halts = [leave["halt"] for leave in package.meta["exits"]]
    every = np.array([*halts, main_halt(decode(package))])
    return every[exits] if exits is not None else np.full(count, every[-1])


def activity(package: Package, memory: Array, exits: Array | None = None) -> list[Activity]:
    """Every descriptor's work for score memories uint8 (N, scores).

    `exits`: the exit each image takes, as `exits_taken` gives it; None: it takes none.
    """
    count = len(memory)
    halts, ways = halts_of(package, count, exits), paths(decode(package))
    survivors: dict[int, Array] = {}
    clusters: dict[int, Array] = {}
    result = []
    for index, d in enumerate(decode(package)):
        reached = np.isin(halts, [halt for halt, way in ways.items() if index in way])
        skip = np.zeros(count, bool)
        if d.pred_en:
            skip = (memory[:, d.pred_slot] == 0) != bool(d.pred_not)
        walked, together = np.full(count, d.row_inputs), np.ones(count, np.int64)
        made = np.full(count, d.cout)
        if d.op == Op.CONV:
            if d.in_list != ALL_CHANNELS:
                walked, together = survivors[d.in_list], clusters[d.in_list]
            made = survivors[d.out_list] if d.out_list != ALL_CHANNELS else made
            walked = np.where(skip, 0, walked)
            skip = skip & (not d.pred_empty)
        elif d.op == Op.GATE and d.out_list != ALL_CHANNELS:
            # A part of a gate continues the list: its channels stand before in the scores too.
            listed = memory[:, d.dst + d.list_from - d.src : d.dst + d.cout] > 0
            survivors[d.out_list] = np.count_nonzero(listed, axis=1)
            begins = listed & ~np.pad(listed, ((0, 0), (1, 0)))[:, :-1]
            clusters[d.out_list] = np.count_nonzero(begins, axis=1)
        if d.stops:
            opened = memory[:, d.dst : d.dst + d.list_from].any(axis=1)
            made = np.where(opened, d.cout, d.list_from)
        skip = skip | ~reached
        made = np.where(skip, 0, made)
        walked = np.where(reached, walked, 0)
        result.append(
            Activity(descriptor=d, runs=~skip, inputs=walked, input_runs=together, outputs=made)
        )
    return result


def fetched_bytes(act: Activity, config: HwConfig) -> Array:
    """(N,) bytes of weights and parameters a CONV fetches (0 for other operations)."""
    d = act.descriptor
    if act.op != Op.CONV:
        return np.zeros(len(act.runs), np.int64)
    if d.w_rows:
        return act.outputs * d.w_stride
    groups = ceil_div(act.outputs, config.p_oc)
    return groups * (8 * config.p_oc + act.inputs * config.chunk_bytes(d.kernel))
