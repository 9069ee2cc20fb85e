"""Gate scores: clamps, sigmoids and comparisons that a multiplication with a map ends in."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn

from penstock.model.gates.score import Score
from penstock.model.quantize.builder import Builder
from penstock.model.quantize.layers import Kind
from penstock.model.quantize.values import Value
from penstock.model.trace.nodes import named
from penstock.model.trace.scores import is_score, is_sigmoid
from penstock.model.trace.tracer import error


def rule_clamp(build: Builder, node: fx.Node) -> Value:
    """A limit: ReLU6 of what a layer is about to store, or a gate's ReLU-1."""
    x = build.values[_source(node)]
    low, high = _limits(build, node)
    if (low, high) == (0.0, 1.0) and is_score(node):
        return build.score("relu1", x)
    if low is None or low > 0 or (high is not None and high <= 0):
        raise error(node, f"limits to {low}..{high}", "from 0 on: ReLU, ReLU6, clamp(0, a)")
    if x.place != "accumulator":
        raise error(node, "limits a map that is stored already", "limit what a layer gives")
    limits = {"min": low} if high is None else {"min": low, "max": high}
    return x.at(build.call(torch.clamp, x.node, **limits), negative=low < 0)


def rule_sigmoid(build: Builder, node: fx.Node) -> Value:
    """A sigmoid: of a threshold that follows, its argument; else a soft score."""
    x = build.values[_source(node)]
    if any(named(reader) in ("gt", "ge") for reader in node.users):
        return x
    if not is_score(node):
        raise error(node, "is a sigmoid of what no gate reads", "as a gate's score it is supported")
    return build.score("sigmoid", x)


def rule_hard_sigmoid(build: Builder, node: fx.Node) -> Value:
    """`torch.nn.Hardsigmoid` or its function: a gate's score."""
    if not is_score(node):
        raise error(node, "is a hard sigmoid of what no gate reads", "as a score it is supported")
    return build.score("hard_sigmoid", build.values[_source(node)])


def rule_binary_threshold(build: Builder, node: fx.Node) -> Value:
    """z > 0, or sigmoid(z) > 1/2; `>=` keeps its ties."""
    source, threshold = node.args[0], node.args[1]
    sigmoid = isinstance(source, fx.Node) and is_sigmoid(build.source, source)
    if not isinstance(source, fx.Node) or threshold != (0.5 if sigmoid else 0):
        raise error(
            node,
            f"compares with {threshold}",
            "compare a gate's sum with 0, or its sigmoid with 0.5; put the threshold in the bias",
        )
    kind: Kind = "binary" if named(node) == "gt" else "binary_or_equal"
    return build.score(kind, build.values[source])


def rule_score(build: Builder, node: fx.Node) -> Value:
    """A score layer of `penstock.model.gates`."""
    module = build.source.get_submodule(str(node.target))
    assert isinstance(module, Score)
    return build.score(module.kind, build.values[_source(node)])


def rule_rest(build: Builder, node: fx.Node) -> Value:
    """1 - score, of a score that is 0 or 1: the other one's of two experts."""
    one, given = node.args[:2]
    score = build.values.get(given) if isinstance(given, fx.Node) else None
    if one != 1 or score is None or score.place != "score":
        raise error(node, "subtracts", "of gates, 1 - score is supported; add with a layer's sign")
    kind = _kind(build, score.node)
    if kind not in ("binary", "binary_or_equal"):
        raise error(node, f"takes 1 - score of a gate of kind {kind}", "decide it by a Step")
    return score.at(build.call(operator.sub, 1, score.node))


def _kind(build: Builder, node: fx.Node) -> str:
    """The kind of the gate that a score comes from."""
    while node.op != "call_module":
        source = node.args[0]
        if not isinstance(source, fx.Node):
            return "rest"
        node = source
    kind: str = build.modules[str(node.target)].kind  # type: ignore[assignment]
    return kind


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0] if node.args else next(iter(node.kwargs.values()))
    assert isinstance(source, fx.Node)
    return source


def _limits(build: Builder, node: fx.Node) -> tuple[float | None, float | None]:
    """(lowest, highest) of a clamp in any of its spellings."""
    if node.op == "call_module":
        module = build.source.get_submodule(str(node.target))
        assert isinstance(module, nn.Hardtanh)
        return float(module.min_val), float(module.max_val)
    name, given = named(node), [*node.args[1:]]
    if name == "relu6":
        return 0.0, 6.0
    if name == "hardtanh":
        given = given or [-1.0, 1.0]
    low: Any = node.kwargs.get("min", node.kwargs.get("min_val", given[0] if given else None))
    high: Any = node.kwargs.get("max", node.kwargs.get("max_val", given[1] if given[1:] else None))
    return (None if low is None else float(low), None if high is None else float(high))
