"""MaxPool and AveragePool: windows of a map."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.linear import identity
from penstock.compiler.importer.lower.scales import zero_point_error
from penstock.compiler.importer.lower.stored import stored_input
from penstock.compiler.importer.lower.windows import padding, pool_window
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Mean, Stored, Term, Window
from penstock.compiler.numerics import type_range


def lower_average_pool(builder: Builder, node: OpNode) -> Term:
    """The average of the whole map, or of its windows; a quantiser follows."""
    value = _map(builder, node, zero=True)
    kernels, sides = list(node.attrs["kernel_shape"]), list(builder.values[value].shape[1:])
    plain = all(step == 1 for step in node.attrs.get("dilations", [1]))
    if kernels == sides and plain and not any(padding(builder, node, kernels)):
        if builder.map_shape(node.output)[1:] == (1, 1):
            return Mean(node=node, value=value)
    kernel, stride, pad = pool_window(builder, node, builder.values[value].shape)
    if pad and (point := builder.values[value].zero_point):
        raise zero_point_error(builder.origin[value], point)
    if pad and not node.attrs.get("count_include_pad", 0):
        raise node.error("averages without its padding", "set count_include_pad, or do not pad")
    if kernel == 1:  # every pixel by itself: a convolution of every channel by itself
        return dataclasses.replace(identity(builder, node, value), stride=stride)
    return Window(node=node, value=value, kernel=kernel, stride=stride, pad=pad)


def lower_max_pool(builder: Builder, node: OpNode) -> Term:
    """The greatest integer is the greatest value: the result keeps scale, type and zero point."""
    value = _map(builder, node, zero=True)
    kernel, stride, pad = pool_window(builder, node, builder.values[value].shape)
    item = ir.MapPool(
        name=node.label,
        input=value,
        output=node.output,
        kernel=kernel,
        stride=stride,
        pad=pad,
        clamp=builder.integer_range(value),
    )
    source = builder.values[value]
    return builder.add_node(node, item, source.signed, source.scale, source.zero_point)


def quantize_window(
    builder: Builder, node: OpNode, term: Window, scale: float, signed: bool, zero: int = 0
) -> Stored:
    """The average, quantised by `node`: the number of pixels is part of the multiplier."""
    source = builder.values[term.value]
    if (zero or source.zero_point) and (source.scale, source.zero_point) != (scale, zero):
        raise zero_point_error(node, zero or source.zero_point)
    real = source.scale / (scale * term.kernel**2)
    item = ir.MapPool(
        name=term.node.label,
        input=term.value,
        output=node.output,
        kernel=term.kernel,
        stride=term.stride,
        pad=term.pad,
        clamp=type_range(signed),
        average=builder.requantize(node, np.array([real])),
    )
    return builder.add_node(node, item, signed, scale, zero)


def _map(builder: Builder, node: OpNode, *, zero: bool = False) -> str:
    """The integer map that a pool reads; `zero`: it may have a zero point."""
    value = stored_input(builder, node, 0, zero=zero)
    if len(builder.values[value].shape) != 3:
        raise node.error(f"'{value}' is not a map")
    return value
