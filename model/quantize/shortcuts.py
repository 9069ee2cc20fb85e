"""Shortcuts without weights, and what the second of two experts reads."""

from __future__ import annotations

import operator

from torch import fx

from penstock.model.gates.experts import Source
from penstock.model.quantize.builder import Builder
from penstock.model.quantize.operands import every, operand, value
from penstock.model.quantize.quantizers import identity_conv
from penstock.model.quantize.values import Value
from penstock.model.trace.nodes import shape_of
from penstock.model.trace.tracer import error


def rule_pad(build: Builder, node: fx.Node) -> Value:
    """More channels, zeros: a shortcut of option A, of every s-th pixel, as a 1x1 convolution."""
    source = operand(node)
    how = dict(zip(("pad", "mode", "value"), node.args[1:], strict=False)) | dict(node.kwargs)
    given = how.get("pad")
    listed = tuple(given) if isinstance(given, (tuple, list)) else ()
    zeros = how.get("mode", "constant") == "constant" and not how.get("value")
    if len(listed) != 6 or any(listed[:4]) or min(listed[4:]) < 0 or not zeros:
        raise error(node, f"pads by {given}", "zero channels alone; windows pad in their layers")
    step = every(source.args[1]) if source.target is operator.getitem else None
    x = build.stored(build.values[source])
    shape = shape_of(operand(source) if step else source)
    layer = identity_conv(shape[1], shape_of(node)[1], step or 1, first=listed[4])
    return build.layer(f"{x.label}_pad", layer, x)  # int8, as every operand of a sum


def rule_source(build: Builder, node: fx.Node) -> Value:
    """What runs reads the first operand; the gradient is the second's."""
    x, other = (build.stored(value(build, node, arg)) for arg in node.args[:2])
    if x.grid is None or other.grid is None or x.grid.scale.root is not other.grid.scale.root:
        raise error(node, "chooses between maps of two scales", "two maps of one residual chain")
    return x.at(build.module(str(node.target), Source(), x.node, other.node))
