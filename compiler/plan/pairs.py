"""Sums of two maps at scales of their own, in one descriptor: two planes of a polyphase layout.

A convolution in groups of two, one channel of either map each, would be a CONV a channel.  Where
the maps are parts of a Concat that nothing else reads, their channels lie in turn: a of channel 0,
b of channel 0, a of channel 1.  So laid out they are the first two planes of a map of twice the
rows and columns, of which a depthwise 3x3 convolution with stride 2 reads the middle tap (a) and
the one to the right of it (b).  The weights of all other taps are 0.
"""

import numpy as np

from penstock.compiler.ir import Concat, Conv, IntArray
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.plan.limits import MAX_SIDE


def is_pair(conv: Conv) -> bool:
    """Whether a convolution adds channel c of one half of its input to channel c of the other."""
    channels = len(conv.weight)
    order = np.arange(2 * channels).reshape(2, channels).T.reshape(-1)
    plain = conv.weight.shape[1:] == (2, 1, 1) and conv.groups == channels and channels > 1
    return plain and conv.stride == 1 and conv.order == tuple(order.tolist())


def taps(conv: Conv) -> IntArray:
    """(O, 1, 3, 3) int8: the weights of the depthwise convolution."""
    weight = np.zeros((len(conv.weight), 1, 3, 3), np.int8)
    weight[:, 0, 1, 1:] = conv.weight[:, :, 0, 0]
    return weight


def paired_rows(analysis: Analysis) -> frozenset[tuple[str, ...]]:
    """The rows of two parts that may lie in turn: nothing reads them as one run of bytes."""
    whole = {layer.inputs: layer for layer in analysis.layers if isinstance(layer, Concat)}
    return frozenset(
        row
        for row in analysis.graph.adjacent
        if len(row) == 2 and row in whole and _pairs(analysis, whole[row])
    )


def _pairs(analysis: Analysis, concat: Concat) -> bool:
    readers = analysis.readers(concat.output)
    shapes = {analysis.graph.values[part].shape for part in concat.inputs}
    one = len(readers) == 1 and isinstance(readers[0], Conv) and is_pair(readers[0])
    if not one or len(shapes) > 1 or 2 * max(shapes.pop()[1:]) > MAX_SIDE:
        return False
    return all(_apart(analysis, value) for value in _lying(analysis, concat.inputs))


def _lying(analysis: Analysis, parts: tuple[str, ...]) -> set[str]:
    """The parts, what they are added to in place, and what is made in place of them."""
    found = set(parts)
    for conv in reversed(analysis.convs):
        if conv.output in found and conv.residual:
            found.add(conv.residual)
    for conv in analysis.convs:
        if conv.residual in found:
            found.add(conv.output)
    return found


def _apart(analysis: Analysis, value: str) -> bool:
    """Whether a map's channels may lie apart: it is not loaded, stored or read flattened."""
    flat = any(isinstance(node, Conv) and node.pixels > 1 for node in analysis.readers(value))
    return not flat and value not in (analysis.graph.input, *analysis.graph.stored)
