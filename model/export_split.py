"""Export of a split network (`penstock.model.split`) to ONNX QDQ: stage after stage.

Every stage is a chain of convolutions of its own, with its weights alone; what it reads of earlier
stages is joined by Concat.  All parts of a layer's map have one scale.  The classifier of a stage
is an output, written before the next stage begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from penstock.model.export_layers import conv, dense, pool, scale_of
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize import QuantBlock, QuantLCNet
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear
from penstock.model.split import SplitConv, split_convs


@dataclass(slots=True)
class _Stages:
    """The graph so far: `made` has the map of each layer that every stage made, in their order."""

    graph: GraphBuilder
    convs: dict[str, SplitConv]
    made: dict[str, list[str]] = field(default_factory=dict)

    def add(self, layer: str, value: str) -> None:
        """The next stage's part of a layer's map."""
        self.made.setdefault(layer, []).append(value)

    def conv(self, name: str, layer: QuantConv, source: str, in_scale: Tensor, stage: int) -> str:
        """A stage's share of a convolution, of what it reads of the layer `source`."""
        plan = self.convs[name]
        parts = [self.made[source][index] for index in plan.sources[stage]]
        node = at_stage(name, stage)
        x = self.join(f"{node}.concat", parts)
        links = list(plan.outputs[stage]), plan.reads(stage)
        return conv(self.graph, node, layer, x, in_scale, links)

    def join(self, name: str, parts: list[str]) -> str:
        """Parts of a map as one."""
        return parts[0] if len(parts) == 1 else self.graph.node("Concat", name, parts, axis=1)

    def quantize(self, x: str, name: str, quantizer: ActivationQuantizer, scale: str) -> str:
        """A stage's part of a map, uint8; `scale` names what all parts share."""
        constant = scale_of(self.graph, scale, quantizer)
        return self.graph.quantize(x, name, constant, signed=False)


def at_stage(name: str, stage: int) -> str:
    """A layer's name with the stage, from 1 as in the paper, in front."""
    return f"s{stage + 1}.{name}"


def stage_outputs(graph: GraphBuilder, net: QuantLCNet, x: str, names: list[str]) -> None:
    """All stages of `net` on the quantised image x; `names` are the outputs', one a stage."""
    stages = _Stages(graph, split_convs(net.config))
    for stage, name in enumerate(names):
        stages.made["image"] = [x]
        last = _stage(stages, net, stage)
        y = stages.join(f"{name}.concat", stages.made[last])
        y = pool(graph, name if stage < len(names) - 1 else "classifier", net.pool, y)
        _classifier(graph, net, stage, name, y)


def _stage(stages: _Stages, net: QuantLCNet, stage: int) -> str:
    """The convolutions of one stage; the name of the layer that they end in."""
    graph, before = stages.graph, net.first_chain()
    y = stages.conv("stem.conv", net.conv, "image", net.input.scale, stage)
    y = graph.node("Relu", at_stage("stem.relu", stage), [y])
    scale = "stage0.chain" if before is net.chains[0] else "stem.chain"
    y = stages.quantize(y, at_stage("stem", stage), before, scale)
    stages.add("stem", y)
    source = "stem"
    for block in net.blocks:
        after = net.chains[block.plan.stage]
        assert isinstance(block, QuantBlock) and isinstance(after, ActivationQuantizer)
        _block(stages, block, source, before, after, stage)
        source, before = block.plan.name, after
    return source


def _block(
    stages: _Stages,
    block: QuantBlock,
    source: str,
    before: ActivationQuantizer,
    after: ActivationQuantizer,
    stage: int,
) -> None:
    """A stage's share of a residual block; the sum is of its own channels."""
    graph, name = stages.graph, block.plan.name
    node = at_stage(name, stage)
    chain = f"stage{block.plan.stage}.chain"
    shortcut = stages.made[source][stage]
    if block.shortcut is not None:
        y = stages.conv(f"{name}.shortcut", block.shortcut, source, before.scale, stage)
        constant = scale_of(graph, chain, after)
        shortcut = graph.quantize(y, f"{node}.shortcut", constant, signed=True)
    read, scale = source, before.scale
    *inner, last = block.layers()
    for number, (layer, quantizer) in enumerate(zip(inner, block.inners(), strict=True), start=1):
        y = stages.conv(f"{name}.conv{number}", layer, read, scale, stage)
        y = graph.node("Relu", f"{node}.relu{number}", [y])
        read, scale = f"{name}.inner{number}", quantizer.scale
        stages.add(read, stages.quantize(y, at_stage(read, stage), quantizer, read))
    y = stages.conv(f"{name}.conv{len(inner) + 1}", last, read, scale, stage)
    y = graph.node("Add", f"{node}.add", [y, shortcut])
    y = graph.node("Relu", f"{node}.relu{len(inner) + 1}", [y])
    stages.add(name, stages.quantize(y, f"{node}.out", after, chain))


def _classifier(graph: GraphBuilder, net: QuantLCNet, stage: int, name: str, pooled: str) -> None:
    """The output of a stage: the last one is the network's own."""
    early = stage < len(net.heads)
    layer = net.heads[stage] if early else net.fc
    quantizer = net.head_logits if early else net.logits
    assert isinstance(layer, QuantLinear) and quantizer is not None
    y = dense(graph, f"{name if early else 'classifier'}.fc", layer, pooled, net.pool.scale)
    y = graph.quantize(y, name, scale_of(graph, "exits" if early else name, quantizer), signed=True)
    graph.rename_output(y, name)
