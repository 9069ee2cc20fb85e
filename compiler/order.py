"""Pass: gate networks first, then the convolutions of one map in the order of their kernel size.

What a gate decides can only be skipped once it is decided.  After a gate the first weights are
waited for, and those of a small kernel (a projection) arrive sooner; the others then come while it
computes.  Legal always; preserves every value.
"""

import dataclasses

from penstock.compiler.analysis import Analysis
from penstock.compiler.ir import Conv, Graph, Node


def _needs(node: Node) -> set[str]:
    """Values a node waits for."""
    names = {node.input}
    if isinstance(node, Conv):
        names |= {node.residual} if node.residual else set()
        names |= {node.fold.scores} if node.fold else set()
    return names


def order_siblings(graph: Graph) -> Graph:
    """A topological order: what only gates need first, convolutions of one input by kernel size."""
    deciding = Analysis(graph=graph).deciding
    waiting = list(graph.nodes)
    known = {graph.input}
    ordered: list[Node] = []
    while waiting:
        ready = [node for node in waiting if _needs(node) <= known]
        node = next((node for node in ready if node.output in deciding), ready[0])
        if isinstance(node, Conv) and node.output not in deciding:
            siblings = [c for c in ready if isinstance(c, Conv) and c.input == node.input]
            node = min(siblings, key=lambda conv: conv.weight.shape[2])
        waiting = [other for other in waiting if other is not node]
        ordered.append(node)
        known.add(node.output)
    return dataclasses.replace(graph, nodes=tuple(ordered))
