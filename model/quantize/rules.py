"""What each operator of a traced network becomes; one function an operator, one table of all.

A value is stored in 8 bits where something reads it that needs it so: a convolution, a pool, a
Concat, a residual sum, the outside.  Between two stores everything happens in the accumulator:
bias, ReLU, scores, the residual operand.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from penstock.model.gates.experts import Source
from penstock.model.gates.score import Score
from penstock.model.quantize.builder import Builder
from penstock.model.quantize.layers import channelwise, folded_linear, settled_norm
from penstock.model.quantize.operands import every, operand, value
from penstock.model.quantize.pools import rule_avg_pool, rule_global_pool, rule_max_pool, rule_mean
from penstock.model.quantize.quantizers import QuantConv, QuantLinear
from penstock.model.quantize.scores import (
    rule_binary_threshold,
    rule_clamp,
    rule_hard_sigmoid,
    rule_rest,
    rule_score,
    rule_sigmoid,
)
from penstock.model.quantize.shortcuts import rule_pad, rule_source
from penstock.model.quantize.values import Grid, Value
from penstock.model.trace.nodes import shape_of
from penstock.model.trace.tracer import error

Rule = Callable[[Builder, fx.Node], Value]


def rule_conv(build: Builder, node: fx.Node) -> Value:
    """Conv2d with the batch norm behind it folded in."""
    conv, x = _module(build, node, nn.Conv2d), build.stored(build.values[operand(node)])
    if conv.padding_mode != "zeros" or not isinstance(conv.padding, tuple):
        how = f"{conv.padding_mode} {conv.padding}"
        raise error(node, f"pads by {how}", "pad with zeros, in numbers")
    norm = _norm_behind(build, node, nn.BatchNorm2d)
    try:
        settled = settled_norm(norm, conv.bias, conv.out_channels)
    except ValueError as problem:
        raise error(node, f"its batch norm {problem}") from problem
    return build.layer(str(node.target), QuantConv(conv, settled), x)


def rule_linear(build: Builder, node: fx.Node) -> Value:
    """Linear on a pooled vector or another Linear's result."""
    linear, x = _module(build, node, nn.Linear), build.stored(build.values[operand(node)])
    if len(shape_of(operand(node))) != 2:
        raise error(
            node,
            f"reads {shape_of(operand(node))}, not a vector",
            "put a global average and flatten(1) before it",
        )
    folded = folded_linear(linear, _norm_behind(build, node, nn.BatchNorm1d))
    return build.layer(str(node.target), QuantLinear(folded), x)


def rule_norm(build: Builder, node: fx.Node) -> Value:
    """A batch norm: folded already, or a depthwise 1x1 convolution of its own."""
    source = operand(node)
    if _folds(build, source, node):
        return build.values[source]
    norm = _module(build, node, nn.BatchNorm2d)
    x = build.stored(build.values[source])
    layer = QuantConv(channelwise(norm.num_features), settled_norm(norm, None, norm.num_features))
    return build.layer(str(node.target), layer, x)


def rule_relu(build: Builder, node: fx.Node) -> Value:
    """ReLU, in the accumulator; of a stored map that may be negative, a 1x1 of its own."""
    x = build.values[operand(node)]
    if not x.negative:
        return x
    x = _accumulator(build, node, x)
    return x.at(build.call(F.relu, x.node), negative=False)


def rule_mul(build: Builder, node: fx.Node) -> Value:
    """A map, or what a layer is about to store, times a score."""
    a, b = (value(build, node, arg) for arg in node.args[:2])
    x, score = (a, b) if b.place == "score" else (b, a)
    if score.place != "score" or x.place == "score":
        raise error(node, "multiplies two maps", "only gate scores multiply: see ChannelGate")
    shape = shape_of(_score_operand(node, build))
    if len(shape) != len(shape_of(node)) or any(size != 1 for size in shape[2:]):
        raise error(node, f"multiplies with scores of {shape}", "shape scores as [N, C, 1, 1]")
    branch = x.branch or (len(shape) == 4 and shape[1] == 1)
    y = build.call(operator.mul, x.node, score.node)
    label = x.label if x.place == "accumulator" else f"{x.label}.scaled"
    return x.at(y, place="accumulator", label=label, grid=None, branch=branch)


def rule_add(build: Builder, node: fx.Node) -> Value:
    """A residual sum: an accumulator plus a stored map at the scale of the result."""
    a, b = (value(build, node, arg) for arg in node.args[:2])
    if "score" in (a.place, b.place) or shape_of(node) != _same(node):
        raise error(node, "adds scores or maps of two shapes", "only maps of one shape are added")
    branch, residual = _branch_first(a, b)
    if branch.summed or branch.place == "stored":
        branch = _accumulator(build, node, build.stored(branch))
    # The residual is stored at the scale of the sum, so that a skipped branch leaves it in place.
    grid = residual.grid if residual.place == "stored" and residual.grid is not None else Grid()
    if residual.place == "accumulator":
        residual = build.quantize(residual, grid)
    y = build.call(operator.add, branch.node, residual.node)
    return Value(node=y, place="accumulator", label=branch.label, grid=grid, summed=True)


