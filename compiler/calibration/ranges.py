"""Scales from the largest magnitudes of calibration images."""

import numpy as np
import numpy.typing as npt

from penstock.compiler.calibration.points import Points
from penstock.compiler.importer.net import Net
from penstock.compiler.importer.to_onnx import to_onnx
from penstock.program.optional import require

#: A tensor that is always zero still needs a scale.
MIN_SCALE = 1e-6


def measure(net: Net, points: Points, images: npt.NDArray[np.float32]) -> dict[str, float]:
    """The scale of every point; members of a group share the largest."""
    largest = _largest(net, sorted(points.unsigned), images)
    scales: dict[str, float] = {}
    for name, head in points.group.items():
        levels = 255 if points.unsigned[name] else 127
        scale = max(largest[name] / levels, MIN_SCALE, scales.get(head, 0.0))
        scales[head] = float(np.float32(scale))
    return {name: scales[head] for name, head in points.group.items()}


def _largest(net: Net, names: list[str], images: npt.NDArray[np.float32]) -> dict[str, float]:
    """Largest magnitude of each tensor over the images."""
    onnxruntime = require("onnxruntime")
    computed = [name for name in names if name != net.input]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = to_onnx(net, tuple(computed)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(names, 0.0)
    largest[net.input] = float(np.abs(images).max())
    for image in images:
        feed = {net.input: image[None]}
        for name, array in zip(computed, session.run(computed, feed), strict=True):
            largest[name] = max(largest[name], float(np.abs(array).max(initial=0.0)))
    return largest
