"""Give every node a name of its own."""

import dataclasses
from collections import Counter

from penstock.compiler import ir


def unique_names(graph: ir.Graph) -> ir.Graph:
    """Number nodes that share a name (one ONNX node quantised twice makes two).  Values keep
    theirs."""
    seen: Counter[str] = Counter()
    taken = {node.name for node in graph.nodes}
    nodes: list[ir.Node] = []
    for node in graph.nodes:
        name = node.name
        while seen[node.name] and name in taken:
            seen[node.name] += 1
            name = f"{node.name}#{seen[node.name]}"
        seen[node.name] += 1
        taken.add(name)
        nodes.append(dataclasses.replace(node, name=name))
    return dataclasses.replace(graph, nodes=tuple(nodes))
