"""Pass: an average that is the network's output is stored by a dense layer that changes nothing.

The gate unit keeps averages to itself; what it can write to feature memory is a DENSE.  Legal
always; preserves every value.
"""

import dataclasses

import numpy as np

from penstock.compiler.ir import Dense, Gate, Graph, Node, Pool, Requantize, Value
from penstock.compiler.numerics import type_range
from penstock.compiler.passes.pool_vectors import ONE, SUFFIX


def store_averages(graph: Graph) -> Graph:
    """The graph with a Dense behind each Pool that makes one of its outputs."""
    for name in dict.fromkeys(graph.stored):
        if any(isinstance(node, Pool) and node.output == name for node in graph.nodes):
            graph = _stored(graph, name)
    return graph


def _stored(graph: Graph, name: str) -> Graph:
    """The graph with a Dense behind the Pool that makes `name`."""
    inner = name + SUFFIX
    value = graph.values[name]
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Pool) and node.output == name:
            pool = dataclasses.replace(node, output=inner)
            nodes += [pool, identity_dense(pool, inner, name, value)]
        elif isinstance(node, Dense | Gate) and node.input == name:
            nodes.append(dataclasses.replace(node, input=inner))
        else:
            nodes.append(node)
    values = graph.values | {inner: dataclasses.replace(value, name=inner)}
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)


def identity_dense(pool: Pool, source: str, output: str, value: Value) -> Dense:
    """A dense layer that writes the average `source` as it is; `value`: either's type and shape."""
    channels = value.shape[0]
    return Dense(
        name=f"{pool.name}{SUFFIX}",
        input=source,
        output=output,
        weight=np.eye(channels, dtype=np.int8),
        bias=np.zeros(channels, np.int32),
        requantize=Requantize(
            multiplier=np.full(channels, ONE["multiplier"], np.uint16),
            shift=np.full(channels, ONE["shift"], np.uint8),
        ),
        clamp=type_range(value.signed),
    )
