"""Conv, Gemm and MatMul: integer weights and bias of an accumulator."""

import dataclasses
import math

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.kernels import core_kernel, whole_map
from penstock.compiler.importer.lower.layers.stack import stacked
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.shapes import check_vector
from penstock.compiler.importer.lower.values.stored import ordered_input
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import Const, Linear, QuantConst, Term

#: A dequantised bias whose scale is s_in * s_w up to float32 rounding keeps its integers.
BIAS_SCALE_TOLERANCE = 1e-6


def lower_conv(builder: Builder, node: OpNode) -> Term:
    """Conv on a map; a 1x1 Conv on a pooled map, or behind such a one, is a dense layer."""
    source, order = ordered_input(builder, node, 0, zero=True)
    weight, scale = _weight(builder, node, output_axis=0, rank=4)
    shape = builder.values[source].shape
    dense = builder.is_vector(source)
    if not dense and len(shape) != 3:
        raise node.error(f"its input '{source}' is not a map", "convolve maps or pooled vectors")
    if dense and (weight.shape[2:] != (1, 1) or node.attrs.get("group", 1) != 1):
        raise node.error("a convolution on a pooled map must be 1x1 without groups")
    if dense:
        check_vector(builder, node, 0, axis=1)
    if not dense and whole_map(builder, node, weight):
        weight, pixels, placed = _flat(weight, order), shape[1] * shape[2], None
        order = ()
    else:
        stack = None if dense else stacked(builder, node, source, weight, order)
        if stack is not None:
            source, order, placed, pixels = stack.source, stack.order, stack.placed, 1
        else:
            placed, pixels = core_kernel(builder, node, weight), 1
        weight = placed.weight
    if dense and placed and (weight.shape[2:] != (1, 1) or placed.border or placed.part):
        raise node.error("has pads, and its input is one pixel", "leave them out")
    groups = _groups(builder, node, source, weight, pixels)
    if order and groups == 1:  # its weights go along
        weight, order = weight[:, np.argsort(order)], ()
    in_scale = builder.values[source].scale * scale
    bias, offset = _bias(builder, node, in_scale)
    bias = bias - _of_zero_point(builder, source, weight)
    if placed and placed.border:
        source = framed(builder, node, source, placed.border, f"{node.output}.border").value
    return Linear(
        node=node,
        dense=dense,
        input=source,
        weight=weight.reshape(weight.shape[:2]) if dense else weight,
        bias=bias,
        offset=offset,
        scale=in_scale,
        stride=placed.stride if placed and not dense else 1,
        groups=groups,
        order=order,
        pixels=pixels,
        part=placed.part if placed else None,
    )


def _of_zero_point(builder: Builder, source: str, weight: Array) -> Array:
    """What the zero point of the input adds to each sum, in steps of the accumulator; off the map
    the core reads it as well."""
    value = builder.values[source]
    return value.zero_point * weight.reshape(len(weight), -1).astype(np.int64).sum(axis=1)


def _flat(weight: Array, order: tuple[int, ...]) -> Array:
    """A kernel as large as its map as one of 1x1 on a map of as many channels as pixels."""
    weight = weight[:, np.argsort(order)] if order else weight
    return weight.reshape(len(weight), -1, 1, 1)


def lower_gemm(builder: Builder, node: OpNode) -> Term:
    """Gemm (transB 0 or 1) and MatMul on a pooled vector, or on a dense layer's."""
    attrs = node.attrs
    if attrs.get("alpha", 1.0) != 1.0 or attrs.get("beta", 1.0) != 1.0 or attrs.get("transA", 0):
        raise node.error("only alpha = beta = 1 without transA is supported")
    source, order = ordered_input(builder, node, 0, zero=True)
    if not builder.is_vector(source):
        raise node.error(
            f"its input '{source}' is not a global average",
            "dense layers follow a GlobalAveragePool or a dense layer, and its quantiser",
        )
    check_vector(builder, node, 0, axis=-1)
    transposed = bool(attrs.get("transB", 0))
    weight, scale = _weight(builder, node, output_axis=0 if transposed else 1, rank=2)
    weight = weight[:, np.argsort(order)] if order else weight
    scale = builder.values[source].scale * scale
    bias, offset = _bias(builder, node, scale)
    bias = bias - _of_zero_point(builder, source, weight)
    return Linear(
        node=node,
        dense=True,
        input=source,
        weight=weight,
        bias=bias,
        offset=offset,
        scale=scale,
    )


def identity(builder: Builder, node: OpNode, value: str) -> Linear:
    """The accumulator of an integer map itself: weight 1, each channel of its own, its zero point
    in the bias."""
    source = builder.values[value]
    channels = source.shape[0]
    return Linear(
        node=node,
        dense=False,
        input=value,
        weight=np.ones((channels, 1, 1, 1), np.int8),
        bias=np.full(channels, -source.zero_point, np.int64),
        offset=np.zeros(channels),
        scale=np.full(channels, source.scale),
        groups=channels,
    )


def dense_identity(builder: Builder, node: OpNode, value: str) -> Linear:
    """The same of a vector: a dense layer that takes each element as it is."""
    source = builder.values[value]
    (elements,) = source.shape
    return Linear(
        node=node,
        dense=True,
        input=value,
        weight=np.eye(elements, dtype=np.int8),
        bias=np.full(elements, -source.zero_point, np.int64),
        offset=np.zeros(elements),
        scale=np.full(elements, source.scale),
    )


