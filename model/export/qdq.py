"""ONNX QDQ of a quantised graph: one ONNX node, or a few, for each of its nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import fx
from torch.nn import functional as F

from penstock.model.errors import ModelError
from penstock.model.export.onnx_graph import GraphBuilder
from penstock.model.gates.experts import Source
from penstock.model.quantize.layers import GateScore
from penstock.model.quantize.network import QatNetwork
from penstock.model.quantize.quantizers import ActivationQuantizer, QuantConv, QuantLinear
from penstock.program.core.sigmoid import SIGMOID_STEPS

INPUT, OUTPUT, BATCH = "input", "logits", "N"


def export_qat(
    net: QatNetwork,
    metadata: Mapping[str, str] | None = None,
    *,
    name: str = "network",
    label: Callable[[str], str] = str,
) -> onnx.ModelProto:
    """A calibrated network as an ONNX model: float "input" [N, C, H, W] -> "logits" [N, classes].

    Early exits are outputs "exit0", ... before it; N is symbolic.  `metadata` goes into
    metadata_props under "penstock.".  Nodes are named after the layers' paths in the module,
    through `label`.

    Raises:
        ModelError: it was not calibrated, or a number in it is NaN or infinite.
    """
    _check_numbers(net)
    emit = _Emitter(net, label)
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


def _check_numbers(net: QatNetwork) -> None:
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"'{name}' of the quantised network holds NaN or infinity",
                "train it again: a lower learning rate, or clipped gradients",
            )
    if not all(float(quantizer.scale) > 0 for quantizer in net.quantizers()):
        raise ModelError(
            "the quantised network was not calibrated", "net.calibrate([images]) comes first"
        )


class _Emitter:
    """Takes the nodes in order; `at` has the name of each value."""

    def __init__(self, net: QatNetwork, label: Callable[[str], str]) -> None:
        self.net, self.label = net.net, label
        self.graph = GraphBuilder()
        self.at: dict[fx.Node, Any] = {}
        self.labels: dict[fx.Node, str] = {}  # the layer that each value comes from
        self.taken: set[str] = set()
        self.outputs: list[str] = []
        self.classes = 0

    def node(self, node: fx.Node) -> None:
        """One node of the traced graph."""
        self.labels[node] = self._label(node)
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

    def name(self, node: fx.Node, suffix: str = "") -> str:
        """A name that no other node has: of the layer behind a value, and what is done to it."""
        reader = node.meta.get("reader")
        label = self.labels[node] if reader is None else self.label(reader)
        return self.fresh(".".join(part for part in (label, suffix) if part))

    def stored(self, node: fx.Node) -> str:
        """The name of what is stored: of its layer, of a pool's with `pool` behind it."""
        source, label = node.args[0], self.labels[node]
        assert isinstance(source, fx.Node)
        pooled = source.target in ("mean", F.avg_pool2d)
        return self.fresh(f"{label}.pool" if pooled else label, ".quantize")

    def fresh(self, wanted: str, suffix: str = "") -> str:
        """The name, with a number behind it if another node has it, with `suffix` behind both."""
        number, fresh = 1, wanted
        while fresh + suffix in self.taken:
            number, fresh = number + 1, f"{wanted}{number + 1}"
        self.taken.add(fresh + suffix)
        return fresh

    def _label(self, node: fx.Node) -> str:
        """The label of a layer; of anything else that of its first operand."""
        if node.op == "placeholder":
            return INPUT
        if node.op == "call_module" and isinstance(
            self.net.get_submodule(str(node.target)), QuantConv | QuantLinear
        ):
            return self.label(str(node.target))
        return next((self.labels[source] for source in node.all_input_nodes), "")

    def ints(self, name: str, values: list[int]) -> str:
        """An int64 constant."""
        return self.graph.constant(name, np.array(values, dtype=np.int64))

    def _module(self, node: fx.Node, module: torch.nn.Module) -> str:
        if isinstance(module, ActivationQuantizer):
            scale = self.graph.constant(f"{node.target}", module.scale.detach().cpu().numpy())
            signed = bool(node.kwargs["signed"])
            return self.graph.quantize(self.read(node), self.stored(node), scale, signed=signed)
        if isinstance(module, GateScore):
            name = self.labels[node].removesuffix(".fc")
            return self.score(name, module.kind, self.read(node))
        if isinstance(module, Source):
            return self.read(node)
        assert isinstance(module, QuantConv | QuantLinear)
        return self.layer(node, module, self.name(node))

    def layer(
        self, node: fx.Node, module: QuantConv | QuantLinear, name: str, sign: int = 1
    ) -> str:
        """A convolution or dense layer; `sign` -1: with negated weights and bias."""
        in_scale = self.at[node.args[1]]  # type: ignore[index]
        weight, bias, scale = (tensor.cpu().numpy() for tensor in module.integers(in_scale))
        step = in_scale.cpu().numpy() * scale
        inputs = [
            self.read(node),
            self.graph.weights(name, sign * weight, scale),
            self.graph.bias(name, sign * bias, step),
        ]
        if isinstance(module, QuantLinear):
            return self.graph.node("Gemm", name, inputs, transB=1)
        settings: dict[str, Any] = {"strides": list(module.stride), "group": module.groups}
        if set(module.dilation) != {1}:
            settings["dilations"] = list(module.dilation)
        pads, kernel = [*module.padding, *module.padding], list(module.weight.shape[2:])
        return self.graph.node("Conv", name, inputs, kernel_shape=kernel, pads=pads, **settings)

    def score(self, name: str, kind: str, z: str) -> str:
        """Clip, HardSigmoid, Greater or Sigmoid, then uint8 at 1/128; dimensions as the sum has."""
        if kind == "relu1":
            zero = self.graph.constant("score_min", np.array(0, dtype=np.float32))
            one = self.graph.constant("score_max", np.array(1, dtype=np.float32))
            score = self.graph.node("Clip", f"{name}.relu1", [z, zero, one])
        elif kind == "hard_sigmoid":
            score = self.graph.node("HardSigmoid", f"{name}.ramp", [z], alpha=1 / 6, beta=0.5)
        elif kind == "sigmoid":
            step = self.graph.constant(
                "sigmoid_scale", np.array(1 / SIGMOID_STEPS, dtype=np.float32)
            )
            z = self.graph.quantize(z, f"{name}.z", step, signed=True)
            score = self.graph.node("Sigmoid", f"{name}.sigmoid", [z])
        else:
            zero = self.graph.constant("zero", np.array(0, dtype=np.float32))
            compare = "Greater" if kind == "binary" else "GreaterOrEqual"
            score = self.graph.node(compare, f"{name}.sign", [z, zero])
            score = self.graph.node("Cast", f"{name}.cast", [score], to=onnx.TensorProto.FLOAT)
        unit = self.graph.constant("score_scale", np.array(1 / 128, dtype=np.float32))
        return self.graph.quantize(score, f"{name}.score", unit, signed=False)

    def _finish(self, given: Any) -> None:
        """Name the outputs, of which scores are none; exits come first."""
        values = self._logits(given)
        names = [*(f"exit{index}" for index in range(len(values) - 1)), OUTPUT]
        for value, name in zip(values, names, strict=True):
            self.graph.rename(self.at[value], name)
            self.outputs.append(name)
            self.classes = value.meta["shape"][1]

    def _logits(self, given: Any) -> Sequence[fx.Node]:
        """What the module returns but its scores."""
        found: list[fx.Node] = []
        fx.map_arg(given, found.append)
        return [node for node in found if not self._is_score(node)]

    def _is_score(self, node: fx.Node) -> bool:
        """Whether a value comes from a gate, through views alone."""
        while node.op != "call_module":
            node = node.all_input_nodes[0]
        return isinstance(self.net.get_submodule(str(node.target)), GateScore)


