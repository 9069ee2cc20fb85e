"""What a node of a trace says of itself: its name, the shape of its tensor."""

from __future__ import annotations

from torch import fx


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of a node's tensor, as the example had it; () of what is no tensor."""
    meta = node.meta.get("tensor_meta")
    return tuple(meta.shape) if hasattr(meta, "shape") else ()


def named(node: fx.Node) -> str:
    """Of a function or a method; "" of a module."""
    if node.op == "call_module":
        return ""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
