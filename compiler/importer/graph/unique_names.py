"""Give every node a name of its own, and keep the endings of derived names for the back end."""

import dataclasses

from penstock.compiler import ir
from penstock.compiler.names import DERIVED, FreshNames


def unique_names(graph: ir.Graph) -> ir.Graph:
    """Number nodes that share a name (one ONNX node quantised twice makes two), and nodes and
    values whose names end as those do that the back end derives.  Preserves every value."""
    graph = _rename_values(graph)
    fresh = FreshNames({node.name for node in graph.nodes})
    seen: set[str] = set()
    nodes: list[ir.Node] = []
    for node in graph.nodes:
        plain = node.name not in seen and not DERIVED.search(node.name)
        seen.add(node.name)
        nodes.append(node if plain else dataclasses.replace(node, name=fresh(node.name)))
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _rename_values(graph: ir.Graph) -> ir.Graph:
    """The graph without values whose names end in a reserved way."""
    fresh = FreshNames(graph.values)
    new = {name: fresh(name) for name in graph.values if DERIVED.search(name)}
    if not new:
        return graph

    def named(name: str) -> str:
        return new.get(name, name)

    return dataclasses.replace(
        graph,
        input=named(graph.input),
        output=named(graph.output),
        others=tuple(map(named, graph.others)),
        values={
            named(name): dataclasses.replace(value, name=named(name))
            for name, value in graph.values.items()
        },
        nodes=tuple(_renamed(node, new) for node in graph.nodes),
        exits=tuple(
            dataclasses.replace(leave, logits=named(leave.logits)) for leave in graph.exits
        ),
        renamed={name: old for old, name in new.items()},
    )


def _renamed(node: ir.Node, new: dict[str, str]) -> ir.Node:
    """A node that reads and writes values by their new names."""
    output = new.get(node.output, node.output)
    if isinstance(node, ir.Concat):
        inputs = tuple(new.get(name, name) for name in node.inputs)
        return dataclasses.replace(node, inputs=inputs, output=output)
    node = dataclasses.replace(node, input=new.get(node.input, node.input), output=output)
    if isinstance(node, ir.Conv):
        fold, residual = node.fold, node.residual
        if fold is not None:
            fold = dataclasses.replace(fold, scores=new.get(fold.scores, fold.scores))
        if residual is not None:
            residual = new.get(residual, residual)
        node = dataclasses.replace(node, fold=fold, residual=residual)
    return node