def _attribute(net: torch.nn.Module, path: str) -> torch.Tensor:
    """The tensor at a path; a learned scale is a property there."""
    found: Any = net
    for part in path.split("."):
        found = getattr(found, part)
    assert isinstance(found, torch.Tensor)
    return found.detach()


def _relu(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("Relu", emit.name(node, "relu"), [emit.read(node)])


def _clamp(emit: _Emitter, node: fx.Node) -> str:
    name = emit.name(node, "clip")
    limits = [
        emit.graph.constant(f"{name}.{key}", np.array(node.kwargs[key], dtype=np.float32))
        for key in ("min", "max")
        if key in node.kwargs
    ]
    return emit.graph.node("Clip", name, [emit.read(node), *limits])


def _pair(operator_name: str, suffix: str) -> Callable[[_Emitter, fx.Node], str]:
    def emit_pair(emit: _Emitter, node: fx.Node) -> str:
        operands = [emit.read(node, 0), emit.read(node, 1)]
        return emit.graph.node(operator_name, emit.name(node, suffix), operands)

    return emit_pair


def _concat(emit: _Emitter, node: fx.Node) -> str:
    parts = [emit.at[part] for part in node.args[0]]  # type: ignore[union-attr]
    return emit.graph.node("Concat", emit.name(node, "concat"), parts, axis=1)


def _rest(emit: _Emitter, node: fx.Node) -> str:
    """1 - (z > 0) is -z >= 0, of a layer with negated weights: exact in integers, ties included."""
    score = node.args[1]
    assert isinstance(score, fx.Node)
    gate, layer = emit.net.get_submodule(str(score.target)), score.args[0]
    assert isinstance(gate, GateScore) and isinstance(layer, fx.Node)
    module = emit.net.get_submodule(str(layer.target))
    assert isinstance(module, QuantLinear | QuantConv)
    name = f"{emit.labels[layer].removesuffix('.fc')}.rest"
    z = emit.layer(layer, module, f"{name}.fc", sign=-1)
    return emit.score(name, "binary_or_equal" if gate.kind == "binary" else "binary", z)


def _pool(emit: _Emitter, node: fx.Node) -> str:
    settings = {key: _two(value) for key, value in node.kwargs.items() if key in WINDOW}
    attributes: dict[str, Any] = {
        "kernel_shape": settings["kernel_size"],
        "strides": settings["stride"],
        "pads": settings.get("padding", [0, 0]) * 2,
    }
    if node.kwargs.get("ceil_mode"):
        attributes["ceil_mode"] = 1
    name = emit.name(node, "pool")
    if node.target is F.max_pool2d:
        if settings.get("dilation", [1, 1]) != [1, 1]:
            attributes["dilations"] = settings["dilation"]
        return emit.graph.node("MaxPool", name, [emit.read(node)], **attributes)
    if node.kwargs.get("count_include_pad", True) and any(attributes["pads"]):
        attributes["count_include_pad"] = 1
    return emit.graph.node("AveragePool", name, [emit.read(node)], **attributes)


def _mean(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("GlobalAveragePool", emit.name(node, "pool"), [emit.read(node)])


def _flatten(emit: _Emitter, node: fx.Node) -> str:
    return emit.graph.node("Flatten", emit.name(node, "flatten"), [emit.read(node)], axis=1)


def _reshape(emit: _Emitter, node: fx.Node) -> str:
    shape = [-1 if size == -1 else int(size) for size in node.args[1]]  # type: ignore[union-attr, arg-type]
    name = emit.name(node, "reshape")
    return emit.graph.node("Reshape", name, [emit.read(node), emit.ints(f"{name}.shape", shape)])


def _item(emit: _Emitter, node: fx.Node) -> str:
    chosen, name = node.args[1][1], emit.name(node, "part")  # type: ignore[index]
    if isinstance(chosen, slice):
        bounds = chosen.indices(emit_channels(node))
        label = emit.labels[node].removesuffix(".fc")
        name = emit.fresh(f"{label}.{bounds[0]}") if bounds[1] - bounds[0] == 1 else name
        names = ("from", "to", "step")
        first, last, step = (
            emit.ints(f"{name}.{key}", [value]) for key, value in zip(names, bounds, strict=True)
        )
        axis = emit.ints("axis1", [1])
        return emit.graph.node("Slice", name, [emit.read(node), first, last, axis, step])
    order = emit.ints(f"{name}.order", [int(channel) for channel in chosen])  # type: ignore[union-attr]
    return emit.graph.node("Gather", name, [emit.read(node), order], axis=1)


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
    operator.mul: _pair("Mul", "scale"),
    operator.add: _pair("Add", "add"),
    operator.sub: _rest,
    torch.cat: _concat,
    F.max_pool2d: _pool,
    F.avg_pool2d: _pool,
    "mean": _mean,
    "flatten": _flatten,
    "reshape": _reshape,
    operator.getitem: _item,
}
