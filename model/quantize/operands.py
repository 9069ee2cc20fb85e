"""What the rules read of a node: its operands, and the steps of an index."""

from __future__ import annotations

from typing import Any

from torch import fx

from penstock.model.quantize.builder import Builder
from penstock.model.quantize.values import Value
from penstock.model.trace.tracer import error


def operand(node: fx.Node) -> fx.Node:
    """The tensor that a node of one operand reads."""
    first = node.args[0] if node.args else next(iter(node.kwargs.values()))
    assert isinstance(first, fx.Node)
    return first


def value(build: Builder, node: fx.Node, arg: Any) -> Value:
    """What is known of an operand that must be a tensor.  Raises TraceError."""
    if not isinstance(arg, fx.Node) or arg not in build.values:
        raise error(node, f"has the constant operand {arg}", "fold it into a layer's weights")
    return build.values[arg]


def every(index: Any) -> int | None:
    """s of the index [:, :, ::s, ::s]."""
    if not isinstance(index, tuple) or len(index) != 4 or index[2] != index[3]:
        return None
    rows = index[2]
    if index[:2] != (slice(None), slice(None)) or not isinstance(rows, slice):
        return None
    plain = rows.start in (None, 0) and rows.stop is None
    return rows.step if plain and isinstance(rows.step, int) else None
