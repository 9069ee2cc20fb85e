"""MaxPool and AveragePool: windows of a map."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.linear import identity
from penstock.compiler.importer.lower.layers.windows import PoolWindows, padding, pool_windows
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.scales import zero_point_error
from penstock.compiler.importer.lower.values.stored import stored_input
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Mean, Stored, Term, Window
from penstock.compiler.numerics import type_range


def lower_average_pool(builder: Builder, node: OpNode) -> Term:
    """The average of the whole map, or of its windows; a quantiser follows."""
    value = _map(builder, node, zero=True)
    kernels, sides = list(node.attrs["kernel_shape"]), list(builder.values[value].shape[1:])
    plain = all(step == 1 for step in node.attrs.get("dilations", [1]))
    if kernels == sides and plain and not any(padding(builder.net, node, kernels)):
        if builder.map_shape(node.output)[1:] == (1, 1):
            return Mean(node=node, value=value)
    windows = pool_windows(builder, node, builder.values[value].shape[1:])
    if windows.pad and (point := builder.values[value].zero_point):
        raise zero_point_error(builder.origin[value], point)
    if windows.outside and not node.attrs.get("count_include_pad", 0):
        raise node.error(
            "averages over fewer pixels at the border",
            "set count_include_pad, or let no window leave the map",
        )
    if windows.beyond:
        raise node.error("averages windows that its padding does not fill", "leave ceil_mode out")
    if windows.kernel == 1:  # every pixel by itself: a convolution of every channel by itself
        alone = identity(builder, node, value)
        return dataclasses.replace(alone, stride=windows.stride, part=windows.part)
    return Window(node=node, value=value, windows=windows)


def lower_max_pool(builder: Builder, node: OpNode) -> Term:
    """The greatest integer is the greatest value: the result keeps scale, type and zero point."""
    value = _map(builder, node, zero=True)
    windows = pool_windows(builder, node, builder.values[value].shape[1:])
    low, _ = clamp = builder.integer_range(value)
    source = builder.values[value]
    return _pool(builder, node, node, value, windows, clamp, source, fill=low)


def quantize_window(
    builder: Builder, node: OpNode, term: Window, scale: float, signed: bool, zero: int = 0
) -> Stored:
    """The average, quantised by `node`: the number of pixels is part of the multiplier."""
    source = builder.values[term.value]
    if (zero or source.zero_point) and (source.scale, source.zero_point) != (scale, zero):
        raise zero_point_error(node, zero or source.zero_point)
    average = builder.requantize(node, np.array([source.scale / (scale * term.windows.kernel**2)]))
    made = dataclasses.replace(source, scale=scale, signed=signed, zero_point=zero)
    clamp = type_range(signed)
    return _pool(builder, node, term.node, term.value, term.windows, clamp, made, average=average)


def _pool(
    builder: Builder,
    node: OpNode,
    layer: OpNode,
    value: str,
    windows: PoolWindows,
    clamp: tuple[int, int],
    made: ir.Value,
    *,
    average: ir.Requantize | None = None,
    fill: int | None = None,
) -> Stored:
    """The pool that `layer` is, of what `value` is with a border of `fill`, or of the code of 0;
    `node` makes its result, of the scale, type and zero point of `made`."""
    if windows.border:
        name = f"{node.output}.border"
        value = framed(builder, node, value, windows.border, name, fill=fill).value
    output = builder.fresh(f"{node.output}.whole") if windows.part else node.output
    item = ir.MapPool(
        name=layer.label,
        input=value,
        output=output,
        kernel=windows.kernel,
        stride=windows.stride,
        pad=windows.pad,
        clamp=clamp,
        average=average,
    )
    stored = builder.add_node(node, item, made.signed, made.scale, made.zero_point)
    if windows.part:
        return framed(builder, node, stored.value, windows.part, node.output)
    return stored


def _map(builder: Builder, node: OpNode, *, zero: bool = False) -> str:
    """The integer map that a pool reads; `zero`: it may have a zero point."""
    value = stored_input(builder, node, 0, zero=zero)
    if len(builder.values[value].shape) != 3:
        raise node.error(f"'{value}' is not a map")
    return value
