"""A network in stages of its channels, as it is exported: stage after stage.

Trained, all stages are one network whose convolutions lack some links
(`penstock.model.stages.split`).  Here every stage is a chain of convolutions of its own, with its
weights alone; what it reads of earlier stages is joined by Concat.  The parts of a map share its
scale.  A stage's logits are computed before the next stage begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn

from penstock.model.quantize.builder import place
from penstock.model.quantize.network import QatNetwork
from penstock.model.quantize.quantizers import QuantConv


def has_stages(net: QatNetwork) -> bool:
    """Whether its convolutions are split."""
    return any(isinstance(m, QuantConv) and m.split is not None for m in net.modules())


def in_stages(net: QatNetwork) -> QatNetwork:
    """The network in stages, one for each of its logits; layers of stage j begin with "sj."."""
    stages = _Stages(net)
    found: list[fx.Node] = []
    (returned,) = (node for node in net.net.graph.nodes if node.op == "output")
    fx.map_arg(returned.args[0], found.append)
    outputs = tuple(stages.logits(number, node) for number, node in enumerate(found))
    stages.graph.output(outputs)
    return QatNetwork(fx.GraphModule(stages.root, stages.graph), net.image_shape, {})


class _Stages:
    """The graph so far; `made` has the parts of a map that the stages up to now made."""

    def __init__(self, net: QatNetwork) -> None:
        self.net = net.net
        self.graph, self.root = fx.Graph(), nn.Module()
        self.made: dict[fx.Node, list[fx.Node]] = {}
        self.whole: dict[fx.Node, fx.Node] = {}  # what is no part: image, scales, one stage's tail

    def logits(self, stage: int, output: fx.Node) -> fx.Node:
        """Everything of a stage that is not there yet."""
        needed, head = _ancestors(output), str(output.all_input_nodes[0].target)
        for node in self.net.graph.nodes:
            if node in needed:
                self._take(stage, node, head)
        return self.whole[output]

    def _take(self, stage: int, node: fx.Node, head: str) -> None:
        module = None
        if node.op == "call_module":
            module = self.net.get_submodule(str(node.target))
        operands = node.all_input_nodes
        if isinstance(module, QuantConv):
            self._add(node, self._conv(stage, node, module))
        elif node.op in ("placeholder", "get_attr") or operands[0].op == "placeholder":
            if node not in self.whole:
                self.whole[node] = self._copy(node)
                self.made[node] = [self.whole[node]]  # of an image, one for all stages
        elif node.target == "mean":
            (source,) = operands
            self.whole[node] = self._copy(node, {source: self._join(self.made[source], head)})
        elif operands[0] in self.made:
            self._add(node, self._copy(node, {x: self.made[x][stage] for x in operands}))
        elif node.target == "getitem" or getattr(node.target, "__name__", "") == "getitem":
            self.whole[node] = self.whole[operands[0]]  # the average is of these channels alone
        else:
            self.whole[node] = self._copy(node)

    def _conv(self, stage: int, node: fx.Node, module: QuantConv) -> fx.Node:
        source, scale = node.all_input_nodes
        assert module.split is not None
        name = f"s{stage + 1}.{node.target}"
        x = self._join([self.made[source][index] for index in module.split.sources[stage]], name)
        place(self.root, name, module.share(module.split.links(stage)))
        made = self.graph.call_module(name, (x, self.whole[scale]))
        made.meta = dict(node.meta)
        return made

    def _add(self, node: fx.Node, part: fx.Node) -> None:
        self.made.setdefault(node, []).append(part)

    def _join(self, parts: Sequence[fx.Node], reader: str) -> fx.Node:
        """Parts of a map as one, named after the layer that reads it."""
        if len(parts) == 1:
            return parts[0]
        joined = self.graph.call_function(torch.cat, (list(parts),), {"dim": 1})
        joined.meta = {"reader": reader}
        return joined

    def _copy(self, node: fx.Node, parts: dict[fx.Node, fx.Node] | None = None) -> fx.Node:
        """The node on parts of its operands, or on all of them."""
        if node.op in ("call_module", "get_attr"):
            path = str(node.target).removesuffix(".scale") if node.op == "get_attr" else node.target
            place(self.root, str(path), self.net.get_submodule(str(path)))
        return self.graph.node_copy(node, lambda x: (parts or {}).get(x) or self.whole[x])


def _ancestors(node: fx.Node) -> set[fx.Node]:
    found, todo = {node}, [node]
    while todo:
        for source in todo.pop().all_input_nodes:
            if source not in found:
                found.add(source)
                todo.append(source)
    return found
