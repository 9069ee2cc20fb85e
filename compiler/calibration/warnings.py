"""What images calibrate badly: one line each, for the report and the command line."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from penstock.compiler.calibration.ranges import Range
from penstock.compiler.gate_warnings import OPEN
from penstock.compiler.importer.net import Net, OpNode

FEW_IMAGES = 8
DENSE = ("Conv", "Gemm", "MatMul")


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
