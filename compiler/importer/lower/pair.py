"""The sum of two integer maps with steps and zero points of their own, quantised once.

A map of both, channel by channel, is convolved 1x1 in groups of two: p * a + q * b with p : q as
the two scales, the zero points in the bias.  So the sum is rounded once, as onnxruntime's.
"""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.convolution import quantize_conv
from penstock.compiler.importer.lower.layers.linear import identity
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear, Mean, Stored, Sum, Window

#: Largest weight of int8 that has a negative.
MOST = 127
#: Codes from a type's to the other's of the same number.
MOVE = 128


def add_pair(
    builder: Builder,
    node: OpNode,
    term: Sum,
    stored: tuple[str, str],
    scale: float,
    signed: bool,
    zero: int,
) -> Stored:
    """clip(left + right) of the two stored maps of `term`, quantised by `node`."""
    names = _of_one_type(builder, node, *stored)
    values = [builder.values[name] for name in names]
    channels = values[0].shape[0]
    weights, step = ratio(values[0].scale, values[1].scale)
    both = ir.Concat(
        name=f"{term.node.label}.both", inputs=names, output=builder.fresh(f"{node.output}.both")
    )
    joined = builder.add_node(node, both, values[0].signed, step)
    constant = -sum(w * value.zero_point for w, value in zip(weights, values, strict=True))
    linear = Linear(
        node=term.node,
        dense=False,
        input=joined.value,
        weight=np.tile(np.array(weights, np.int8).reshape(1, 2, 1, 1), (channels, 1, 1, 1)),
        bias=np.full(channels, constant, np.int64),
        offset=np.zeros(channels),
        scale=np.full(channels, step),
        groups=channels,
        order=tuple(np.arange(2 * channels).reshape(2, channels).T.reshape(-1).tolist()),
        low=term.low,
        high=term.high,
    )
    return quantize_conv(builder, node, linear, scale, signed, zero)


def ratio(left: float, right: float) -> tuple[tuple[int, int], float]:
    """((p, q), step): p * step is `left` and q * step `right`, as nearly as weights can say.

    The error of the larger operand is below 2^-13 of it, that of a much smaller one below half a
    step.
    """
    large, small = max(left, right), min(left, right)
    most = np.arange(1, MOST + 1)
    least = np.rint(most * (small / large))
    best = int(np.argmin(np.abs(least / most - small / large)))
    p, q = int(most[best]), int(least[best])
    gain = MOST // p
    p, q = p * gain, q * gain
    return ((p, q) if left >= right else (q, p)), large / p


def _of_one_type(builder: Builder, node: OpNode, left: str, right: str) -> tuple[str, str]:
    """The two maps as both int8 or both uint8: one is made again as the other's type, with a zero
    point 128 further."""
    if builder.values[left].signed == builder.values[right].signed:
        return left, right
    order = list(builder.nodes)

    def rank(name: str) -> tuple[bool, int]:
        return _remade(builder, name) is not None, order.index(name) if name in order else -1

    if rank(left) > rank(right):
        return _moved(builder, node, left), right
    return left, _moved(builder, node, right)


def _remade(builder: Builder, name: str) -> Linear | None:
    """The accumulator of a map that nothing has read yet and that has no score; else None."""
    linear = builder.convolutions.get(name)
    read = {value for item in builder.nodes.values() for value in ir.inputs_of(item)}
    read |= {
        term.value if isinstance(term, Mean | Window) else term.input
        for term in builder.terms.values()
        if isinstance(term, Mean | Window | Linear)
    }
    return linear if linear and linear.score is None and name not in read else None


def _moved(builder: Builder, node: OpNode, name: str) -> str:
    """The same numbers in codes of the other type."""
    value = builder.values[name]
    linear = _remade(builder, name)
    made, zero = builder.origin[name], value.zero_point + (MOVE if value.signed else -MOVE)
    if linear is None:  # a copy of it
        made = dataclasses.replace(node, outputs=(builder.fresh(f"{name}.moved"),))
        linear = identity(builder, node, name)
    else:
        made = dataclasses.replace(made, outputs=(name,))
    return quantize_conv(builder, made, linear, value.scale, not value.signed, zero).value
