"""Passes: a 1x1 convolution with stride 2 becomes a subsampling and a 1x1 convolution, or the other
way round.

It uses one pixel in four: a POOL of 1x1 windows with stride 2 writes just those, where the
polyphase layout would hold all four.  Legal always; not done where a larger kernel needs that
layout of the map anyway.  Preserves every value.
"""

import dataclasses

from penstock.compiler.ir import Conv, Frame, Graph, MapPool, Node, Value, inputs_of
from penstock.compiler.passes.analysis import Analysis

#: Suffix of the name of a subsampled map and of the pool that makes it.
SUFFIX = ".subsampled"


def read_planes(graph: Graph) -> Graph:
    """1x1 convolutions of every second pixel of a map read them where its polyphase layout has
    them.  Legal where a larger kernel needs that layout anyway.  Preserves every value."""
    analysis = Analysis(graph=graph)
    frames: dict[str, Frame] = {}
    for node in graph.nodes:
        if isinstance(node, Frame) and _is_plane(graph, node):
            readers = [other for other in graph.nodes if node.output in inputs_of(other)]
            wide = [c for c in analysis.convs if c.input == node.input and c.stride == 2]
            if all(map(_reads_pixels, readers)) and any(c.weight.shape[2] > 1 for c in wide):
                frames[node.output] = node
    frames = {name: frame for name, frame in frames.items() if name not in graph.results}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Conv) and node.input in frames:
            frame = frames[node.input]
            plane = 2 * frame.top + frame.left
            node = dataclasses.replace(node, input=frame.input, stride=2, plane=plane)
        if node.output not in frames:
            nodes.append(node)
    values = {name: value for name, value in graph.values.items() if name not in frames}
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)


def _is_plane(graph: Graph, frame: Frame) -> bool:
    """Whether a frame is every second row and column of a map of even sides, whole."""
    height, width = graph.values[frame.input].shape[1:]
    even = height % 2 == 0 and width % 2 == 0 and not frame.channels
    firsts = frame.top in (0, 1) and frame.left in (0, 1)
    whole = (2 * frame.height, 2 * frame.width) == (height, width)
    return even and firsts and whole and frame.steps == (2, 2)


def _reads_pixels(node: Node) -> bool:
    """Whether a node is a 1x1 convolution that reads a map pixel by pixel."""
    if not isinstance(node, Conv) or node.residual == node.input:
        return False
    return node.stride == 1 and node.pixels == 1 and node.weight.shape[2:] == (1, 1)


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
