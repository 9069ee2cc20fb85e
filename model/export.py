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

from penstock.model.export_gate import gate_network, policy_network, router_network
from penstock.model.export_layers import conv, dense, pool, scale_of, unit_score
from penstock.model.export_split import stage_outputs
from penstock.model.geometry import NetworkGeometry
from penstock.model.networks import cnet_names
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize import QuantBlock, QuantLCNet
from penstock.model.quantizers import QuantLinear

INPUT, OUTPUT, BATCH = "input", "logits", "N"
STEM_POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}


def network_properties(
    config: NetworkGeometry, metadata: Mapping[str, str] | None
) -> dict[str, str]:
    """What goes into a model's metadata_props: the network, its schedule, and `metadata`."""
    properties = {"network": config.name, "schedule": config.schedule, **(metadata or {})}
    return {f"penstock.{key}": value for key, value in properties.items()}


def build_resnet_onnx(
    net: QuantLCNet, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network as an ONNX model: float "input" [N, C, H, W] -> float "logits" [N, classes].

    Early exits, and the stages of a split network (`penstock.model.export_split`), are outputs
    "exit0", ... before it.  N is symbolic, all else static.  `metadata`
    goes into metadata_props under "penstock."; the network's name and schedule are always there.
    """
    config = net.config
    graph = GraphBuilder()
    x = graph.quantize(INPUT, "input", scale_of(graph, "input", net.input), signed=True)
    names = [*map(exit_name, range(config.early_exits)), OUTPUT]
    if config.split is not None:
        stage_outputs(graph, net, x, names)
        return finish(graph, config, metadata, names)
    policy: list[str | None] = [None] * len(net.blocks)
    if net.policy is not None:
        policy = [*policy_network(graph, net.policy, x, net.input.scale)]
    x = conv(graph, "stem.conv", net.conv, x, net.input.scale)
    x = graph.node("Relu", "stem.relu", [x])
    before = net.first_chain()
    chain = scale_of(graph, "stage0.chain" if before is net.chains[0] else "stem.chain", before)
    x = graph.quantize(x, "stem", chain, signed=False)
    if config.stem == "imagenet":
        x = graph.node("MaxPool", "stem.pool", [x], **STEM_POOL)
        x = graph.quantize(x, "stem.pool", chain, signed=False)
    routed: list[str] = []
    for index, (block, decided) in enumerate(zip(net.blocks, policy, strict=True)):
        if block.router is not None:
            routed = router_network(graph, block.router, x)
        if block.plan.expert is not None:
            decided = routed[block.plan.expert]
        after = net.chains[block.plan.stage]
        chain = scale_of(graph, f"stage{block.plan.stage}.chain", after)
        x = _block(graph, block, x, before.scale, chain, decided)
        before = after
        if index in net.exit_blocks:
            _head(graph, net, net.exit_blocks.index(index), x)
    x = pool(graph, "classifier", net.pool, x)
    x = dense(graph, "classifier.fc", net.fc, x, net.pool.scale)
    x = graph.quantize(x, OUTPUT, scale_of(graph, OUTPUT, net.logits), signed=True)
    graph.rename_output(x, OUTPUT)
    return finish(graph, config, metadata, names)


def finish(
    graph: GraphBuilder,
    config: NetworkGeometry,
    metadata: Mapping[str, str] | None,
    outputs: list[str],
) -> onnx.ModelProto:
    """The finished graph, its own output the last of `outputs`."""
    *early, last = outputs
    return graph.build(
        config.name,
        INPUT,
        [BATCH, config.in_channels, *config.input_size],
        last,
        [BATCH, config.classes],
        network_properties(config, metadata),
        early,
    )


def exit_name(index: int) -> str:
    """Output of an early exit."""
    return f"exit{index}"


def _head(graph: GraphBuilder, net: QuantLCNet, index: int, x: str) -> None:
    """An early exit's classifier: an output of its own."""
    name, quantizer = exit_name(index), net.head_pool(index)
    assert net.head_logits is not None
    layer = net.heads[index]
    assert isinstance(layer, QuantLinear)
    y = pool(graph, name, quantizer, x)
    y = dense(graph, f"{name}.fc", layer, y, quantizer.scale)
    y = graph.quantize(y, name, scale_of(graph, "exits", net.head_logits), signed=True)
    graph.rename_output(y, name)


def _block(
    graph: GraphBuilder,
    block: QuantBlock,
    x: str,
    in_scale: Tensor,
    chain: str,
    policy: str | None,
) -> str:
    """One residual block; `chain` names the scale of its stage's chain, `policy` its score."""
    name = block.plan.name
    block_score, channel_scores = _gates(graph, block, x)
    if block.gate is not None:
        block_score = gate_network(graph, block.gate, x, in_scale)
    block_score = policy or block_score
    shortcut = x
    if block.shortcut is not None:
        shortcut = conv(graph, f"{name}.shortcut", block.shortcut, x, in_scale)
        shortcut = graph.quantize(shortcut, f"{name}.shortcut", chain, signed=True)
    y = x
    count = len(block.layers())
    for number, (layer, quantizer) in enumerate(
        zip(block.layers(), [*block.inners(), None], strict=True), start=1
    ):
        suffix = "" if number == 1 else str(number)
        gate = getattr(block, f"gate{number}", None)
        if gate is not None:
            channel_scores.append(gate_network(graph, gate, y, in_scale))
        y = conv(graph, f"{name}.conv{number}", layer, y, in_scale)
        if quantizer is not None:
            y = graph.node("Relu", f"{name}.relu{number}", [y])
        if number <= len(channel_scores):
            mask = f"{name}.cnet{suffix}" if gate is None else f"{name}.gate{number}"
            y = graph.node("Mul", f"{mask}.scale", [y, channel_scores[number - 1]])
        if quantizer is not None:
            inner = scale_of(graph, f"{name}.inner{suffix}", quantizer)
            y = graph.quantize(y, f"{name}.inner{suffix}", inner, signed=False)
            in_scale = quantizer.scale
    if block_score is not None:
        mask = f"{name}.lnet" if block.lnet is not None else f"{name}.gate"
        y = graph.node("Mul", f"{mask}.scale", [y, block_score])
    y = graph.node("Add", f"{name}.add", [y, shortcut])
    y = graph.node("Relu", f"{name}.relu{count}", [y])
    return graph.quantize(y, f"{name}.out", chain, signed=False)


def _gates(graph: GraphBuilder, block: QuantBlock, x: str) -> tuple[str | None, list[str]]:
    """LC-Net's block score and channel scores, shaped for multiplication, from one pooling."""
    if block.pool is None:
        return None, []
    name, scale = block.plan.name, block.pool.scale
    pooled = pool(graph, name, block.pool, x)
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
    z = dense(graph, f"{name}.fc", layer, pooled, scale)
    zero = graph.constant("score_min", np.array(0, dtype=np.float32))
    one = graph.constant("score_max", np.array(1, dtype=np.float32))
    score = graph.node("Clip", f"{name}.relu1", [z, zero, one])
    return unit_score(graph, score, name, layer.weight.shape[0])
