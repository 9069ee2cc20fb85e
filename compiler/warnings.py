"""What compiles and will be of little use: one line each, for the report and the command line."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from penstock.compiler import ir
from penstock.compiler.calibration.ranges import Range
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.numerics import SCORE_ONE, requantize, sigmoid_scores, type_range
from penstock.compiler.passes.analysis import Analysis
from penstock.program.descriptor import GateKind

#: Calibration images below which the ranges of what they make are chance.
FEW_IMAGES = 8
DENSE = ("Conv", "Gemm", "MatMul")
OPEN = "every MAC that it could skip is executed"


def image_warnings(images: npt.NDArray[np.float32]) -> dict[str, str]:
    """Of calibration images (N, C, H, W) that say little about the ranges of a network.

    By a key for each kind, "image " first.
    """
    flat = images.reshape(len(images), -1)
    if not flat.any():
        zeros = "the calibration images are zero everywhere: no range can be measured with them"
        return {"image values": zeros}
    found = {}
    if (flat.min(axis=1) == flat.max(axis=1)).all():
        constant = "every calibration image is constant: calibrate with images of the data set"
        found["image values"] = constant
    distinct = len({row.tobytes() for row in flat})
    if distinct < FEW_IMAGES:
        what = f"{len(flat)} calibration image{'s' if len(flat) > 1 else ''}"
        if distinct < len(flat):
            what += f", {distinct} of them different"
        found["image count"] = f"{what}: give at least {FEW_IMAGES}, better a hundred"
    return found


def score_tensors(net: Net) -> dict[str, str]:
    """The gate scores of a float network, which a map is multiplied by: tensor -> its gate's layer.

    Sigmoids are none: they are never 0, which `gate_warnings` says where it matters.
    """
    made = {name: node for node in net.nodes for name in node.outputs}
    found = {}
    for node in net.nodes:
        if node.op != "Mul" or any(map(net.is_constant, node.inputs)):
            continue
        shapes = [net.shapes[name] for name in node.inputs]
        for name, shape, other in zip(node.inputs, shapes, shapes[::-1], strict=True):
            if set(shape[2:]) <= {1} and set(other[2:]) - {1}:
                if label := _layer(made, name):
                    found[name] = label
    return found


def _layer(made: Mapping[str, OpNode], name: str) -> str:
    """The dense layer behind a gate score, "" if there is none or a sigmoid makes the score."""
    compared = False
    while name in made:
        node = made[name]
        if node.op in DENSE:
            return node.label
        if node.op == "Sigmoid" and not compared:
            return ""
        compared = compared or node.op in ("Greater", "GreaterOrEqual")
        name = node.inputs[0]
    return ""


def score_warnings(net: Net, ranges: Mapping[str, Range]) -> dict[str, str]:
    """Of gates whose scores were above 0, or 0, for every calibration image: by their layer."""
    found = {}
    for name, gate in score_tensors(net).items():
        if ranges[name].largest == 0:
            found[gate] = (
                f"gate '{gate}' is closed for every calibration image: what it scales is skipped"
            )
        elif ranges[name].least > 0:
            found[gate] = (
                f"gate '{gate}' is open for every calibration image (least score "
                f"{ranges[name].least:.3g}): {OPEN}"
            )
    return found


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
