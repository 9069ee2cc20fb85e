"""MaxPool and AveragePool: windows of a map."""

import math

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.stored import stored_input
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Mean, Stored, Term, Window
from penstock.compiler.numerics import type_range

MAX_KERNEL = 7


def lower_average_pool(builder: Builder, node: OpNode) -> Term:
    """The average of the whole map, or of its windows; a quantiser follows."""
    value = stored_input(builder, node, 0)
    shape = builder.values[value].shape
    if list(node.attrs["kernel_shape"]) == list(shape[1:]) and not any(node.attrs.get("pads", [])):
        return Mean(node=node, value=value)
    kernel, stride, pad = _geometry(builder, node, value)
    if pad and not node.attrs.get("count_include_pad", 0):
        raise node.error("averages without its padding", "set count_include_pad, or do not pad")
    return Window(node=node, value=value, kernel=kernel, stride=stride, pad=pad)


def lower_max_pool(builder: Builder, node: OpNode) -> Term:
    """The greatest integer is the greatest value: the result keeps scale and type."""
    value = stored_input(builder, node, 0)
    kernel, stride, pad = _geometry(builder, node, value)
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
    return builder.add_node(node, item, source.signed, source.scale)


def quantize_window(
    builder: Builder, node: OpNode, term: Window, scale: float, signed: bool
) -> Stored:
    """The average, quantised by `node`: the number of pixels is part of the multiplier."""
    real = builder.values[term.value].scale / (scale * term.kernel**2)
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
    return builder.add_node(node, item, signed, scale)


def _geometry(builder: Builder, node: OpNode, value: str) -> tuple[int, int, int]:
    """(kernel, stride, padding), after checking everything the core fixes."""
    shape = builder.values[value].shape
    if len(shape) != 3:
        raise node.error(f"'{value}' is not a map")
    attrs = node.attrs
    kernels = list(attrs["kernel_shape"])
    kernel = int(kernels[0])
    if kernels != [kernel, kernel] or kernel > MAX_KERNEL:
        text = "x".join(map(str, kernels))
        raise node.error(
            f"has a {text} kernel", f"kernels are square, {MAX_KERNEL}x{MAX_KERNEL} at most"
        )
    if any(step != 1 for step in attrs.get("dilations", [1, 1])):
        raise node.error("is dilated", "dilated pools are not supported")
    strides = list(attrs.get("strides", [1, 1]))
    if strides not in ([1, 1], [2, 2]):
        raise node.error(f"has strides {strides}", "strides are 1 or 2, equal both ways")
    stride = int(strides[0])
    pad = _padding(node, kernel)
    # ceil_mode and auto_pad matter where they change the size.
    size = [(side + 2 * pad - kernel) // stride + 1 for side in shape[1:]]
    if min(size) < 1 or size != list(builder.map_shape(node.output)[1:]):
        raise node.error(
            f"makes {builder.map_shape(node.output)[1:]} of {shape[1:]}",
            "pad equally on every side, without ceil_mode",
        )
    return kernel, stride, pad


def _padding(node: OpNode, kernel: int) -> int:
    """The padding of every side, less than half the kernel."""
    pads = list(node.attrs.get("pads", [0, 0, 0, 0]))
    if node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.error(f"has auto_pad {node.attrs['auto_pad']}", "give explicit pads")
    most = math.ceil(kernel / 2) - 1
    if pads != [pads[0]] * 4 or not 0 <= pads[0] <= most:
        raise node.error(
            f"has pads {pads} for a {kernel}x{kernel} kernel", f"pad every side by at most {most}"
        )
    return int(pads[0])
