"""Export of a quantised network to ONNX QDQ, built node by node.

The graph is the pattern the compiler recognises: every weighted layer reads dequantised
int8 weights and int32 biases, and no quantiser stands between a convolution and the
multiplication with its gate score.  No BatchNormalization is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from torch import Tensor

from penstock.model.geometry import NetworkConfig
from penstock.model.networks import cnet_names
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize import QuantBlock, QuantLCNet
from penstock.model.quantizers import (
    SCORE_ONE,
    ActivationQuantizer,
    QuantConv,
    QuantLinear,
)

INPUT, OUTPUT, BATCH = "input", "logits", "N"
STEM_POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}


def network_properties(config: NetworkConfig, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """What goes into a model's metadata_props: the network, its schedule, and `metadata`."""
    properties = {"network": config.name, "schedule": config.schedule, **(metadata or {})}
    return {f"penstock.{key}": value for key, value in properties.items()}


def build_onnx(net: QuantLCNet, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The network as an ONNX model: float "input" [N, C, H, W] -> float "logits" [N, classes].

    N is symbolic, all else static.  `metadata` goes into metadata_props under "penstock.";
    the network's name and schedule are always there.
    """
    config = net.config
    graph = GraphBuilder()
    x = graph.quantize(INPUT, "input", _scale(graph, "input", net.input), signed=True)
    x = _conv(graph, "stem.conv", net.conv, x, net.input.scale)
    x = graph.node("Relu", "stem.relu", [x])
    before = net.first_chain()
    chain = _scale(graph, "stage0.chain" if before is net.chains[0] else "stem.chain", before)
    x = graph.quantize(x, "stem", chain, signed=False)
    if config.stem == "imagenet":
        x = graph.node("MaxPool", "stem.pool", [x], **STEM_POOL)
        x = graph.quantize(x, "stem.pool", chain, signed=False)
    for block in net.blocks:
        after = net.chains[block.plan.stage]
        chain = _scale(graph, f"stage{block.plan.stage}.chain", after)
        x = _block(graph, block, x, before.scale, chain)
        before = after
    x = _pool(graph, "classifier", net.pool, x)
    x = _dense(graph, "classifier.fc", net.fc, x, net.pool.scale)
    x = graph.quantize(x, OUTPUT, _scale(graph, OUTPUT, net.logits), signed=True)
    graph.rename_output(x, OUTPUT)
    return graph.build(
        config.name,
        INPUT,
        [BATCH, config.in_channels, *config.input_size],
        OUTPUT,
        [BATCH, config.classes],
        network_properties(config, metadata),
    )


def _block(graph: GraphBuilder, block: QuantBlock, x: str, in_scale: Tensor, chain: str) -> str:
    """One residual block; `chain` names the scale of its stage's chain."""
    name = block.plan.name
    block_score, channel_scores = _gates(graph, block, x)
    shortcut = x
    if block.shortcut is not None:
        shortcut = _conv(graph, f"{name}.shortcut", block.shortcut, x, in_scale)
        shortcut = graph.quantize(shortcut, f"{name}.shortcut", chain, signed=True)
    *layers, last = block.layers()
    y = x
    for number, (layer, quantizer) in enumerate(zip(layers, block.inners(), strict=True), 1):
        suffix = "" if number == 1 else str(number)
        y = _conv(graph, f"{name}.conv{number}", layer, y, in_scale)
        y = graph.node("Relu", f"{name}.relu{number}", [y])
        if number <= len(channel_scores):
            score = channel_scores[number - 1]
            y = graph.node("Mul", f"{name}.cnet{suffix}.scale", [y, score])
        inner = _scale(graph, f"{name}.inner{suffix}", quantizer)
        y = graph.quantize(y, f"{name}.inner{suffix}", inner, signed=False)
        in_scale = quantizer.scale
    count = len(layers) + 1
    y = _conv(graph, f"{name}.conv{count}", last, y, in_scale)
    if block_score is not None:
        y = graph.node("Mul", f"{name}.lnet.scale", [y, block_score])
    y = graph.node("Add", f"{name}.add", [y, shortcut])
    y = graph.node("Relu", f"{name}.relu{count}", [y])
    return graph.quantize(y, f"{name}.out", chain, signed=False)


def _gates(graph: GraphBuilder, block: QuantBlock, x: str) -> tuple[str | None, list[str]]:
    """Block score and channel scores, shaped for their multiplications, from one pooling."""
    if block.pool is None:
        return None, []
    name, scale = block.plan.name, block.pool.scale
    pooled = _pool(graph, name, block.pool, x)
    block_score = None
    if block.lnet is not None:
        block_score = _gate(graph, f"{name}.lnet", block.lnet, pooled, scale)
    names = cnet_names(block.plan)
    return block_score, [
        _gate(graph, f"{name}.{cnet}", layer, pooled, scale)
        for cnet, layer in zip(names, block.cnets(), strict=False)
    ]


def _gate(graph: GraphBuilder, name: str, layer: QuantLinear, pooled: str, scale: Tensor) -> str:
    """Gemm -> Clip(0, 1) -> uint8 at 1/128 -> [N, C, 1, 1]."""
    z = _dense(graph, f"{name}.fc", layer, pooled, scale)
    zero = graph.constant("score_min", np.array(0, dtype=np.float32))
    one = graph.constant("score_max", np.array(1, dtype=np.float32))
    score = graph.node("Clip", f"{name}.relu1", [z, zero, one])
    unit = graph.constant("score_scale", np.array(1 / SCORE_ONE, dtype=np.float32))
    score = graph.quantize(score, f"{name}.score", unit, signed=False)
    outputs = layer.weight.shape[0]
    shape = graph.constant(f"{name}.shape", np.array([-1, outputs, 1, 1], dtype=np.int64))
    return graph.node("Reshape", f"{name}.reshape", [score, shape])


def _pool(graph: GraphBuilder, name: str, quantizer: ActivationQuantizer, x: str) -> str:
    """GlobalAveragePool -> uint8 -> Flatten."""
    y = graph.node("GlobalAveragePool", f"{name}.pool", [x])
    y = graph.quantize(y, f"{name}.pool", _scale(graph, f"{name}.pool", quantizer), signed=False)
    return graph.node("Flatten", f"{name}.flatten", [y], axis=1)


def _conv(graph: GraphBuilder, name: str, layer: QuantConv, x: str, in_scale: Tensor) -> str:
    inputs = [x, *_parameters(graph, name, layer, in_scale)]
    return graph.node(
        "Conv",
        name,
        inputs,
        kernel_shape=list(layer.weight.shape[2:]),
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
    )


def _dense(graph: GraphBuilder, name: str, layer: QuantLinear, x: str, in_scale: Tensor) -> str:
    return graph.node("Gemm", name, [x, *_parameters(graph, name, layer, in_scale)], transB=1)


def _parameters(
    graph: GraphBuilder, name: str, layer: QuantConv | QuantLinear, in_scale: Tensor
) -> tuple[str, str]:
    """The dequantised weight and bias of a layer."""
    weight, bias, scale = (t.cpu() for t in layer.integers(in_scale))
    return (
        graph.weights(name, weight.numpy(), scale.numpy()),
        graph.bias(name, bias.numpy(), (in_scale.cpu() * scale).numpy()),
    )


def _scale(graph: GraphBuilder, name: str, quantizer: ActivationQuantizer) -> str:
    return graph.constant(f"{name}.scale", quantizer.scale.detach().cpu().numpy())
