"""Pass: give a residual that is read again later a buffer of its own.

A residual is added in place, which destroys it.  Where another node still needs the value, an
identity 1x1 convolution copies it first and the copy becomes the residual.  In a network with
Concats a POOL copies it, which takes fewer cycles, and the sum of two maps with places of their own
(parts of Concats) needs the copy as well.  Legal always; preserves every value of the graph.
"""

import dataclasses

import numpy as np

from penstock.compiler.ir import Concat, Conv, Graph, Node, Requantize
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.passes.concat import copy_of

#: Suffix of the name of an identity convolution and of its output.
COPY_SUFFIX = ".copy"


def is_copy(conv: Conv) -> bool:
    """Whether this pass made the convolution."""
    return conv.name == conv.output and conv.name.endswith(COPY_SUFFIX)


def _identity(graph: Graph, value: str, name: str) -> Conv:
    """A 1x1 convolution whose output equals its input."""
    channels = graph.values[value].shape[0]
    signed = graph.values[value].signed
    return Conv(
        name=name,
        input=value,
        output=name,
        weight=np.eye(channels, dtype=np.int8)[:, :, None, None],
        bias=np.zeros(channels, np.int32),
        requantize=Requantize(
            multiplier=np.full(channels, 1 << 15, np.uint16), shift=np.full(channels, 15, np.uint8)
        ),
        stride=1,
        clamp=(-128, 127) if signed else (0, 255),
    )


def _last_read(analysis: Analysis, value: str, skip: Conv) -> int:
    """Position of the last linear read of a map by any layer but `skip`'s residual."""
    views = analysis.views(value)
    if set(views).intersection(analysis.graph.stored):
        return len(analysis.layers)
    last, strided = -1, []
    for index, layer in enumerate(analysis.layers):
        if isinstance(layer, Concat):
            if layer.output in views and analysis.pools(layer.output):  # of the sums
                last = max(last, index)
            continue
        conv = layer if isinstance(layer, Conv) else None
        if layer.input in views and conv is not None and conv.stride == 2:
            strided.append(index)
        elif layer.input in views or (conv and conv.residual in views and conv is not skip):
            last = max(last, index)
    return max(last, min(strided, default=-1))  # strided readers share one COPY, before the first


def duplicate_residuals(graph: Graph) -> Graph:
    """Insert the copies that in-place residuals need."""
    analysis = Analysis(graph=graph)
    nodes: list[Node] = []
    values = dict(graph.values)
    homes = {part: part for row in graph.adjacent for part in row}  # value -> whose place it has
    for node in graph.nodes:
        if isinstance(node, Conv) and node.residual is not None:
            value = node.residual
            places = {homes[name] for name in (node.output, value) if name in homes}
            whole = isinstance(analysis.producer.get(value), Concat)
            read = _last_read(analysis, value, node) >= analysis.position[node.output]
            if len(places) > 1 or whole or read:
                name = f"{node.name}{COPY_SUFFIX}"
                copy = (
                    copy_of(values[value], name, analysis.range(value))
                    if graph.adjacent
                    else _identity(graph, value, name)
                )
                nodes.append(copy)
                values[name] = dataclasses.replace(values[value], name=name)
                node = dataclasses.replace(node, residual=name)
            elif value in homes:
                homes[node.output] = homes[value]
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)