def with_bias(builder: Builder, node: OpNode, linear: Linear, bias: Const | QuantConst) -> Linear:
    """The accumulator plus a constant per output channel, for Add after MatMul or Conv."""
    extra = bias.array if isinstance(bias, Const) else bias.integers
    if not one_per_output(builder, node, linear, extra.shape):
        raise node.error(f"adds a constant of shape {extra.shape}, not one number a channel")
    if linear.score or np.isfinite([linear.low, linear.high]).any():
        raise node.error("adds a constant after the activation or the gate score")
    steps, offset = _parts(node, bias, linear.scale)
    return dataclasses.replace(linear, bias=linear.bias + steps, offset=linear.offset + offset)


def one_per_output(builder: Builder, node: OpNode, linear: Linear, shape: tuple[int, ...]) -> bool:
    """Whether a constant operand of `node` broadcasts to one number an output, or is one."""
    result = tuple(builder.net.shapes[node.output])
    if len(shape) > len(result):
        return False
    padded = (1,) * (len(result) - len(shape)) + tuple(shape)
    outputs = len(linear.bias)
    vector = linear.dense or math.prod(result) == outputs
    full = result if vector else (1, outputs, 1, 1)
    single = all(size == 1 for size in padded)
    return (single or padded == full) and (not linear.dense or np.prod(result) == outputs)


def _weight(builder: Builder, node: OpNode, output_axis: int, rank: int) -> tuple[Array, Array]:
    """(integers with the outputs first, one scale an output); `rank` is the weight's, where
    leading dimensions of size 1 do not count."""
    term = builder.term(node.inputs[1])
    if not isinstance(term, QuantConst):
        raise node.error(
            "its weight is not a dequantised int8 constant",
            "quantise weights as int8 per output channel, or compile the float network with "
            "--calibration",
        )
    weight, extra = term.integers, term.integers.ndim - rank
    if not weight.size:
        raise node.error(f"its weight has shape {weight.shape}: no elements", "export it again")
    if weight.dtype == np.int16:
        raise next(maker for maker in builder.net.nodes if node.inputs[1] in maker.outputs).error(
            f"its integers are {weight.min()} .. {weight.max()} from the zero point, int8 holds "
            "-128 .. 127",
            "quantise weights symmetrically",
        )
    if weight.dtype != np.int8:
        raise node.error(f"its weight is {weight.dtype}, not int8")
    if extra < 0 or any(size != 1 for size in weight.shape[:extra]):
        raise node.error(f"its weight has shape {weight.shape}, of {rank} dimensions is expected")
    weight = weight.reshape(weight.shape[extra:])
    outputs: int = weight.shape[output_axis]
    if term.scale.ndim and (term.axis - extra != output_axis or len(term.scale) != outputs):
        raise node.error(f"its weight scales are not per output channel (axis {output_axis})")
    integers = np.ascontiguousarray(np.moveaxis(weight, output_axis, 0))
    return integers, np.broadcast_to(term.scale, (outputs,)).astype(np.float64)


def _bias(builder: Builder, node: OpNode, scale: Array) -> tuple[Array, Array]:
    """The bias as a term has it: (steps of the accumulator int64, real part); zeros if absent."""
    name = node.optional_input(2)
    if not name:
        return np.zeros(len(scale), np.int64), np.zeros(len(scale))
    return _parts(node, builder.term(name), scale)


def _parts(node: OpNode, term: Term, scale: Array) -> tuple[Array, Array]:
    """A constant, float or dequantised, as whole steps of `scale` and a real part, each (n,).

    Integers whose scale is that of the accumulator but for its rounding to float32 stay as they
    are.
    """
    if not isinstance(term, Const | QuantConst):
        raise node.error("its bias is not a constant")
    stored = (term.array if isinstance(term, Const) else term.integers).reshape(-1)
    if stored.size not in (1, len(scale)):
        raise node.error(f"its bias has {stored.size} elements for {len(scale)} outputs")
    real = np.broadcast_to(stored.astype(np.float64), scale.shape)
    if not np.isfinite(real).all():
        raise node.error("its bias holds infinity")
    if isinstance(term, QuantConst):
        scales = np.broadcast_to(term.scale.reshape(-1), scale.shape)
        apart = np.abs(scales / scale - 1.0)
        same = (apart <= BIAS_SCALE_TOLERANCE) & (np.abs(real) * apart <= 0.5)
        if stored.dtype == np.int32:
            return np.where(same, real, 0).astype(np.int64), np.where(same, 0.0, real * scales)
        real = real * scales
    return np.zeros(len(scale), np.int64), real.copy()


def _groups(builder: Builder, node: OpNode, source: str, weight: Array, pixels: int) -> int:
    """The groups, after checking that they divide both sides."""
    groups = int(node.attrs.get("group", 1))
    inputs, outputs = builder.values[source].shape[0] * pixels, len(weight)
    if groups < 1 or outputs % groups or inputs != groups * weight.shape[1]:
        raise node.error(
            f"has {groups} groups for {inputs} -> {outputs} channels, its weight has "
            f"{weight.shape[1]} inputs",
            "inputs and outputs are multiples of the groups",
        )
    return groups
