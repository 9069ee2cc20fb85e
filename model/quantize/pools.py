"""Pools and global averages."""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.nn import functional as F

from penstock.model.quantize.builder import Builder
from penstock.model.quantize.operands import operand
from penstock.model.quantize.values import Value
from penstock.model.trace.nodes import shape_of
from penstock.model.trace.tracer import error

#: What a pool's window is, in the order of its functions' arguments.
POOL = ("kernel_size", "stride", "padding", "ceil_mode", "dilation", "count_include_pad")


def rule_max_pool(build: Builder, node: fx.Node) -> Value:
    """A maximum over windows: stays on its grid."""
    x = build.stored(build.values[operand(node)])
    return x.at(build.call(F.max_pool2d, x.node, **_window(build, node)))


def rule_avg_pool(build: Builder, node: fx.Node) -> Value:
    """An average over windows of a stored map."""
    x = build.stored(build.values[operand(node)])
    y = build.call(F.avg_pool2d, x.node, **_window(build, node))
    label = f"{x.label}.pool"
    return Value(node=y, place="accumulator", label=label, negative=x.negative)


def rule_global_pool(build: Builder, node: fx.Node) -> Value:
    """A global average: one vector for all that read it."""
    x = build.values[operand(node)]
    height, width = shape_of(operand(node))[2:]
    out = shape_of(node)
    if (len(out) == 4 and out[2:] != (1, 1)) or len(out) not in (2, 4):
        raise error(node, f"averages {height}x{width} to {out[2:]}", "average the whole map")
    y = build.pooled(build.stored(x))
    return y if len(out) == 4 else y.at(build.method("flatten", y.node, 1))


def rule_mean(build: Builder, node: fx.Node) -> Value:
    """mean over height and width."""
    axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    if sorted(axis % 4 for axis in axes if isinstance(axis, int)) != [2, 3]:
        raise error(node, f"takes the mean over {axes}", "the mean of a map: dim=(2, 3)")
    return rule_global_pool(build, node)


def _window(build: Builder, node: fx.Node) -> dict[str, Any]:
    """The window of a pool, as its function takes it."""
    if node.op == "call_module":
        pool = build.source.get_submodule(str(node.target))
        found = {name: getattr(pool, name) for name in POOL if hasattr(pool, name)}
    else:
        found = dict(zip(POOL[:3], node.args[1:], strict=False)) | dict(node.kwargs)
    found["stride"] = found.get("stride") or found["kernel_size"]
    return found
