"""Export of a gate network: convolutions, average, Gemm, Sigmoid, Greater, a score."""

from __future__ import annotations

import numpy as np
import onnx
from torch import Tensor

from penstock.model.export_layers import conv, dense, pool, scale_of, unit_score
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize_gate import QuantGateNet, QuantRouter, QuantSqueezeExcite
from penstock.program.sigmoid import SIGMOID_STEPS

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


def router_network(graph: GraphBuilder, router: QuantRouter, x: str) -> list[str]:
    """The scores of a router's two experts, [N, 1, 1, 1] each.

    One dense layer makes z and -z; z > 0 is the first expert's, -z >= 0 the second's.  In the
    core's integers both are exact, so one of them runs, ties included.
    """
    name = router.plan.name
    pooled = pool(graph, name, router.pool, x)
    weight, bias, scale = (t.cpu().numpy() for t in router.fc.integers(router.pool.scale))
    weight, bias, scale = np.concatenate([weight, -weight]), np.r_[bias, -bias], np.r_[scale, scale]
    step = router.pool.scale.cpu().numpy() * scale
    inputs = [graph.weights(f"{name}.fc", weight, scale), graph.bias(f"{name}.fc", bias, step)]
    z = graph.node("Gemm", f"{name}.fc", [pooled, *inputs], transB=1)
    return [unit_score(graph, score, expert, 1) for expert, score in choice(graph, name, z)]


def choice(graph: GraphBuilder, name: str, z: str) -> list[tuple[str, str]]:
    """The gates of both experts by name, and their scores, [N, 1] each, of [z, -z], [N, 2]."""
    zero = graph.constant("zero", np.array(0, dtype=np.float32))
    scores = []
    for number, operator in enumerate(("Greater", "GreaterOrEqual")):
        expert = f"{name.rpartition('.')[0]}.expert{number}.gate"
        score = graph.node(operator, f"{expert}.sign", [take(graph, z, name, number), zero])
        score = graph.node("Cast", f"{expert}.cast", [score], to=onnx.TensorProto.FLOAT)
        scores.append((expert, score))
    return scores


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


def shuffle(graph: GraphBuilder, name: str, x: str, order: tuple[int, ...]) -> str:
    """The channels of a map in the order that convolution `name` reads them."""
    if not order:
        return x
    indices = graph.constant(f"{name}.order", np.array(order, dtype=np.int64))
    return graph.node("Gather", f"{name}.shuffle", [x, indices], axis=1)


def _before_threshold(graph: GraphBuilder, gate: QuantGateNet, x: str, in_scale: Tensor) -> str:
    """What the fully connected layer makes of x, [N, outputs]."""
    name = gate.plan.name
    if gate.plan.halve:
        x = graph.node("MaxPool", f"{name}.maxpool", [x], **HALVE)
    for number, (plan, (layer, quantizer), order) in enumerate(
        zip(gate.plan.convs, gate.layers(), gate.orders, strict=True), start=1
    ):
        x = shuffle(graph, plan.name, x, order)
        x = conv(graph, plan.name, layer, x, in_scale)
        x = graph.node("Relu", f"{plan.name}.relu", [x])
        x = graph.quantize(x, plan.name, scale_of(graph, plan.name, quantizer), signed=False)
        in_scale = quantizer.scale
        if gate.excite is not None and number == gate.plan.squeeze:
            x, in_scale = _excited(graph, name, gate.excite, x), gate.excite.out.scale
    pooled = pool(graph, name, gate.pool, x)
    return dense(graph, f"{name}.fc", gate.fc, pooled, gate.pool.scale)


def _excited(graph: GraphBuilder, name: str, block: QuantSqueezeExcite, x: str) -> str:
    """Squeeze-and-excite of a quantised map; the Sigmoid reads int8 in steps of 1/16."""
    squeeze, excite = f"{name}.squeeze", f"{name}.excite"
    y = pool(graph, squeeze, block.pool, x)
    y = graph.node(
        "Relu", f"{squeeze}.relu", [dense(graph, squeeze, block.squeeze, y, block.pool.scale)]
    )
    y = graph.quantize(y, squeeze, scale_of(graph, squeeze, block.hidden), signed=False)
    y = dense(graph, excite, block.excite, y, block.hidden.scale)
    step = graph.constant("sigmoid_scale", np.array(1 / SIGMOID_STEPS, dtype=np.float32))
    y = graph.node("Sigmoid", f"{excite}.sigmoid", [graph.quantize(y, excite, step, signed=True)])
    score = unit_score(graph, y, excite, len(block.excite.bias))
    y = graph.node("Mul", f"{excite}.scale", [x, score])
    return graph.quantize(
        y, f"{excite}.out", scale_of(graph, f"{excite}.out", block.out), signed=False
    )
