"""Export of quantised VGG16-BN and MobileNetV2 to ONNX QDQ: the pattern of export.py, no gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from penstock.model.backbones import RELU6, Activation
from penstock.model.export import INPUT, OUTPUT, exit_name, finish
from penstock.model.export_layers import conv, dense, pool, scale_of
from penstock.model.export_split import Stages, at_stage
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize_backbone import QuantBackbone, QuantUnit
from penstock.model.quantizers import ActivationQuantizer, QuantConv
from penstock.model.split import split_convs

UNIT_POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}


def build_backbone_onnx(
    net: QuantBackbone, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network as an ONNX model: float "input" [N, C, H, W] -> float "logits" [N, classes].

    Stages of a split network are outputs "exit0", ... before it.
    """
    config = net.config
    graph = GraphBuilder()
    x = graph.quantize(INPUT, "input", scale_of(graph, "input", net.input), signed=True)
    if config.split is not None:
        return _split(graph, net, x, metadata)
    names: dict[int, str] = {}  # of the quantisers of units' outputs
    for unit, before, after in net.steps():
        name = names.setdefault(id(after), f"{unit.plan.name}.out")
        x = _unit(graph, unit, x, before, scale_of(graph, name, after))
    x = pool(graph, "classifier", net.pool, x)
    x = dense(graph, "classifier.fc", net.fc, x, net.pool.scale)
    x = graph.quantize(x, OUTPUT, scale_of(graph, OUTPUT, net.logits), signed=True)
    graph.rename_output(x, OUTPUT)
    return finish(graph, config, metadata, [OUTPUT])


def _split(
    graph: GraphBuilder, net: QuantBackbone, x: str, metadata: Mapping[str, str] | None
) -> onnx.ModelProto:
    """Stage after stage, as `penstock.model.export_split` has it."""
    config = net.config
    stages = Stages(graph, split_convs(config), {"image": [x]})
    outputs = [*map(exit_name, range(config.early_exits)), OUTPUT]
    for stage, output in enumerate(outputs):
        source, scales = "image", {id(net.input): "input"}
        for unit, before, after in net.steps():
            scales.setdefault(id(after), f"{unit.plan.name}.out")
            _split_unit(stages, unit, source, before, after, scales[id(after)], stage)
            source = unit.plan.name
        stages.classify(net, source, stage, output)
    return finish(graph, config, metadata, outputs)


def _split_unit(
    stages: Stages,
    unit: QuantUnit,
    source: str,
    before: ActivationQuantizer,
    after: ActivationQuantizer,
    chain: str,
    stage: int,
) -> None:
    """A stage's share of a unit that reads the layer `source`; `chain` names its output's scale."""
    graph, plan = stages.graph, unit.plan
    read, scale = source, before.scale
    for index, (layer, activation) in enumerate(zip(unit.convs, plan.activations, strict=True)):
        name = plan.convs[index].name
        assert isinstance(layer, QuantConv)
        y = stages.conv(name, layer, read, scale, stage)
        y = activation_node(graph, at_stage(name, stage), y, activation)
        if index < len(unit.inner):
            inner = unit.inner[index]
            assert isinstance(inner, ActivationQuantizer)
            read, scale = f"{name}.inner", inner.scale
            stages.add(read, stages.quantize(y, at_stage(read, stage), inner, name))
    node = at_stage(plan.name, stage)
    shortcut = None
    if unit.shortcut is not None and plan.shortcut is not None:
        z = stages.conv(plan.shortcut.name, unit.shortcut, source, before.scale, stage)
        name = at_stage(plan.shortcut.name, stage)
        shortcut = stages.quantize(z, name, after, chain, signed=True)
    elif plan.residual:
        shortcut = stages.made[source][stage]
    if shortcut is not None:
        y = graph.node("Add", f"{node}.add", [y, shortcut])
    y = stages.quantize(y, f"{node}.out", after, chain, unit.signed)
    if plan.pool:
        y = graph.node("MaxPool", f"{node}.pool", [y], **UNIT_POOL)
        y = stages.quantize(y, f"{node}.pool", after, chain, unit.signed)
    stages.add(plan.name, y)


def _unit(
    graph: GraphBuilder, unit: QuantUnit, x: str, before: ActivationQuantizer, chain: str
) -> str:
    """One unit; `chain` names the scale of its output."""
    plan = unit.plan
    y, scale = x, before.scale
    for index, (layer, activation) in enumerate(zip(unit.convs, plan.activations, strict=True)):
        name = plan.convs[index].name
        y = conv(graph, name, layer, y, scale)
        y = activation_node(graph, name, y, activation)
        if index < len(unit.inner):
            inner = unit.inner[index]
            y = graph.quantize(y, name, scale_of(graph, name, inner), signed=False)
            scale = inner.scale
    shortcut = x
    if unit.shortcut is not None and plan.shortcut is not None:
        shortcut = conv(graph, plan.shortcut.name, unit.shortcut, x, before.scale)
        shortcut = graph.quantize(shortcut, plan.shortcut.name, chain, signed=True)
    if shortcut != x or plan.residual:
        y = graph.node("Add", f"{plan.name}.add", [y, shortcut])
    y = graph.quantize(y, f"{plan.name}.out", chain, signed=unit.signed)
    if plan.pool:
        y = graph.node("MaxPool", f"{plan.name}.pool", [y], **UNIT_POOL)
        y = graph.quantize(y, f"{plan.name}.pool", chain, signed=unit.signed)
    return y


def activation_node(graph: GraphBuilder, name: str, y: str, activation: Activation) -> str:
    """What a convolution's activation makes of y."""
    if activation == "none":
        return y
    if activation == "relu":
        return graph.node("Relu", f"{name}.relu", [y])
    low = graph.constant("relu6_min", np.array(0, dtype=np.float32))
    high = graph.constant("relu6_max", np.array(RELU6, dtype=np.float32))
    return graph.node("Clip", f"{name}.relu6", [y, low, high])
