"""A PyTorch module with the hardware's number formats, made from its trace."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from penstock.model.quantize.builder import Builder
from penstock.model.quantize.network import QatNetwork
from penstock.model.quantize.rules import rule_of
from penstock.model.quantize.values import Grid, Value
from penstock.model.trace.nodes import shape_of
from penstock.model.trace.tracer import TraceError, deployed, trace


def prepare_qat(net: nn.Module, example: Tensor, method: str = "forward") -> QatNetwork:
    """`net` as the hardware computes it: batch norms folded, fake quantisers placed.

    Per-channel int8 weights, int32 biases; one activation scale along every residual sum and over
    the parts of a Concat, uint8 behind a ReLU; scores in steps of 1/128 (docs/numerics.md).  `net`
    itself stays as it is.  Calibrate the result before use, then fine-tune it like any module.

    Args:
        net: a module of one image tensor that returns logits, float [N, classes]; or tuples and
            lists of logits, early exits first and the network's own last, and gate scores.  The
            result returns the same.
        example: one batch of its input, float [N, C, H, W].
        method: the one of `net` that is traced.

    Raises:
        TraceError: a forward pass that cannot be traced, or an operator without an integer form:
            the module, the line of the forward pass, and what to do; NaN or infinity in a weight.
    """
    _check(net, example)
    traced = trace(deployed(copied(net).eval()), example, method)
    build = Builder(traced)
    for node in traced.graph.nodes:
        build.now = node
        if node.op == "placeholder":
            image = build.graph.placeholder("input")
            image.meta = {"shape": shape_of(node)}
            build.values[node] = build.quantize(
                Value(node=image, place="accumulator", label="input"), Grid()
            )
        elif node.op == "output":
            build.graph.output(_outputs(build, node.args[0]))
        elif _is_tensor(node):
            build.values[node] = _taken_over(build, node)
    shape = tuple(shape_of(next(iter(traced.graph.nodes)))[1:])
    return QatNetwork(build.finish(), shape, build.scored)


def _check(net: nn.Module, example: Tensor) -> None:
    """TraceError unless these are a module of finite numbers and a tensor."""
    for given, kind in ((net, nn.Module), (example, Tensor)):
        if not isinstance(given, kind):
            raise TraceError(
                f"a {type(given).__name__} where a {kind.__name__} belongs",
                "prepare_qat(net, example): a torch.nn.Module, and a batch of its input",
            )
    for name, tensor in net.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            if tensor.device.type != "meta" and not bool(torch.isfinite(tensor).all()):
                raise TraceError(
                    f"'{name}' of {type(net).__name__} holds NaN or infinity",
                    "train it again: a lower learning rate, or clipped gradients",
                )


def _taken_over(build: Builder, node: fx.Node) -> Value:
    """The value of a node; stored at once if several read it, so that all read the same."""
    value = rule_of(build, node)(build, node)
    readers = [reader for reader in node.users if _is_tensor(reader) or reader.op == "output"]
    several = len(readers) > 1 and value.place == "accumulator"
    return build.stored(value) if several else value


def _is_tensor(node: fx.Node) -> bool:
    """Whether a node computes a tensor, not a size or a type."""
    return bool(shape_of(node))


def _outputs(build: Builder, given: Any) -> Any:
    """What the module returns, its logits stored."""
    logits: list[Value] = []

    def returned(node: fx.Node) -> fx.Node:
        value = build.values[node]
        if value.place == "score":
            return value.node
        logits.append(build.stored(value))
        return logits[-1].node

    found = fx.map_arg(given, returned)
    if not logits:
        raise TraceError(
            f"the module returns {type(given).__name__}",
            "return logits, or a tuple of them: early exits first",
        )
    first, *others = logits[:-1] or logits
    for exit_logits in others:  # early exits are compared with one table, at one scale
        assert first.grid is not None and exit_logits.grid is not None
        first.grid.scale.merge(exit_logits.grid.scale)
    return found


def copied(net: nn.Module) -> nn.Module:
    """A deep copy; results of a forward pass that modules keep are copied without their graph."""
    memo: dict[int, Any] = {}
    for module in net.modules():
        for kept in vars(module).values():
            for value in kept if isinstance(kept, (list, tuple)) else (kept,):
                if isinstance(value, Tensor) and not value.is_leaf:
                    memo[id(value)] = value.detach()
    return copy.deepcopy(net, memo)