def rule_concat(build: Builder, node: fx.Node) -> Value:
    """Maps side by side: all parts and the whole are one grid."""
    parts = [build.values[part] for part in node.args[0]]  # type: ignore[union-attr]
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if axis not in (1, 1 - len(shape_of(node))):
        raise error(node, f"concatenates along axis {axis}", "only channels, dim=1")
    if all(part.place == "score" for part in parts):
        joined = build.call(torch.cat, [part.node for part in parts], dim=1)
        return Value(node=joined, place="score", label=parts[0].label, negative=False)
    stored = [build.stored(part) for part in parts]
    grid = stored[0].grid
    for part in stored:
        assert grid is not None and part.grid is not None
        grid.scale.merge(part.grid.scale)
        grid.sign.merge(part.grid.sign)
    y = build.call(torch.cat, [part.node for part in stored], dim=1)
    negative = any(part.negative for part in stored)
    label = parts[0].label
    return Value(node=y, place="stored", label=label, grid=grid, negative=negative)


def rule_view(build: Builder, node: fx.Node) -> Value:
    """flatten, view, unsqueeze... of a vector: the same numbers."""
    x = build.values[operand(node)]
    before, after = shape_of(operand(node)), shape_of(node)
    if before == after:
        return x
    if [size for size in before if size != 1] != [size for size in after if size != 1]:
        raise error(
            node, f"reshapes {before} to {after}", "only pooled vectors and scores are reshaped"
        )
    x = x if x.place == "score" else build.stored(x)
    shape = [-1, *after[1:]]
    before = x.node.op == "call_method" and x.node.target == "reshape"
    seen = x.node.args[0] if before else x.node  # of two reshapes the last is enough
    return x.at(build.method("reshape", seen, shape))


def rule_item(build: Builder, node: fx.Node) -> Value:
    """x[:, a:b], x[:, list], x[:, :, None, None]; x[:, :, ::s, ::s] in front of a pad."""
    x, index = build.values[operand(node)], node.args[1]
    if every(index) is not None and {reader.target for reader in node.users} == {F.pad}:
        return x
    if not isinstance(index, tuple) or index[:1] != (slice(None),):
        raise error(node, f"takes {index}", "index channels: x[:, a:b] or x[:, channels]")
    if all(part is None or part == slice(None) for part in index[1:]):
        return rule_view(build, node)
    x = x if x.place == "score" else build.stored(x)
    return x.at(build.call(operator.getitem, x.node, index))


def rule_same(build: Builder, node: fx.Node) -> Value:
    """Dropout, Identity, contiguous...: nothing in evaluation."""
    return build.values[operand(node)]


def _accumulator(build: Builder, node: fx.Node, x: Value) -> Value:
    """A stored map in an accumulator again: times 1, a depthwise 1x1 convolution."""
    if x.place == "accumulator":
        return x
    channels = shape_of(operand(node))[1]
    layer = QuantConv(channelwise(channels), settled_norm(None, None, channels))
    return build.layer(f"{x.label}_same", layer.requires_grad_(False), x).at_sign(x.negative)


def _branch_first(a: Value, b: Value) -> tuple[Value, Value]:
    """(what stays in the accumulator, what is stored): a gated branch, else the first of two."""
    if (b.branch and not a.branch) or (a.place == "stored" and b.place == "accumulator"):
        return b, a
    return a, b


def _folds(build: Builder, source: fx.Node, norm: fx.Node) -> bool:
    """Whether the batch norm `norm` is folded into the layer `source`."""
    if source.op != "call_module" or len(source.users) != 1:
        return False
    layer = build.source.get_submodule(str(source.target))
    bn = build.source.get_submodule(str(norm.target))
    pairs = ((nn.Conv2d, nn.BatchNorm2d), (nn.Linear, nn.BatchNorm1d))
    return any(isinstance(layer, a) and isinstance(bn, b) for a, b in pairs)


def _norm_behind(build: Builder, node: fx.Node, kind: type[Any]) -> Any:
    """The batch norm that is the only reader of a layer."""
    readers = list(node.users)
    if len(readers) == 1 and readers[0].op == "call_module":
        module = build.source.get_submodule(str(readers[0].target))
        return module if isinstance(module, kind) else None
    return None


def _module(build: Builder, node: fx.Node, kind: type[Any]) -> Any:
    module = build.source.get_submodule(str(node.target))
    assert isinstance(module, kind)
    return module


