"""Slice, Gather and Split of a dense layer's outputs: some of its rows; Gather of a map's channels.

A policy network decides many blocks with one dense layer and hands each of them its own score.  The
rows taken are a layer of their own; what reads one pooled vector becomes one GATE again.

A Gather of every channel of a map is a channel shuffle, which costs nothing: the convolution that
reads it takes the channels where they are.
"""

import dataclasses
import math

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.axes import axes_of, axis_of
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.parts import channels_of, sliced
from penstock.compiler.importer.lower.values.shapes import check_vector
from penstock.compiler.importer.lower.values.stored import is_stored_map, pending, settle, simplest
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import Binary, Linear, Logistic, Pending, Stored, Term

HINT = "outputs of a gate may be taken apart: along their axis, after Gemm or after its threshold"

HINT_MAP = "quantise the map before a part of it is taken"


def lower_slice(builder: Builder, node: OpNode) -> Term:
    """Slice along the outputs."""
    names = ("starts", "ends", "axes", "steps")
    parts = [builder.constant(node, index, what) for index, what in enumerate(names, 1)]
    starts, ends, _, steps = (None if p is None else np.asarray(p).reshape(-1) for p in parts)
    axes = axes_of(builder.net, node)
    if starts is None or ends is None:
        raise node.error("slices without starts and ends", HINT)
    term = builder.term(node.inputs[0])
    if is_stored_map(term, builder):
        axes = tuple(range(len(starts))) if axes is None else axes
        wide = [1] * len(starts) if steps is None else steps.tolist()
        whole = zip(axes, starts.tolist(), ends.tolist(), wide, strict=True)
        return sliced(builder, node, term, {axis: slice(*rest) for axis, *rest in whole})
    if len(starts) != 1 or axes is None:
        raise node.error("slices along other axes than one", HINT)
    step = 1 if steps is None else int(steps[0])
    size = builder.net.shapes[node.inputs[0]][axes[0]]
    chosen = np.arange(size)[slice(int(starts[0]), int(ends[0]), step)]
    return _rows(builder, node, axes[0], chosen, node.output)


def lower_gather(builder: Builder, node: OpNode) -> Term:
    """Gather along the outputs; one index may be a scalar, as in policy[:, 3]."""
    indices = builder.constant(node, 1, "indices")
    axis = axis_of(builder.net, node)
    if indices is None or indices.ndim > 1:
        raise node.error("gathers by indices that are no list", HINT)
    size = builder.net.shapes[node.inputs[0]][axis]
    chosen = np.atleast_1d(indices).astype(np.int64)
    if ((chosen < -size) | (chosen >= size)).any():
        raise node.error(f"gathers outputs {chosen.tolist()} of {size}", HINT)
    term = builder.term(node.inputs[0])
    gate = isinstance(term, Stored | Pending) and isinstance(builder.nodes.get(term.value), ir.Gate)
    if isinstance(term, Stored | Pending) and not gate:
        return _shuffled(builder, node, axis, pending(term), chosen % size)
    return _rows(builder, node, axis, chosen % size, node.output)


def lower_split(builder: Builder, node: OpNode) -> Term:
    """Split along the outputs: the terms of every part; the first is returned."""
    axis = axis_of(builder.net, node)
    first, terms = 0, []
    term = builder.term(node.inputs[0])
    for name in node.outputs:
        size = builder.net.shapes[name][axis]
        if is_stored_map(term, builder):
            alone = dataclasses.replace(node, outputs=(name,))
            terms.append(sliced(builder, alone, term, {axis: slice(first, first + size, 1)}))
        else:
            terms.append(_rows(builder, node, axis, np.arange(first, first + size), name))
        builder.terms[name] = terms[-1]
        first += size
    return terms[0]


def _shuffled(
    builder: Builder, node: OpNode, axis: int, term: Pending, chosen: Array
) -> Stored | Pending:
    """A map's channels, or a vector's elements, in another order."""
    shape = builder.values[term.value].shape
    if len(shape) == 1:
        check_vector(builder, node, 0, axis)
    elif axis != 1:
        raise node.error(f"gathers along axis {axis} of a map", "gather its channels: axis 1")
    if sorted(chosen) != list(range(shape[0])):
        if len(shape) == 1 or not len(chosen):
            raise node.error(
                f"gathers elements {chosen.tolist()} of {shape[0]}", "gather each element once"
            )
        return channels_of(builder, node, term, chosen.tolist())
    before = np.array(term.order or range(shape[0]))
    order = tuple(before[chosen].tolist())
    return simplest(
        dataclasses.replace(term, order=() if order == tuple(range(shape[0])) else order)
    )


def _rows(builder: Builder, node: OpNode, axis: int, chosen: Array, name: str) -> Term:
    """The rows `chosen` of a term; of a gate that is there already, a gate of its own."""
    term = builder.term(node.inputs[0])
    shape = builder.net.shapes[node.inputs[0]]
    if len(shape) == 4 and shape[axis] != math.prod(shape):
        raise node.error("takes some channels of a map", HINT_MAP)
    if shape[axis] != math.prod(shape) or not len(chosen):
        raise node.error("takes nothing of a gate's outputs", HINT)
    if isinstance(term, Linear) and term.dense:
        return _linear_rows(term, chosen)
    if isinstance(term, Binary | Logistic):
        return dataclasses.replace(term, linear=_linear_rows(term.linear, chosen))
    if isinstance(term, Stored | Pending):
        gate = builder.nodes.get(settle(builder, node, term, node.inputs[0]).value)
        if isinstance(gate, ir.Gate):
            return _gate_rows(builder, node, gate, chosen, name)
    raise node.error(f"'{node.inputs[0]}' is not the output of a gate's dense layer", HINT)


def _linear_rows(linear: Linear, chosen: Array) -> Linear:
    return dataclasses.replace(
        linear,
        weight=linear.weight[chosen],
        bias=linear.bias[chosen],
        offset=linear.offset[chosen],
        scale=linear.scale[chosen],
    )


def _gate_rows(builder: Builder, node: OpNode, gate: ir.Gate, chosen: Array, name: str) -> Stored:
    """A Gate of some rows; the whole one is dropped if nothing else reads it."""
    factors = ir.Requantize(
        multiplier=gate.requantize.multiplier[chosen], shift=gate.requantize.shift[chosen]
    )
    part = dataclasses.replace(
        gate,
        output=name,
        weight=gate.weight[chosen],
        bias=gate.bias[chosen],
        requantize=factors,
    )
    scale = builder.values[gate.output].scale
    return builder.add_node(node, part, signed=False, scale=scale)
