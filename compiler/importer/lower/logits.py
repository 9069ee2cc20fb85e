"""A dense layer whose result leaves the network in floating point: logits of 16 bits."""

import dataclasses
import math

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.logits import logit_scales
from penstock.compiler.importer.lower.layers.bias import fit
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear
from penstock.compiler.numerics import WIDE_MOST, exit_scale

#: Steps of the accumulator in one of the result, at least: its bias is then a quarter off at most.
LEAST_STEPS = 2


def lower_logits(builder: Builder, node: OpNode, term: Linear, name: str) -> str:
    """The value of output `name`, whose last node is `node`, of a dense layer's accumulator."""
    if name in builder.nodes:  # an exit and the output may be one tensor
        return name
    scale = _scale(builder, term, name)
    low, high = (
        int(np.clip(np.rint(np.float64(bound) / scale), -WIDE_MOST - 1, WIDE_MOST))
        for bound in (term.low, term.high)
    )
    fitted = fit(builder, term, scale)
    builder.note_rounding(term.node, fitted.error, fitted.finer)
    item = ir.Dense(
        name=term.node.label,
        input=term.input,
        output=name,
        weight=fitted.weight,
        bias=fitted.bias,
        requantize=builder.requantize(term.node, fitted.scale / scale),
        clamp=(low, high),
    )
    builder.linears[name] = term
    builder.add_node(dataclasses.replace(node, outputs=(name,)), item, True, scale)
    builder.values[name] = dataclasses.replace(builder.values[name], wide=True)
    return name


def _scale(builder: Builder, term: Linear, name: str) -> float:
    """The finest scale at which nothing that was seen saturates, or nothing at all if it is not
    known what there will be; no finer than the accumulator, or than an exit's table reaches."""
    scale = _largest(builder, term) / WIDE_MOST
    scale = min(scale, logit_scales(builder.net.metadata).get(name, math.inf))
    live = np.abs(term.weight.reshape(len(term.weight), -1)).max(axis=1, initial=0) > 0
    scale = max(scale, LEAST_STEPS * float(term.scale[live].max(initial=0.0)))
    if name in builder.net.exits:
        scale = max(scale, exit_scale())
    return float(np.float32(scale or 1.0))


def _largest(builder: Builder, term: Linear) -> float:
    """The largest magnitude that the layer can make of anything."""
    low, high = builder.integer_range(term.input)
    weight = term.weight.reshape(len(term.weight), -1).astype(np.int64)
    ends = np.stack([weight * low, weight * high])
    bias = term.bias * term.scale + term.offset
    least, most = (
        each.sum(axis=1) * term.scale + bias for each in (ends.min(axis=0), ends.max(axis=0))
    )
    bounds = np.clip([least, most], term.low, term.high)
    return float(np.abs(bounds).max(initial=0.0))
