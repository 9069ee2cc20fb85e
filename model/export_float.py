"""Export of a network to ONNX in floating point, for quantisation after training.

`penstock compile --calibration` quantises the file with some images.  Its graph is what
PyTorch's own exporter makes of such a network: batch norms stay, gates are Gemm, Clip, Mul.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from penstock.model.export import INPUT, OUTPUT, STEM_POOL, finish
from penstock.model.export_gate import HALVE, choice, shuffle, take, threshold
from penstock.model.export_layers import as_map
from penstock.model.gate_network import GateNet, Router
from penstock.model.masked_conv import linked_weight
from penstock.model.networks import LCNet, ResidualBlock, cnet_names
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantizers import identity_conv
from penstock.model.squeeze import SqueezeExcite


def build_resnet_float_onnx(
    net: LCNet, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network, in evaluation mode, as an ONNX model: "input" -> "logits" as quantised."""
    config = net.config
    graph = GraphBuilder()
    policy: list[str | None] = [None] * len(net.blocks)
    if net.policy is not None:
        policy = [*_policy(graph, net.policy)]
    x = float_conv(graph, "stem.conv", net.conv, net.bn, INPUT)
    x = graph.node("Relu", "stem.relu", [x])
    if config.stem == "imagenet":
        x = graph.node("MaxPool", "stem.pool", [x], **STEM_POOL)
    routed: list[str] = []
    for block, decided in zip(net.blocks, policy, strict=True):
        assert isinstance(block, ResidualBlock)
        if block.router is not None:
            routed = _router(graph, block.router, x)
        if block.plan.expert is not None:
            decided = routed[block.plan.expert]
        x = _block(graph, block, x, decided)
    return classified(graph, net, x, metadata)


class Classified(Protocol):
    """A network in floating point that ends in an average and a fully connected layer."""

    config: Any  # a NetworkGeometry
    fc: nn.Linear


def classified(
    graph: GraphBuilder, net: Classified, x: str, metadata: Mapping[str, str] | None
) -> onnx.ModelProto:
    """The finished graph: average and classifier of the map x."""
    x = float_pool(graph, "classifier", x)
    x = float_dense(graph, "classifier.fc", net.fc, x)
    graph.rename_output(x, OUTPUT)
    return finish(graph, net.config, metadata, [OUTPUT])


def _block(graph: GraphBuilder, block: ResidualBlock, x: str, policy: str | None) -> str:
    """One residual block; `policy`: its score, if something else decides it."""
    name = block.plan.name
    gated = block.lnet is not None or block.cnet is not None
    pooled = float_pool(graph, name, x) if gated else ""
    y, layers, cnets = x, block.layers(), block.cnets()
    score = policy if block.gate is None else float_gate(graph, block.gate, x)
    for number, (conv, bn) in enumerate(layers, start=1):
        gate = getattr(block, f"gate{number}", None)
        mask = None if gate is None else float_gate(graph, gate, y)
        y = float_conv(graph, f"{name}.conv{number}", conv, bn, y)
        if number < len(layers):
            y = graph.node("Relu", f"{name}.relu{number}", [y])
        if mask is not None:
            y = graph.node("Mul", f"{name}.gate{number}.scale", [y, mask])
        if number <= len(cnets):
            cnet = f"{name}.{cnet_names(block.plan)[number - 1]}"
            y = graph.node(
                "Mul", f"{cnet}.scale", [y, _gate(graph, cnet, cnets[number - 1].fc, pooled)]
            )
    if block.lnet is not None:
        score = _gate(graph, f"{name}.lnet", block.lnet.fc, pooled)
    if score is not None:
        y = graph.node(
            "Mul", f"{name}.{'gate' if block.lnet is None else 'lnet'}.scale", [y, score]
        )
    y = graph.node("Add", f"{name}.add", [y, _shortcut(graph, block, x)])
    return graph.node("Relu", f"{name}.relu{len(layers)}", [y])


def float_gate(graph: GraphBuilder, gate: GateNet, x: str) -> str:
    """The scores of a gate network, [N, outputs, 1, 1]."""
    scores = _scores(graph, gate, x)
    return as_map(graph, scores, gate.plan.name, gate.plan.outputs)


def _policy(graph: GraphBuilder, gate: GateNet) -> list[str]:
    """The scores of a policy on the image, block by block, [N, 1, 1, 1] each."""
    name = gate.plan.name
    scores = _scores(graph, gate, INPUT)
    return [
        as_map(graph, take(graph, scores, name, block), f"{name}.block{block}", 1)
        for block in range(gate.plan.outputs)
    ]


