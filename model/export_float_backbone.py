"""Export of VGG16-BN and MobileNetV2 to ONNX in floating point: the pattern of export_float.py."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from penstock.model.backbones import Backbone, Unit
from penstock.model.export import INPUT
from penstock.model.export_backbone import UNIT_POOL, activation_node
from penstock.model.export_float import classified, float_conv
from penstock.model.onnx_graph import GraphBuilder


def build_backbone_float_onnx(
    net: Backbone, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """The network, in evaluation mode, as an ONNX model: "input" -> "logits" as quantised.

    A split one as a whole, with missing links at 0.
    """
    graph = GraphBuilder()
    x = INPUT
    for unit in net.units:
        assert isinstance(unit, Unit)
        x = _unit(graph, unit, x)
    return classified(graph, net, x, metadata)


def _unit(graph: GraphBuilder, unit: Unit, x: str) -> str:
    plan, y = unit.plan, x
    rows = zip(plan.convs, unit.convs, unit.bns, plan.activations, strict=True)
    for conv, layer, bn, activation in rows:
        y = float_conv(graph, conv.name, layer, bn, y)
        y = activation_node(graph, conv.name, y, activation)
    if plan.shortcut is not None and unit.shortcut is not None:
        x = float_conv(graph, plan.shortcut.name, unit.shortcut, unit.shortcut_bn, x)
    if plan.shortcut is not None or plan.residual:
        y = graph.node("Add", f"{plan.name}.add", [y, x])
    return graph.node("MaxPool", f"{plan.name}.pool", [y], **UNIT_POOL) if plan.pool else y
