"""Export of a split network (`penstock.model.split`) to ONNX QDQ: stage after stage.

Every stage is a chain of convolutions of its own, with its weights alone; what it reads of earlier
stages is joined by Concat.  All parts of a layer's map have one scale.  The classifier of a stage
is an output, written before the next stage begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from penstock.model.export_layers import conv, dense, pool, scale_of
from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantize import QuantBlock, QuantLCNet
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear
from penstock.model.split import SplitConv, split_convs


class Classified(Protocol):
    """A quantised network with a classifier for each stage."""

    heads: nn.ModuleList
    fc: QuantLinear
    pool: ActivationQuantizer
    head_logits: ActivationQuantizer | None
    logits: ActivationQuantizer


@dataclass(slots=True)
class Stages:
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
        return conv(self.graph, node, layer, x, in_scale, plan.links(stage))

    def join(self, name: str, parts: list[str]) -> str:
        """Parts of a map as one."""
        return parts[0] if len(parts) == 1 else self.graph.node("Concat", name, parts, axis=1)

    def quantize(
        self, x: str, name: str, quantizer: ActivationQuantizer, scale: str, signed: bool = False
    ) -> str:
        """A stage's part of a map; `scale` names what all parts share."""
        constant = scale_of(self.graph, scale, quantizer)
        return self.graph.quantize(x, name, constant, signed=signed)

    def classify(self, net: Classified, layer: str, stage: int, name: str) -> None:
        """The output of a stage from its and earlier parts of a layer's map: the last stage's is
        the network's own."""
        early = stage < len(net.heads)
        node = name if early else "classifier"
        y = self.join(f"{name}.concat", self.made[layer])
        y = pool(self.graph, node, net.pool, y)
        head = net.heads[stage] if early else net.fc
        quantizer = net.head_logits if early else net.logits
        assert isinstance(head, QuantLinear) and quantizer is not None
        y = dense(self.graph, f"{node}.fc", head, y, net.pool.scale)
        y = self.quantize(y, name, quantizer, "exits" if early else name, signed=True)
        self.graph.rename_output(y, name)


def at_stage(name: str, stage: int) -> str:
    """A layer's name with the stage, from 1 as in the paper, in front."""
    return f"s{stage + 1}.{name}"


def stage_outputs(graph: GraphBuilder, net: QuantLCNet, x: str, names: list[str]) -> None:
    """All stages of `net` on the quantised image x; `names` are the outputs', one a stage."""
    stages = Stages(graph, split_convs(net.config), {"image": [x]})
    for stage, name in enumerate(names):
        stages.classify(net, _stage(stages, net, stage), stage, name)


def _stage(stages: Stages, net: QuantLCNet, stage: int) -> str:
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
    stages: Stages,
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
        shortcut = stages.quantize(y, f"{node}.shortcut", after, chain, signed=True)
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