def _router(graph: GraphBuilder, gate: Router, x: str) -> list[str]:
    """The scores of the two experts on x, [N, 1, 1, 1] each."""
    both = nn.Linear(gate.plan.pooled, gate.plan.outputs)
    for value, one in ((both.weight, gate.fc.weight), (both.bias, gate.fc.bias)):
        value.data = torch.cat([one.detach(), -one.detach()])
    name = gate.plan.name
    z = float_dense(graph, f"{name}.fc", both, float_pool(graph, name, x))
    return [as_map(graph, score, expert, 1) for expert, score in choice(graph, name, z)]


def _scores(graph: GraphBuilder, gate: GateNet, x: str) -> str:
    """Convolutions, average, Gemm, Sigmoid, Greater: [N, outputs]."""
    name = gate.plan.name
    if gate.plan.halve:
        x = graph.node("MaxPool", f"{name}.maxpool", [x], **HALVE)
    layers, fc = gate.settled()
    excite = gate.settled_excite(layers)
    for number, (plan, layer) in enumerate(zip(gate.plan.convs, layers, strict=True), start=1):
        x = shuffle(graph, plan.name, x, layer.order)
        x = float_conv(graph, plan.name, layer.conv, layer.bn, x)
        x = graph.node("Relu", f"{plan.name}.relu", [x])
        if excite is not None and number == gate.plan.squeeze:
            x = _excited(graph, name, excite, x)
    return threshold(graph, name, float_dense(graph, f"{name}.fc", fc, float_pool(graph, name, x)))


def _excited(graph: GraphBuilder, name: str, block: SqueezeExcite, x: str) -> str:
    """Squeeze-and-excite of a map."""
    squeeze, excite = f"{name}.squeeze", f"{name}.excite"
    y = float_dense(graph, squeeze, block.squeeze, float_pool(graph, squeeze, x))
    y = float_dense(graph, excite, block.excite, graph.node("Relu", f"{squeeze}.relu", [y]))
    y = graph.node("Sigmoid", f"{excite}.sigmoid", [y])
    score = as_map(graph, y, excite, block.excite.out_features)
    return graph.node("Mul", f"{excite}.scale", [x, score])


def _shortcut(graph: GraphBuilder, block: ResidualBlock, x: str) -> str:
    """The input, or a 1x1 convolution of it: for option A one with fixed weights."""
    plan, name = block.plan, f"{block.plan.name}.shortcut"
    if block.shortcut is not None and block.shortcut_bn is not None:
        return float_conv(graph, name, block.shortcut, block.shortcut_bn, x)
    if not plan.changes_shape:
        return x
    fixed = identity_conv(plan.in_channels, plan.channels, plan.stride)
    inputs = [x, _constant(graph, f"{name}.weight", fixed.weight)]
    return graph.node("Conv", name, inputs, kernel_shape=[1, 1], strides=[plan.stride] * 2)


def float_conv(
    graph: GraphBuilder, name: str, conv: nn.Conv2d, bn: nn.BatchNorm2d | None, x: str
) -> str:
    """Convolution, and batch norm if there is one."""
    x = graph.node(
        "Conv",
        name,
        [x, _constant(graph, f"{name}.weight", linked_weight(conv))],
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=[int(conv.padding[0])] * 4,
        group=conv.groups,
    )
    return x if bn is None else float_norm(graph, f"{name}.bn", bn, x)


def float_norm(graph: GraphBuilder, name: str, bn: nn.BatchNorm2d, x: str) -> str:
    """Batch norm of a map."""
    assert bn.running_mean is not None and bn.running_var is not None
    parameters = {
        "scale": bn.weight,
        "shift": bn.bias,
        "mean": bn.running_mean,
        "variance": bn.running_var,
    }
    inputs = [_constant(graph, f"{name}.{key}", value) for key, value in parameters.items()]
    return graph.node("BatchNormalization", name, [x, *inputs], epsilon=bn.eps)


def _gate(graph: GraphBuilder, name: str, fc: nn.Linear, pooled: str) -> str:
    """Gemm -> Clip(0, 1) -> [N, C, 1, 1]."""
    z = float_dense(graph, f"{name}.fc", fc, pooled)
    zero = graph.constant("score_min", np.array(0, dtype=np.float32))
    one = graph.constant("score_max", np.array(1, dtype=np.float32))
    score = graph.node("Clip", f"{name}.relu1", [z, zero, one])
    return as_map(graph, score, name, fc.out_features)


def float_pool(graph: GraphBuilder, name: str, x: str) -> str:
    y = graph.node("GlobalAveragePool", f"{name}.pool", [x])
    return graph.node("Flatten", f"{name}.flatten", [y], axis=1)


def float_dense(graph: GraphBuilder, name: str, fc: nn.Linear, x: str) -> str:
    weight = _constant(graph, f"{name}.weight", fc.weight)
    bias = _constant(graph, f"{name}.bias", fc.bias)
    return graph.node("Gemm", name, [x, weight, bias], transB=1)


def _constant(graph: GraphBuilder, name: str, value: Tensor) -> str:
    return graph.constant(name, value.detach().cpu().numpy())
