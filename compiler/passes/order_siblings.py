"""Pass: gate networks first, then the convolutions of one map in the order of their kernel size.

What a gate decides can only be skipped once it is decided.  After a gate the first weights are
waited for, and those of a small kernel (a projection) arrive sooner; the others then come while it
computes.  Of a network with Concats everything that an early exit needs comes before what it does
not need: the branches of later stages may read the same maps.  Legal always; preserves every value.
"""

import dataclasses

from penstock.compiler.ir import Concat, Conv, Graph, Node, inputs_of
from penstock.compiler.passes.analysis import Analysis


def _stages(graph: Graph) -> dict[str, int]:
    """Value -> the first exit that needs it; their number: none does."""
    exits = {leave.logits: index for index, leave in enumerate(graph.exits)}
    if not any(isinstance(node, Concat) for node in graph.nodes):
        return {node.output: 0 for node in graph.nodes}
    stages = {node.output: exits.get(node.output, len(exits)) for node in graph.nodes}
    for node in reversed(graph.nodes):
        for name in inputs_of(node):
            stages[name] = min(stages.get(name, len(exits)), stages[node.output])
    return stages


def order_siblings(graph: Graph) -> Graph:
    """A topological order: what only gates need first, convolutions of one input by kernel size."""
    deciding, stages = Analysis(graph=graph).deciding, _stages(graph)
    waiting = list(graph.nodes)
    known = {graph.input}
    ordered: list[Node] = []
    while waiting:
        stage = min(stages[node.output] for node in waiting)
        ready = [n for n in waiting if stages[n.output] == stage and known.issuperset(inputs_of(n))]
        node = next((node for node in ready if node.output in deciding), ready[0])
        if isinstance(node, Conv) and node.output not in deciding:
            siblings = [c for c in ready if isinstance(c, Conv) and c.input == node.input]
            node = min(siblings, key=lambda conv: conv.weight.shape[2])
        waiting = [other for other in waiting if other is not node]
        ordered.append(node)
        known.add(node.output)
    return dataclasses.replace(graph, nodes=tuple(ordered))
