"""Export of a quantised DenseNet to ONNX QDQ: the pattern of export.py, with Concats."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from torch import Tensor

from penstock.model.export import INPUT, OUTPUT, finish
from penstock.model.export_gate import gate_network
from penstock.model.export_layers import conv, dense, pool, scale_of
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize_densenet import QuantDenseBlock, QuantDenseNet
from penstock.model.quantizers import ActivationQuantizer, QuantConv


def build_densenet_onnx(
    net: QuantDenseNet, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network as an ONNX model: float "input" [N, C, H, W] -> float "logits" [N, classes]."""
    config = net.config
    graph = GraphBuilder()
    x = graph.quantize(INPUT, "input", scale_of(graph, "input", net.input), signed=True)
    x = conv(graph, "stem.conv", net.stem, x, net.input.scale)
    scale = net.input.scale
    for block in net.dense_blocks():
        x = _block(graph, block, x)
        scale = block.maps.scale
        if block.plan.transition:
            x = _transition(graph, block, x)
    if config.blocks()[-1].transition:
        x = graph.quantize(x, "last", scale_of(graph, "last", net.last), signed=True)
        scale = net.last.scale
    x = _relu(graph, "norm", net.norm, x, scale, net.normed)
    x = pool(graph, "classifier", net.pool, x)
    x = dense(graph, "classifier.fc", net.fc, x, net.pool.scale)
    x = graph.quantize(x, OUTPUT, scale_of(graph, OUTPUT, net.logits), signed=True)
    graph.rename_output(x, OUTPUT)
    return finish(graph, config, metadata, [OUTPUT])


def _block(graph: GraphBuilder, block: QuantDenseBlock, x: str) -> str:
    """The Concat of all maps of a block; `x` is not quantised yet."""
    name, scale = block.plan.name, block.maps.scale
    chain = scale_of(graph, f"{name}.maps", block.maps)
    maps = [graph.quantize(x, f"{name}.in", chain, signed=True)]
    for index, layer in enumerate(block.layers):
        at = f"{name}.layer{index}"
        x = graph.node("Concat", f"{at}.concat", maps, axis=1) if index else maps[0]
        y = _relu(graph, f"{at}.norm", layer.norm, x, scale, layer.normed)
        score = None
        if layer.gate2 is not None:
            score = gate_network(graph, layer.gate2, y, layer.normed.scale)
        y = _relu(graph, f"{at}.conv1", layer.conv1, y, layer.normed.scale, layer.inner)
        y = conv(graph, f"{at}.conv2", layer.conv2, y, layer.inner.scale)
        if score is not None:
            y = graph.node("Mul", f"{at}.gate2.scale", [y, score])
        maps.append(graph.quantize(y, at, chain, signed=True))
    return graph.node("Concat", f"{name}.concat", maps, axis=1)


def _transition(graph: GraphBuilder, block: QuantDenseBlock, x: str) -> str:
    """Half of the channels and of both sides, not quantised yet."""
    name = f"{block.plan.name}.transition"
    assert block.norm is not None and block.conv is not None
    y = _relu(graph, f"{name}.norm", block.norm, x, block.maps.scale, block.normed)
    y = conv(graph, f"{name}.conv", block.conv, y, block.normed.scale)
    y = graph.quantize(y, name, scale_of(graph, name, block.halved), signed=True)
    return graph.node("AveragePool", f"{name}.pool", [y], kernel_shape=[2, 2], strides=[2, 2])


def _relu(
    graph: GraphBuilder,
    name: str,
    layer: QuantConv,
    x: str,
    in_scale: Tensor,
    quantizer: ActivationQuantizer,
) -> str:
    """A convolution, or a normalisation as one, then ReLU, quantised."""
    y = graph.node("Relu", f"{name}.relu", [conv(graph, name, layer, x, in_scale)])
    return graph.quantize(y, name, scale_of(graph, name, quantizer), signed=False)
