"""Pass: a dense layer behind a dense layer reads what that one put into feature memory.

GATE and DENSE read pooled sums.  So a vector that a dense layer made (or a convolution, which has a
table of it) and another one reads becomes a map of 1x1 pixels, and its sums, which a CONV makes in
place, are its bytes: an average with factor 1.  Legal always; preserves every value.
"""

import dataclasses

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Conv, Dense, Gate, Graph, Node, Pool, Value

#: Suffix of the name of a dense layer's vector as pooled.
SUFFIX = ".sums"
#: An average that leaves its one pixel as it is: 2^15 / 2^15.
ONE = {"multiplier": 1 << 15, "shift": 15}


def pool_vectors(graph: Graph) -> Graph:
    """The graph whose dense layers and gates all read global averages.

    Raises:
        CompileError: the network's output, or an exit's, is read by another dense layer.
    """
    made = {node.output for node in graph.nodes if isinstance(node, Dense | Conv)}
    read = {node.input for node in graph.nodes if isinstance(node, Dense | Gate)} & made
    values = dict(graph.values)
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Dense | Gate) and node.input in read:
            node = dataclasses.replace(node, input=node.input + SUFFIX)
        nodes.append(node)
        if node.output in read:
            _check(graph, node)
            nodes.append(_sums(values, node.output))
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)


def _sums(values: dict[str, Value], name: str) -> Pool:
    """The average of a vector that is a map now."""
    value = values[name]
    values[name] = dataclasses.replace(value, shape=(value.shape[0], 1, 1))
    values[name + SUFFIX] = dataclasses.replace(value, name=name + SUFFIX, shape=value.shape[:1])
    return Pool(name=name + SUFFIX, input=name, output=name + SUFFIX, **ONE)


def _check(graph: Graph, node: Node) -> None:
    if node.output in graph.results:
        raise CompileError(
            "another dense layer reads the logits",
            node=node.name,
            hint="read what they are made of",
        )
