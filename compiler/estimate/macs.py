"""Multiply-accumulates, convention `macs`: convolutions and the classifier; gates apart.

A gate's are those of its whole network: its convolutions and its dense layer.  Work the compiler
adds (sums of the input map, copies) is not the network's and not counted.
"""

import dataclasses

import numpy as np

from penstock.compiler.estimate.activity import Activity, Array, activity, score_memory
from penstock.program.core.descriptor import Op
from penstock.program.network.package import Package


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MacCount:
    """Counts of many images; `executed` and `gates_executed` are means an image.

    `gates` counts every input channel of a gate network, `gates_executed` those that it walks.
    Weights are a run's, `survivor_weights` its mean: several images share some.
    """

    dense: int
    executed: float
    gates: int
    gates_executed: float
    dense_weights: int
    survivor_weights: float
    executed_per_image: Array  # (N,) int64


def _pairs(act: Activity, dense: bool) -> Array:
    """(N,) pairs of input and output channel a layer computes."""
    d = act.descriptor
    if not dense:
        return act.inputs * act.outputs
    # With pred_not it is the other form of a convolution that is counted already.
    return np.full(len(act.runs), 0 if d.pred_not else d.row_inputs * d.cout)


def _mean(counts: Array | int) -> float:
    return float(np.mean(counts))


def count_macs(package: Package, scores: dict[str, Array], exits: Array | None = None) -> MacCount:
    """MACs of a program for gate scores, one uint8 array (N, n) a gate, and exits taken (N,)."""
    memory = score_memory(package, scores, 1 if exits is None else len(exits))
    acts = activity(package, memory, exits)
    convs, networks = (
        [
            (act, layer["macs_per_pair"], act.descriptor.kernel**2)
            for act, layer in zip(acts, package.meta["layers"], strict=True)
            if act.op == Op.CONV and layer["kind"] == kind
        ]
        for kind in ("conv", "gate")
    )
    dense = [
        (act, layer.get("kind") == "gate", act.descriptor.cin * act.descriptor.cout)
        for act, layer in zip(acts, package.meta["layers"], strict=True)
        if act.op in (Op.GATE, Op.DENSE)
    ]
    gates = sum(each for _, deciding, each in dense if deciding)
    heads = [(act, each) for act, deciding, each in dense if not deciding]
    fixed = sum(each for _, each in heads)
    executed = sum(act.runs * each for act, each in heads) + sum(
        _pairs(act, False) * each for act, each, _ in convs
    )
    images = package.meta["images"]  # of a run: more than one take the same each
    per_image = np.broadcast_to(np.asarray(executed, np.int64) // images, (len(acts[0].runs),))
    survivors = sum(_pairs(act, False) * taps for act, _, taps in convs)
    total = fixed + sum(int(_pairs(act, True)[0]) * each for act, each, _ in convs)
    return MacCount(
        dense=total // images,
        executed=float(per_image.mean()),
        gates=gates + sum(int(_pairs(act, True)[0]) * each for act, each, _ in networks),
        gates_executed=gates + _mean(sum(_pairs(act, False) * each for act, each, _ in networks)),
        dense_weights=sum(int(_pairs(act, True)[0]) * taps for act, _, taps in convs),
        survivor_weights=_mean(survivors),
        executed_per_image=per_image,
    )
