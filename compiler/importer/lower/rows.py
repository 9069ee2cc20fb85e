"""Slice, Gather and Split of a dense layer's outputs: some of its rows; Gather of a map's channels.

A policy network decides many blocks with one dense layer and hands each of them its own score.  The
rows taken are a layer of their own; what reads one pooled vector becomes one GATE again.

A Gather of every channel of a map is a channel shuffle, which costs nothing: the convolution that
reads it takes the channels where they are.
"""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import Binary, Linear, Logistic, Shuffled, Stored, Term

HINT = "outputs of a gate may be taken apart: along axis 1, after Gemm or after its threshold"

HINT_MAP = "let a convolution of its own make these channels, in place of a part of the map"


def lower_slice(builder: Builder, node: OpNode) -> Term:
    """Slice along the outputs."""
    names = ("starts", "ends", "axes", "steps")
    parts = [builder.constant(node, index, what) for index, what in enumerate(names, 1)]
    starts, ends, axes, steps = (None if p is None else np.asarray(p).reshape(-1) for p in parts)
    if starts is None or ends is None or len(starts) != 1 or (axes is None or list(axes) != [1]):
        raise node.error("slices along other axes than 1", HINT)
    step = 1 if steps is None else int(steps[0])
    chosen = np.arange(_outputs(builder, node))[slice(int(starts[0]), int(ends[0]), step)]
    return _rows(builder, node, chosen, node.output)


def lower_gather(builder: Builder, node: OpNode) -> Term:
    """Gather along the outputs; one index may be a scalar, as in policy[:, 3]."""
    indices = builder.constant(node, 1, "indices")
    if indices is None or int(node.attrs.get("axis", 0)) not in (1, -1) or indices.ndim > 1:
        raise node.error("gathers along other axes than 1", HINT)
    chosen = np.atleast_1d(indices).astype(np.int64)
    term = builder.term(node.inputs[0])
    if isinstance(term, Stored) and len(builder.net.shapes[node.inputs[0]]) == 4:
        return _shuffled(builder, node, term, chosen)
    outputs = _outputs(builder, node)
    if ((chosen < -outputs) | (chosen >= outputs)).any():
        raise node.error(f"gathers outputs {chosen.tolist()} of {outputs}", HINT)
    return _rows(builder, node, chosen % outputs, node.output)


def lower_split(builder: Builder, node: OpNode) -> Term:
    """Split along the outputs: the terms of every part; the first is returned."""
    if int(node.attrs.get("axis", 0)) not in (1, -1):
        raise node.error("splits along other axes than 1", HINT)
    first, terms = 0, []
    for name in node.outputs:
        size = builder.net.shapes[name][1]
        terms.append(_rows(builder, node, np.arange(first, first + size), name))
        builder.terms[name] = terms[-1]
        first += size
    return terms[0]


def _shuffled(builder: Builder, node: OpNode, term: Stored, chosen: Array) -> Term:
    """A map's channels in another order."""
    channels = builder.values[term.value].shape[0]
    if sorted(chosen) != list(range(channels)):
        raise node.error(
            f"gathers channels {chosen.tolist()} of {channels}", "gather each channel once"
        )
    order = () if (chosen == np.arange(channels)).all() else tuple(chosen.tolist())
    return Shuffled(stored=term, order=order) if order else term


def _outputs(builder: Builder, node: OpNode) -> int:
    """Outputs of the vector that a node takes apart."""
    return int(np.prod(builder.net.shapes[node.inputs[0]]))


def _rows(builder: Builder, node: OpNode, chosen: Array, name: str) -> Term:
    """The rows `chosen` of a term; of a gate that is there already, a gate of its own."""
    term = builder.term(node.inputs[0])
    if len(builder.net.shapes[node.inputs[0]]) == 4:
        raise node.error("takes some channels of a map", HINT_MAP)
    if len(builder.net.shapes[node.inputs[0]]) != 2 or not len(chosen):
        raise node.error("takes nothing of a gate's outputs", HINT)
    if isinstance(term, Linear) and term.dense:
        return _linear_rows(term, chosen)
    if isinstance(term, Binary):
        return Binary(linear=_linear_rows(term.linear, chosen))
    if isinstance(term, Logistic):
        return Logistic(linear=_linear_rows(term.linear, chosen))
    if isinstance(term, Stored) and isinstance(gate := builder.nodes.get(term.value), ir.Gate):
        return _gate_rows(builder, node, gate, chosen, name)
    raise node.error(f"'{node.inputs[0]}' is not the output of a gate's dense layer", HINT)


def _linear_rows(linear: Linear, chosen: Array) -> Linear:
    return dataclasses.replace(
        linear,
        weight=linear.weight[chosen],
        bias=linear.bias[chosen],
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
