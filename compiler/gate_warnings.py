"""Gates that compile and never skip, or always do: one line each, for the report."""

import numpy as np
import numpy.typing as npt

from penstock.compiler import ir
from penstock.compiler.numerics import SCORE_ONE, requantize, sigmoid_scores, type_range
from penstock.compiler.passes.analysis import Analysis
from penstock.program.core.descriptor import GateKind

OPEN = "every MAC that it could skip is executed"


def gate_warnings(graph: ir.Graph) -> dict[str, str]:
    """Of gates that no image can close, or none can open: by their name."""
    analysis = Analysis(graph=graph)
    scaling = {c.fold.scores for c in analysis.convs if c.fold and not analysis.scales(c)}
    found = {}
    for gate in (node for node in graph.nodes if isinstance(node, ir.Gate)):
        if gate.kind == GateKind.SIGMOID:
            if gate.output in scaling:
                found[gate.name] = (
                    f"gate '{gate.name}' is a sigmoid, which scales and skips nothing: {OPEN}; "
                    "compare it with a constant (Greater), or use Clip(0, 1)"
                )
            continue
        low, high = _score_bounds(gate, *_bounds(analysis, gate.input))
        if (low > 0).all():
            found[gate.name] = (
                f"gate '{gate.name}' never closes: whatever it reads, its scores are at least "
                f"{low.min() / SCORE_ONE:.3g}; {OPEN}"
            )
        elif (high == 0).all():
            found[gate.name] = (
                f"gate '{gate.name}' never opens: whatever it reads, its scores are 0"
            )
    return found


def _bounds(analysis: Analysis, value: str) -> tuple[int, int]:
    """Least and greatest integer of a vector that a gate reads."""
    node = analysis.producer.get(value)
    if isinstance(node, ir.Dense):
        return node.clamp
    limits = type_range(analysis.graph.values[value].signed)
    if isinstance(node, ir.Pool) and analysis.range(node.input)[0] >= 0:
        return max(limits[0], 0), limits[1]
    return limits


def _score_bounds(
    gate: ir.Gate, low: int, high: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Least and greatest score of each output, for inputs of low to high."""
    weight = gate.weight.astype(np.int64)
    ends = np.stack([weight * low, weight * high])
    bounds = [gate.bias + end.sum(axis=1) for end in (ends.min(axis=0), ends.max(axis=0))]
    least, greatest = (_score(gate, acc) for acc in bounds)
    return least, greatest


def _score(gate: ir.Gate, acc: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The scores of accumulators (n,): all kinds rise with them."""
    if gate.binary:
        return np.where(acc > 0, SCORE_ONE, 0)
    steps = requantize(acc, gate.requantize.multiplier, gate.requantize.shift)
    if gate.kind == GateKind.SIGMOID:
        return sigmoid_scores(steps)
    return np.clip(steps, 0, SCORE_ONE)
