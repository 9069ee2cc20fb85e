"""Where a binary gate's comparison in onnxruntime is too close to call."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from penstock.compiler import ir
from penstock.compiler.check.reference import Array
from penstock.compiler.ir import IntArray

#: Relative error of a float32 sum of products, as far as it may grow.
FLOAT_ERROR = 2.0**-18
#: Operators that keep every element of their first input, or its sign, where it is.
FOLLOWED = frozenset(
    ["Cast", "Clip", "DequantizeLinear", "Dropout", "Flatten", "Identity", "Max", "Min"]
    + ["QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze"]
)
COMPARISONS = frozenset(["Greater", "GreaterOrEqual"])


def comparisons(graph: ir.Graph, model: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """Scores of binary gates -> the two tensors that the file compares, where it is plain which."""
    made = {name: node for node in model.graph.node for name in node.output}
    found = {}
    for gate in graph.nodes:
        if not isinstance(gate, ir.Gate) or not gate.binary:
            continue
        node = made.get(graph.tensor(gate.output))
        while node is not None and node.op_type in FOLLOWED:
            node = made.get(node.input[0])
        if node is not None and node.op_type in COMPARISONS:
            found[gate.output] = (node.input[0], node.input[1])
    return found


def near(left: Array, right: Array, shape: tuple[int, ...]) -> Array:
    """Where two float tensors (N, ...) are equal but for rounding, as bool of `shape`.

    They broadcast as in onnxruntime, the images apart; what is the same for all has N = 1.
    """
    size = np.maximum(np.abs(left).max(initial=0.0), np.abs(right).max(initial=0.0))
    rank = max(left.ndim, right.ndim)
    left, right = (
        each.reshape(len(each), *(1,) * (rank - each.ndim), *each.shape[1:])
        for each in (left, right)
    )
    return np.asarray(np.abs(left - right) <= size * FLOAT_ERROR).reshape(shape)


def near_threshold(
    node: ir.Gate, values: Mapping[str, IntArray], unsure: npt.NDArray[Any] | float = 0.0
) -> IntArray:
    """Where the accumulator of a gate is next to its threshold, (N, n) bool.

    For gates whose comparison is not found, or that read what may be `unsure` steps of the
    accumulator off.  acc > 0 opens, so the threshold lies between 0 and 1.
    """
    wide, weight = values[node.input].astype(np.float64), node.weight.astype(np.float64)
    bias = node.bias.astype(np.float64)
    size = np.abs(wide) @ np.abs(weight).T + np.abs(bias)
    distance = np.abs(wide @ weight.T + bias - 0.5)
    return np.asarray(distance <= 0.5 + unsure + size * FLOAT_ERROR)
