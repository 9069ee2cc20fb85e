"""What each descriptor does for given gate scores: skipped or not, channels in, channels out.

Reads the descriptors alone, as the sequencer does; `cost` and `macs` are sums over it.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.config import ALL_CHANNELS, HwConfig
from penstock.program.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.package import Package

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One descriptor over N images.  A skipped one has no channels."""

    descriptor: Descriptor
    runs: Array  # (N,) bool; CONV with pred_empty always runs
    inputs: Array  # (N,) input channels walked for each output channel
    input_runs: Array  # (N,) runs of neighbours among them: read together
    outputs: Array  # (N,) output channels computed; GATE: outputs, fewer where it stops

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
    return (-(-d.height // 2), -(-d.width // 2)) if d.polyphase else (d.height, d.width)


def pool_size(d: Descriptor) -> tuple[int, int]:
    """(rows, columns) of the map a POOL writes."""
    lost, stride = d.kernel - 2 * d.pad, 2 if d.stride2 else 1
    return (d.height - lost) // stride + 1, (d.width - lost) // stride + 1


def score_memory(package: Package, scores: dict[str, Array]) -> Array:
    """uint8 (N, scores) as the core holds them, from one array (N, n) a gate."""
    gates = package.meta["gates"]
    count = len(next(iter(scores.values()))) if scores else 1
    memory = np.zeros((count, sum(gate["count"] for gate in gates)), np.uint8)
    for gate in gates:
        start = gate["score"]
        memory[:, start : start + gate["count"]] = scores[gate["name"]]
    return memory


def activity(package: Package, memory: Array) -> list[Activity]:
    """Every descriptor's work for score memories uint8 (N, scores)."""
    count = len(memory)
    survivors: dict[int, Array] = {}
    clusters: dict[int, Array] = {}
    result = []
    for d in decode(package):
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
        if d.op == Op.GATE and d.variant:
            opened = memory[:, d.dst : d.dst + d.list_from].any(axis=1)
            made = np.where(opened, d.cout, d.list_from)
        made = np.where(skip, 0, made)
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
    groups = -(-act.outputs // config.p_oc)
    return groups * (8 * config.p_oc + act.inputs * config.chunk_bytes(d.kernel))
