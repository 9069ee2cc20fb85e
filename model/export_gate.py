"""Export of a gate network: convolutions, average, Gemm, Sigmoid, Greater, a score."""

from __future__ import annotations

import numpy as np
import onnx
from torch import Tensor

from penstock.model.export_layers import conv, dense, pool, scale_of, unit_score
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize_gate import QuantGateNet

HALVE = {"kernel_shape": [2, 2], "strides": [2, 2]}


def threshold(graph: GraphBuilder, name: str, z: str) -> str:
    """sigmoid(z) > 1/2 as 0.0 or 1.0."""
    half = graph.constant("half", np.array(0.5, dtype=np.float32))
    score = graph.node("Sigmoid", f"{name}.sigmoid", [z])
    score = graph.node("Greater", f"{name}.greater", [score, half])
    return graph.node("Cast", f"{name}.cast", [score], to=onnx.TensorProto.FLOAT)


def gate_network(graph: GraphBuilder, gate: QuantGateNet, x: str, in_scale: Tensor) -> str:
    """The scores of a gate on x, [N, outputs, 1, 1]."""
    name = gate.plan.name
    score = threshold(graph, name, _before_threshold(graph, gate, x, in_scale))
    return unit_score(graph, score, name, gate.plan.outputs)


def policy_network(graph: GraphBuilder, gate: QuantGateNet, x: str, in_scale: Tensor) -> list[str]:
    """The same for a policy: one score a block, [N, 1, 1, 1] each."""
    name = gate.plan.name
    scores = threshold(graph, name, _before_threshold(graph, gate, x, in_scale))
    return [_one(graph, scores, name, block) for block in range(gate.plan.outputs)]


def take(graph: GraphBuilder, scores: str, name: str, block: int) -> str:
    """Score `block` of a policy's: [N, outputs] -> [N, 1]."""
    bounds = [
        graph.constant(f"{name}.{what}{block + offset}", np.array([block + offset], dtype=np.int64))
        for what, offset in (("from", 0), ("to", 1))
    ]
    axis = graph.constant("axis1", np.array([1], dtype=np.int64))
    return graph.node("Slice", f"{name}.{block}", [scores, *bounds, axis])


def _one(graph: GraphBuilder, scores: str, name: str, block: int) -> str:
    return unit_score(graph, take(graph, scores, name, block), f"{name}.block{block}", 1)


def _before_threshold(graph: GraphBuilder, gate: QuantGateNet, x: str, in_scale: Tensor) -> str:
    """What the fully connected layer makes of x, [N, outputs]."""
    name = gate.plan.name
    if gate.plan.halve:
        x = graph.node("MaxPool", f"{name}.maxpool", [x], **HALVE)
    for plan, (layer, quantizer) in zip(gate.plan.convs, gate.layers(), strict=True):
        x = conv(graph, plan.name, layer, x, in_scale)
        x = graph.node("Relu", f"{plan.name}.relu", [x])
        x = graph.quantize(x, plan.name, scale_of(graph, plan.name, quantizer), signed=False)
        in_scale = quantizer.scale
    pooled = pool(graph, name, gate.pool, x)
    return dense(graph, f"{name}.fc", gate.fc, pooled, gate.pool.scale)
