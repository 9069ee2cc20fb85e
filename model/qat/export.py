"""ONNX QDQ of a quantised graph: one ONNX node, or a few, for each of its nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from torch import fx
from torch.nn import functional as F

from penstock.model.export_gate import threshold
from penstock.model.export_layers import conv, dense, scale_of
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.qat.layers import GateScore
from penstock.model.qat.network import QatNetwork
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear
from penstock.program.sigmoid import SIGMOID_STEPS

INPUT, OUTPUT, BATCH = "input", "logits", "N"


def export_qat(
    net: QatNetwork, metadata: Mapping[str, str] | None = None, *, name: str = "network"
) -> onnx.ModelProto:
    """A calibrated network as an ONNX model: float "input" [N, C, H, W] -> "logits" [N, classes].

    Early exits are outputs "exit0", ... before it; N is symbolic.  `metadata` goes into
    metadata_props under "penstock.".
    """
    emit = _Emitter(net)
    for node in net.net.graph.nodes:
        emit.node(node)
    outputs = emit.outputs
    *early, last = outputs
    properties = {"network": name, **(metadata or {})}
    return emit.graph.build(
        name,
        INPUT,
        [BATCH, *net.image_shape],
        last,
        [BATCH, emit.classes],
        {f"penstock.{key}": value for key, value in properties.items()},
        early,
    )


class _Emitter:
    """Takes the nodes in order; `at` has the name of each value."""

    def __init__(self, net: QatNetwork) -> None:
        self.net = net.net
        self.graph = GraphBuilder()
        self.at: dict[fx.Node, Any] = {}
        self.outputs: list[str] = []
        self.classes = 0

    def node(self, node: fx.Node) -> None:
        """One node of the traced graph."""
        if node.op == "placeholder":
            self.at[node] = INPUT
        elif node.op == "get_attr":
            self.at[node] = _attribute(self.net, str(node.target))
        elif node.op == "call_module":
            self.at[node] = self._module(node, self.net.get_submodule(str(node.target)))
        elif node.op == "output":
            self._finish(node.args[0])
        else:
            self.at[node] = EMIT[node.target](self, node)

    def read(self, node: fx.Node, index: int = 0) -> str:
        """The name of an operand."""
        name: str = self.at[node.args[index]]  # type: ignore[index]
        return name

    def ints(self, name: str, values: list[int]) -> str:
        """An int64 constant."""
        return self.graph.constant(name, np.array(values, dtype=np.int64))

    def _module(self, node: fx.Node, module: torch.nn.Module) -> str:
        if isinstance(module, ActivationQuantizer):
            scale = scale_of(self.graph, str(node.target), module)
            return self.graph.quantize(
                self.read(node), node.name, scale, signed=bool(node.kwargs["signed"])
            )
        if isinstance(module, GateScore):
            return self._score(node, module)
        assert isinstance(module, QuantConv | QuantLinear)
        layer: Callable[..., str] = conv if isinstance(module, QuantConv) else dense
        return layer(self.graph, node.name, module, self.read(node), self.at[node.args[1]])  # type: ignore[index]

    def _score(self, node: fx.Node, module: GateScore) -> str:
        """Clip, Greater or Sigmoid, then uint8 at 1/128; as many dimensions as the sum has."""
        name, z = node.name, self.read(node)
        if module.kind == "relu1":
            zero = self.graph.constant("score_min", np.array(0, dtype=np.float32))
            one = self.graph.constant("score_max", np.array(1, dtype=np.float32))
            score = self.graph.node("Clip", f"{name}.relu1", [z, zero, one])
        elif module.kind == "sigmoid":
            step = self.graph.constant(
                "sigmoid_scale", np.array(1 / SIGMOID_STEPS, dtype=np.float32)
            )
            z = self.graph.quantize(z, f"{name}.z", step, signed=True)
            score = self.graph.node("Sigmoid", f"{name}.sigmoid", [z])
        elif module.kind == "binary":
            score = threshold(self.graph, name, z)
        else:
            zero = self.graph.constant("zero", np.array(0, dtype=np.float32))
            score = self.graph.node("GreaterOrEqual", f"{name}.sign", [z, zero])
            score = self.graph.node("Cast", f"{name}.cast", [score], to=onnx.TensorProto.FLOAT)
        unit = self.graph.constant("score_scale", np.array(1 / 128, dtype=np.float32))
        return self.graph.quantize(score, f"{name}.score", unit, signed=False)

    def _finish(self, values: Any) -> None:
        """Name the outputs; exits come first."""
        *early, _ = values
        names = [*(f"exit{index}" for index in range(len(early))), OUTPUT]
        for value, name in zip(values, names, strict=True):
            self.graph.rename(self.at[value], name)
            self.outputs.append(name)
            self.classes = value.meta["shape"][1]


def _attribute(net: torch.nn.Module, path: str) -> torch.Tensor:
    """The tensor at a path; a learned scale is a property there."""
    found: Any = net
    for part in path.split("."):
        found = getattr(found, part)
    assert isinstance(found, torch.Tensor)
    return found.detach()


def _relu(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("Relu", node.name, [emit.read(node)])


def _clamp(emit: _Emitter, node: fx.Node) -> str:
    limits = [
        emit.graph.constant(f"{node.name}.{key}", np.array(node.kwargs[key], dtype=np.float32))
        for key in ("min", "max")
        if key in node.kwargs
    ]
    return emit.graph.node("Clip", node.name, [emit.read(node), *limits])


def _pair(operator_name: str) -> Callable[[_Emitter, fx.Node], str]:
    def emit_pair(emit: _Emitter, node: fx.Node) -> str:
        operands = [emit.read(node, 0), emit.read(node, 1)]
        return emit.graph.node(operator_name, node.name, operands)

    return emit_pair


def _concat(emit: _Emitter, node: fx.Node) -> str:
    parts = [emit.at[part] for part in node.args[0]]  # type: ignore[union-attr]
    return emit.graph.node("Concat", node.name, parts, axis=1)


def _pool(emit: _Emitter, node: fx.Node) -> str:
    settings = {key: _two(value) for key, value in node.kwargs.items() if key in WINDOW}
    attributes: dict[str, Any] = {
        "kernel_shape": settings["kernel_size"],
        "strides": settings["stride"],
        "pads": settings.get("padding", [0, 0]) * 2,
    }
    if node.kwargs.get("ceil_mode"):
        attributes["ceil_mode"] = 1
    if node.target is F.max_pool2d:
        if settings.get("dilation", [1, 1]) != [1, 1]:
            attributes["dilations"] = settings["dilation"]
        return emit.graph.node("MaxPool", node.name, [emit.read(node)], **attributes)
    if node.kwargs.get("count_include_pad", True) and any(attributes["pads"]):
        attributes["count_include_pad"] = 1
    return emit.graph.node("AveragePool", node.name, [emit.read(node)], **attributes)


def _mean(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("GlobalAveragePool", node.name, [emit.read(node)])


def _flatten(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("Flatten", node.name, [emit.read(node)], axis=1)


def _reshape(emit: _Emitter, node: fx.Node) -> str:
    shape = [-1 if size == -1 else int(size) for size in node.args[1]]  # type: ignore[union-attr, arg-type]
    return emit.graph.node(
        "Reshape", node.name, [emit.read(node), emit.ints(f"{node.name}.shape", shape)]
    )


def _item(emit: _Emitter, node: fx.Node) -> str:
    chosen = node.args[1][1]  # type: ignore[index]
    if isinstance(chosen, slice):
        bounds = chosen.indices(emit_channels(node))
        names = ("from", "to", "step")
        first, last, step = (
            emit.ints(f"{node.name}.{key}", [value])
            for key, value in zip(names, bounds, strict=True)
        )
        axis = emit.ints("axis1", [1])
        return emit.graph.node("Slice", node.name, [emit.read(node), first, last, axis, step])
    order = emit.ints(f"{node.name}.order", [int(channel) for channel in chosen])  # type: ignore[union-attr]
    return emit.graph.node("Gather", node.name, [emit.read(node), order], axis=1)


def emit_channels(node: fx.Node) -> int:
    """Channels of what a node reads."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return int(source.meta["shape"][1])


def _two(value: Any) -> list[int]:
    """A window's size both ways."""
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * 2


WINDOW = ("kernel_size", "stride", "padding", "dilation")
EMIT: dict[Any, Callable[[_Emitter, fx.Node], str]] = {
    F.relu: _relu,
    torch.clamp: _clamp,
    operator.mul: _pair("Mul"),
    operator.add: _pair("Add"),
    torch.cat: _concat,
    F.max_pool2d: _pool,
    F.avg_pool2d: _pool,
    "mean": _mean,
    "flatten": _flatten,
    "reshape": _reshape,
    operator.getitem: _item,
}
