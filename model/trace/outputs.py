"""What a traced module returns and which gates it has: logits, exits, scores that multiply maps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from penstock.model.gates.score import Score
from penstock.model.trace.nodes import named, shape_of
from penstock.model.trace.scores import MULTIPLIES, is_score, is_sigmoid
from penstock.model.trace.tracer import TraceError

#: What leaves a score's numbers as they are.
VIEWS = {
    *("unsqueeze", "view", "reshape", "float", "to", "type_as", "flatten", "squeeze"),
    "contiguous",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Returned:
    """What a module returns.

    Attributes:
        logits: places of the logits among all tensors it returns, early exits first.
        scores: the nodes that decide, in order: each score that multiplies a map and may be 0.
        whole: of each, whether it is one number an image for a whole map.
    """

    logits: tuple[int, ...]
    classes: int
    own: fx.Node
    scores: tuple[fx.Node, ...]
    whole: tuple[bool, ...]

    def __deepcopy__(self, memo: dict[int, Any]) -> Returned:
        """Itself: nothing in it changes."""
        return self

    @property
    def exits(self) -> int:
        """Logits in front of the last."""
        return len(self.logits) - 1


def returned(traced: fx.GraphModule, title: str) -> Returned:
    """Read a trace.  Raises TraceError of a module that returns no logits."""
    *nodes, output = traced.graph.nodes
    leaves: list[fx.Node] = []
    fx.map_arg(output.args[0], leaves.append)
    logits = [i for i, leaf in enumerate(leaves) if _is_logits(leaf)]
    if not logits:
        shapes = ", ".join(str(shape_of(leaf)) for leaf in leaves)
        raise TraceError(
            f"{title} returns {shapes or 'no tensor'}, no logits [N, classes]",
            "return logits, or a tuple of them: early exits first",
        )
    own = leaves[logits[-1]]
    found: dict[fx.Node, bool] = {}
    for node in nodes:
        decided = deciding(traced, node)
        if decided is not None:
            found.setdefault(decided[0], decided[1])
    return Returned(
        logits=tuple(logits),
        classes=shape_of(own)[1],
        own=own,
        scores=tuple(found),
        whole=tuple(found.values()),
    )


def tensors(given: Any) -> list[Tensor]:
    """All tensors of what a module returned, in order."""
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, Mapping):
        return [tensor for part in given.values() for tensor in tensors(part)]
    if isinstance(given, (tuple, list)):
        return [tensor for part in given for tensor in tensors(part)]
    return []


def deciding(traced: fx.GraphModule, node: fx.Node) -> tuple[fx.Node, bool] | None:
    """Of a multiplication of a map with a score that may be 0: the score, and whether it is one
    number an image."""
    if named(node) not in MULTIPLIES or len(node.args) < 2:
        return None
    operands = [arg for arg in node.args[:2] if isinstance(arg, fx.Node)]
    shapes = [shape_of(operand) for operand in operands]
    if len(operands) != 2 or len(shapes[0]) != 4 or len(shapes[1]) != 4:
        return None
    for score, other in (operands, operands[::-1]):
        if shape_of(score)[2:] == (1, 1) and is_score(score) and not is_score(other):
            root = unviewed(score)
            if not _never_zero(traced, root):
                return root, shape_of(score)[1] == 1 and shape_of(other)[1] != 1
    return None


def unviewed(node: fx.Node) -> fx.Node:
    """The score behind views: [:, :, None, None], reshape, float."""
    while True:
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or not (named(node) in VIEWS or _is_view(node)):
            return node
        node = source


def values_of(nodes: tuple[fx.Node, ...], known: Mapping[str, Tensor]) -> list[Tensor | None]:
    """The scores of nodes, float [N, C], from those that gate layers gave, by nodes' names.

    None of one that no layer gave.
    """
    found = [_value(node, known) for node in nodes]
    return [None if value is None else value.flatten(1) for value in found]


def _value(node: fx.Node, known: Mapping[str, Tensor]) -> Tensor | None:
    if node.name in known:
        return known[node.name]
    if named(node) in ("sub", "rsub") and node.args[0] == 1 and isinstance(node.args[1], fx.Node):
        first = _value(node.args[1], known)
        return None if first is None else 1 - first
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None
    value = _value(source, known)
    if value is None:
        return None
    if named(node) == "getitem":
        part: Tensor = value[node.args[1]]
        return part
    if named(node) in VIEWS:
        return value
    function: Callable[..., Any] | None = getattr(torch, named(node), None)
    if named(node) in ("chunk", "split") and function is not None:
        parts: Any = function(value, *node.args[1:], **node.kwargs)
        return parts  # type: ignore[no-any-return]  # getitem takes one of them
    return None


def _is_logits(leaf: fx.Node) -> bool:
    return len(shape_of(leaf)) == 2 and not is_score(leaf)


def _is_view(node: fx.Node) -> bool:
    index = node.args[1] if node.target is operator.getitem else None
    return isinstance(index, tuple) and all(p is None or p == slice(None) for p in index)


def _never_zero(traced: fx.GraphModule, root: fx.Node) -> bool:
    """Whether a score is a sigmoid's: it scales, and skips nothing."""
    if root.op == "call_module":
        kind = getattr(traced.get_submodule(str(root.target)), "kind", "")
        return kind == "sigmoid" or is_sigmoid(traced, root)
    return is_sigmoid(traced, root)


def score_layers(traced: fx.GraphModule) -> dict[str, str]:
    """Path of each score layer of `penstock.model.gates` -> its node's name."""
    return {
        str(node.target): node.name
        for node in traced.graph.nodes
        if node.op == "call_module" and isinstance(traced.get_submodule(str(node.target)), Score)
    }
