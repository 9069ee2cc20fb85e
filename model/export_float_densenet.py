"""Export of a DenseNet to ONNX in floating point: the pattern of export_float.py."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from torch import nn

from penstock.model.densenet import DenseBlock, DenseLayer, DenseNet
from penstock.model.export import INPUT
from penstock.model.export_float import classified, float_conv, float_gate, float_norm
from penstock.model.onnx_graph import GraphBuilder


def build_densenet_float_onnx(
    net: DenseNet, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network, in evaluation mode, as an ONNX model: "input" -> "logits" as quantised."""
    graph = GraphBuilder()
    x = float_conv(graph, "stem.conv", net.stem, None, INPUT)
    for block in net.blocks:
        assert isinstance(block, DenseBlock)
        x = _block(graph, block, x)
    return classified(graph, net, _norm(graph, "norm", net.norm, x), metadata)


def _block(graph: GraphBuilder, block: DenseBlock, x: str) -> str:
    """The layers of a block, each of which reads a Concat, and its transition."""
    name, maps = block.plan.name, [x]
    for layer in block.layers:
        assert isinstance(layer, DenseLayer)
        at = layer.plan.name
        joined = graph.node("Concat", f"{at}.concat", maps, axis=1) if maps[1:] else x
        maps.append(_layer(graph, at, layer, joined))
    joined = graph.node("Concat", f"{name}.concat", maps, axis=1)
    if block.norm is None or block.conv is None:
        return joined
    at = f"{name}.transition"
    y = _norm(graph, f"{at}.norm", block.norm, joined)
    y = float_conv(graph, f"{at}.conv", block.conv, None, y)
    return graph.node("AveragePool", f"{at}.pool", [y], kernel_shape=[2, 2], strides=[2, 2])


def _layer(graph: GraphBuilder, name: str, layer: DenseLayer, x: str) -> str:
    """The maps that a layer adds."""
    y = _norm(graph, f"{name}.norm", layer.norm, x)
    score = None if layer.gate2 is None else float_gate(graph, layer.gate2, y)
    y = float_conv(graph, f"{name}.conv1", layer.conv1, layer.bn1, y)
    y = graph.node("Relu", f"{name}.relu1", [y])
    y = float_conv(graph, f"{name}.conv2", layer.conv2, None, y)
    return y if score is None else graph.node("Mul", f"{name}.gate2.scale", [y, score])


def _norm(graph: GraphBuilder, name: str, bn: nn.BatchNorm2d, x: str) -> str:
    return graph.node("Relu", f"{name}.relu", [float_norm(graph, name, bn, x)])
