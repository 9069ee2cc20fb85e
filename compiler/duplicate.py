"""Pass: give a residual that is read again later a buffer of its own.

A residual is added in place, which destroys it.  Where another node still needs the value, an
identity 1x1 convolution copies it first and the copy becomes the residual.  Legal always;
preserves every value of the graph.
"""

import dataclasses

import numpy as np

from penstock.compiler.analysis import Analysis
from penstock.compiler.ir import Conv, Graph, Node, Requantize

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
    if value == analysis.graph.output:
        return len(analysis.layers)
    last, strided = -1, []
    for index, layer in enumerate(analysis.layers):
        conv = layer if isinstance(layer, Conv) else None
        if layer.input == value and conv is not None and conv.stride == 2:
            strided.append(index)
        elif layer.input == value or (conv and conv.residual == value and conv is not skip):
            last = max(last, index)
    return max(last, min(strided, default=-1))  # strided readers share one COPY, before the first


def duplicate_residuals(graph: Graph) -> Graph:
    """Insert the copies that in-place residuals need."""
    analysis = Analysis(graph=graph)
    nodes: list[Node] = []
    values = dict(graph.values)
    for node in graph.nodes:
        if isinstance(node, Conv) and node.residual is not None:
            value = node.residual
            if _last_read(analysis, value, node) >= analysis.position[node.output]:
                name = f"{node.name}{COPY_SUFFIX}"
                nodes.append(_identity(graph, value, name))
                values[name] = dataclasses.replace(values[value], name=name)
                node = dataclasses.replace(node, residual=name)
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)
