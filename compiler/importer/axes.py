"""Axes as numbers from 0: the one place where an axis of an ONNX node is read."""

import operator

import numpy as np

from penstock.compiler.importer.net import Net, OpNode

#: Axis of an operator that names none (ONNX); the others must name theirs.
DEFAULT_AXIS = {"DequantizeLinear": 1, "Flatten": 1, "Gather": 0, "QuantizeLinear": 1, "Split": 0}
#: Where an operator has its axes as an input; ReduceMean has an attribute before opset 18.
AXES_INPUT = {"ReduceMax": 1, "ReduceMean": 1, "Slice": 3, "Squeeze": 1, "Unsqueeze": 1}


def normal_axis(node: OpNode, axis: int, rank: int) -> int:
    """`axis` of a tensor with `rank` dimensions, counted from 0.

    Raises:
        CompileError: the tensor has no such axis.
    """
    if not -rank <= axis < rank:
        raise node.error(f"has no axis {axis} in {rank} dimensions")
    return axis % rank


def axis_of(net: Net, node: OpNode) -> int:
    """The axis of Concat, DequantizeLinear, Gather, QuantizeLinear and Split, counted from 0."""
    axis = node.attrs.get("axis", DEFAULT_AXIS.get(node.op))
    if axis is None:
        raise node.error("names no axis")
    return normal_axis(node, operator.index(axis), len(net.shapes[node.inputs[0]]))


def axes_of(net: Net, node: OpNode) -> tuple[int, ...] | None:
    """The axes of ReduceMean and Slice in the node's order, counted from 0; None if it has none.

    Raises:
        CompileError: they are no constants, or the tensor has not all of them.
    """
    name = node.optional_input(AXES_INPUT[node.op])
    if name and name not in net.constants:
        raise node.error("its axes are not a constant")
    axes = np.asarray(net.constants[name]).reshape(-1) if name else node.attrs.get("axes")
    if axes is None:
        return None
    rank = len(net.shapes[node.inputs[0]])
    return tuple(normal_axis(node, int(axis), rank) for axis in axes)


def permutation_of(net: Net, node: OpNode) -> tuple[int, ...]:
    """The axes of a Transpose; without `perm` they are reversed."""
    rank = len(net.shapes[node.inputs[0]])
    perm = node.attrs.get("perm", range(rank)[::-1])
    return tuple(normal_axis(node, int(axis), rank) for axis in perm)