def _score_operand(node: fx.Node, build: Builder) -> fx.Node:
    a, b = node.args[:2]
    assert isinstance(a, fx.Node) and isinstance(b, fx.Node)
    return b if build.values[b].place == "score" else a


def _same(node: fx.Node) -> tuple[int, ...] | None:
    shapes = {shape_of(arg) for arg in node.args[:2] if isinstance(arg, fx.Node)}
    return shapes.pop() if len(shapes) == 1 else None


MODULES: tuple[tuple[type[nn.Module], Rule], ...] = (
    (nn.Conv2d, rule_conv),
    (nn.Linear, rule_linear),
    (nn.BatchNorm2d, rule_norm),
    (nn.BatchNorm1d, rule_norm),
    (nn.ReLU, rule_relu),
    (nn.Hardtanh, rule_clamp),  # ReLU6 is one
    (nn.MaxPool2d, rule_max_pool),
    (nn.AvgPool2d, rule_avg_pool),
    (nn.AdaptiveAvgPool2d, rule_global_pool),
    (nn.Flatten, rule_view),
    (nn.Unflatten, rule_view),
    (nn.Dropout, rule_same),
    (nn.Dropout2d, rule_same),
    (nn.Identity, rule_same),
    (nn.Sigmoid, rule_sigmoid),
    (nn.Hardsigmoid, rule_hard_sigmoid),
    (Score, rule_score),
    (Source, rule_source),
)
FUNCTIONS: dict[Any, Rule] = {
    F.relu: rule_relu,
    torch.relu: rule_relu,
    "relu": rule_relu,
    "relu_": rule_relu,
    F.relu6: rule_clamp,
    F.hardtanh: rule_clamp,
    torch.clamp: rule_clamp,
    "clamp": rule_clamp,
    "clip": rule_clamp,
    "clamp_min": rule_clamp,
    torch.sigmoid: rule_sigmoid,
    F.sigmoid: rule_sigmoid,
    F.hardsigmoid: rule_hard_sigmoid,
    "sigmoid": rule_sigmoid,
    operator.gt: rule_binary_threshold,
    operator.ge: rule_binary_threshold,
    torch.gt: rule_binary_threshold,
    torch.ge: rule_binary_threshold,
    "gt": rule_binary_threshold,
    "ge": rule_binary_threshold,
    operator.mul: rule_mul,
    operator.imul: rule_mul,
    torch.mul: rule_mul,
    "mul": rule_mul,
    operator.add: rule_add,
    operator.iadd: rule_add,
    torch.add: rule_add,
    "add": rule_add,
    "add_": rule_add,
    operator.sub: rule_rest,
    torch.sub: rule_rest,
    F.pad: rule_pad,
    torch.cat: rule_concat,
    torch.concat: rule_concat,
    F.max_pool2d: rule_max_pool,
    torch.max_pool2d: rule_max_pool,
    F.avg_pool2d: rule_avg_pool,
    F.adaptive_avg_pool2d: rule_global_pool,
    torch.mean: rule_mean,
    "mean": rule_mean,
    torch.flatten: rule_view,
    torch.reshape: rule_view,
    torch.unsqueeze: rule_view,
    torch.squeeze: rule_view,
    "flatten": rule_view,
    "view": rule_view,
    "reshape": rule_view,
    "unsqueeze": rule_view,
    "squeeze": rule_view,
    operator.getitem: rule_item,
    F.dropout: rule_same,
    F.dropout2d: rule_same,
    "contiguous": rule_same,
    "clone": rule_same,
    "float": rule_same,
    "to": rule_same,
    "type_as": rule_same,
}


#: Functions of noise.
RANDOM = {
    *("gumbel_softmax", "rand", "randn", "rand_like", "randn_like", "bernoulli", "bernoulli_"),
    *("multinomial", "uniform_", "normal_", "exponential_", "logistic_"),
}


def rule_of(build: Builder, node: fx.Node) -> Rule:
    """The rule of a node.  Raises TraceError."""
    if node.op == "call_module":
        module = build.source.get_submodule(str(node.target))
        found = next((rule for kind, rule in MODULES if isinstance(module, kind)), None)
    else:
        found = FUNCTIONS.get(node.target)
        name = getattr(node.target, "__name__", "")
        if found is None and name == "boolean_dispatch":  # F.max_pool2d, as torch wraps it
            found = rule_max_pool
    if getattr(node.target, "__name__", node.target) in RANDOM:
        raise error(
            node,
            "draws random numbers in evaluation too",
            "draw in training alone (if self.training: ...), else decide by the logits: z1 > z0",
        )
    if found is None:
        raise error(
            node,
            "has no integer form",
            "docs/networks.md, 'A network of your own', says what has one",
        )
    return found
