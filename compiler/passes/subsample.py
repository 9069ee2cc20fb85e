"""Pass: a 1x1 convolution with stride 2 becomes a subsampling and a 1x1 convolution.

It uses one pixel in four: a POOL of 1x1 windows with stride 2 writes just those, where the
polyphase layout would hold all four.  Legal always; not done where a larger kernel needs that
layout of the map anyway.  Preserves every value.
"""

import dataclasses

from penstock.compiler.ir import Conv, Graph, MapPool, Node, Value
from penstock.compiler.passes.analysis import Analysis

#: Suffix of the name of a subsampled map and of the pool that makes it.
SUFFIX = ".subsampled"


def _alone(analysis: Analysis, conv: Conv) -> bool:
    """Whether no larger kernel reads the map with stride 2."""
    strided = [c for c in analysis.convs if c.input == conv.input and c.stride == 2]
    return conv.stride == 2 and all(c.weight.shape[2] == 1 for c in strided)


def subsample(graph: Graph) -> Graph:
    """Replace the convolutions; readers of one map share its subsampling."""
    analysis = Analysis(graph=graph)
    nodes: list[Node] = []
    values: dict[str, Value] = dict(graph.values)
    for node in graph.nodes:
        if isinstance(node, Conv) and _alone(analysis, node):
            name = f"{node.input}{SUFFIX}"
            if name not in values:
                source = values[node.input]
                pool = MapPool(
                    name=name,
                    input=source.name,
                    output=name,
                    kernel=1,
                    stride=2,
                    pad=0,
                    clamp=analysis.range(source.name),
                )
                shape = (source.shape[0], *pool.out_size(*source.shape[1:]))
                values[name] = dataclasses.replace(source, name=name, shape=shape)
                nodes.append(pool)
            node = dataclasses.replace(node, input=name, stride=1)
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)
