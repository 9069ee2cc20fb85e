"""Drop graph nodes that nothing depends on that leaves the network."""

import dataclasses

from penstock.compiler import ir


def prune_graph(graph: ir.Graph) -> ir.Graph:
    """Remove dead nodes and values (lowering leaves what a fusion replaced).  Preserves the
    results."""
    needed = {*graph.results, graph.input}
    kept: list[ir.Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed.update(ir.inputs_of(node))
    values = {name: value for name, value in graph.values.items() if name in needed}
    return dataclasses.replace(graph, nodes=tuple(reversed(kept)), values=values)
