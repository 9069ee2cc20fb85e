"""Conv, Gemm and MatMul: integer weights and bias of an accumulator."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.stored import shuffled_input, stored_input
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import Const, Linear, QuantConst, Term
from penstock.compiler.numerics import ACCUMULATOR_LIMIT

KERNELS = (1, 3, 5, 7)
#: A dequantised bias whose scale is s_in * s_w up to float32 rounding keeps its integers.
BIAS_SCALE_TOLERANCE = 1e-6


def lower_conv(builder: Builder, node: OpNode) -> Term:
    """Conv on a map; a 1x1 Conv on a pooled map, or behind such a one, is a dense layer."""
    source, order = shuffled_input(builder, node, 0)
    weight, scale = _weight(builder, node, output_axis=0)
    in_scale = builder.values[source].scale * scale
    bias = _bias(builder, node, in_scale)
    if isinstance(builder.nodes.get(source), ir.Pool | ir.Dense):
        if weight.shape[2:] != (1, 1) or node.attrs.get("group", 1) != 1:
            raise node.error("a convolution on a pooled map must be 1x1 without groups")
        flat = weight.reshape(weight.shape[:2])
        return Linear(node=node, dense=True, input=source, weight=flat, bias=bias, scale=in_scale)
    if len(builder.values[source].shape) != 3:
        raise node.error(f"its input '{source}' is not a map", "convolve maps or pooled vectors")
    stride = _geometry(builder, node, weight)
    groups = _groups(builder, node, source, weight)
    if order and groups == 1:  # its weights go along
        weight, order = weight[:, np.argsort(order)], ()
    return Linear(
        node=node,
        dense=False,
        input=source,
        weight=weight,
        bias=bias,
        scale=in_scale,
        stride=stride,
        groups=groups,
        order=order,
    )


def lower_gemm(builder: Builder, node: OpNode) -> Term:
    """Gemm (transB 0 or 1) and MatMul on a pooled vector, or on a dense layer's."""
    attrs = node.attrs
    if attrs.get("alpha", 1.0) != 1.0 or attrs.get("beta", 1.0) != 1.0 or attrs.get("transA", 0):
        raise node.error("only alpha = beta = 1 without transA is supported")
    source = stored_input(builder, node, 0)
    if not isinstance(builder.nodes.get(source), ir.Pool | ir.Dense):
        raise node.error(
            f"its input '{source}' is not a global average",
            "dense layers follow a GlobalAveragePool or a dense layer, and its quantiser",
        )
    transposed = bool(attrs.get("transB", 0))
    weight, scale = _weight(builder, node, output_axis=0 if transposed else 1)
    scale = builder.values[source].scale * scale
    bias = _bias(builder, node, scale)
    return Linear(node=node, dense=True, input=source, weight=weight, bias=bias, scale=scale)


def with_bias(builder: Builder, node: OpNode, linear: Linear, bias: Const | QuantConst) -> Linear:
    """The accumulator plus a constant per output channel, for Add after MatMul or Conv."""
    extra = bias.array if isinstance(bias, Const) else bias.integers
    if not one_per_output(builder, node, linear, extra.shape):
        raise node.error(f"adds a constant of shape {extra.shape}, not one number a channel")
    if linear.score or np.isfinite([linear.low, linear.high]).any():
        raise node.error("adds a constant after the activation or the gate score")
    flat = _real_bias(node, bias, linear.scale)
    total = linear.bias.astype(np.int64) + flat
    return dataclasses.replace(linear, bias=_int32(node, total))


def one_per_output(builder: Builder, node: OpNode, linear: Linear, shape: tuple[int, ...]) -> bool:
    """Whether a constant operand of `node` broadcasts to one number an output, or is one."""
    result = tuple(builder.net.shapes[node.output])
    if len(shape) > len(result):
        return False
    padded = (1,) * (len(result) - len(shape)) + tuple(shape)
    outputs = len(linear.bias)
    full = result if linear.dense else (1, outputs, 1, 1)
    single = all(size == 1 for size in padded)
    return (single or padded == full) and (not linear.dense or np.prod(result) == outputs)


def _weight(builder: Builder, node: OpNode, output_axis: int) -> tuple[Array, Array]:
    """(integers with the outputs first, one scale an output)."""
    term = builder.term(node.inputs[1])
    if not isinstance(term, QuantConst):
        raise node.error(
            "its weight is not a dequantised int8 constant",
            "quantise weights as int8 per output channel, or compile the float network with "
            "--calibration",
        )
    weight = term.integers
    if weight.dtype != np.int8:
        raise node.error(f"its weight is {weight.dtype}, not int8")
    outputs = weight.shape[output_axis]
    if term.scale.ndim and (term.axis % weight.ndim != output_axis or len(term.scale) != outputs):
        raise node.error(f"its weight scales are not per output channel (axis {output_axis})")
    integers = np.ascontiguousarray(np.moveaxis(weight, output_axis, 0))
    return integers, np.broadcast_to(term.scale, (outputs,)).astype(np.float64)


def _bias(builder: Builder, node: OpNode, scale: Array) -> Array:
    """The bias in accumulator steps, int32; zeros if absent."""
    name = node.optional_input(2)
    if not name:
        return np.zeros(len(scale), dtype=np.int32)
    return _int32(node, _real_bias(node, builder.term(name), scale))


def _real_bias(node: OpNode, term: Term, scale: Array) -> Array:
    """A constant, float or dequantised, in steps of `scale`: int64 (n,), half to even."""
    if not isinstance(term, Const | QuantConst):
        raise node.error("its bias is not a constant")
    stored = (term.array if isinstance(term, Const) else term.integers).reshape(-1)
    if stored.size not in (1, len(scale)):
        raise node.error(f"its bias has {stored.size} elements for {len(scale)} outputs")
    real = stored.astype(np.float64)
    if isinstance(term, QuantConst):
        same = np.allclose(term.scale, scale, rtol=BIAS_SCALE_TOLERANCE, atol=0.0)
        if same and stored.dtype == np.int32:
            return np.broadcast_to(stored, scale.shape).astype(np.int64)
        real = real * term.scale
    steps = np.rint(real / scale)
    worst = int(np.argmax(np.abs(steps)))
    if abs(steps[worst]) >= ACCUMULATOR_LIMIT:
        raise node.error(
            f"accumulator could overflow: the bias of channel {worst} is {steps[worst]:.4g} steps",
            "its weights are (nearly) zero: use a larger weight scale for the channel",
        )
    return np.asarray(steps.astype(np.int64))


def _int32(node: OpNode, bias: Array) -> Array:
    worst = int(np.argmax(np.abs(bias)))
    if abs(int(bias[worst])) >= ACCUMULATOR_LIMIT:
        raise node.error(f"accumulator could overflow: the bias of channel {worst} exceeds int32")
    return bias.astype(np.int32)


def _geometry(builder: Builder, node: OpNode, weight: Array) -> int:
    """The stride, after checking everything the core fixes."""
    attrs = node.attrs
    rows, columns = weight.shape[2], weight.shape[3]
    if rows != columns or rows not in KERNELS:
        raise node.error(f"has a {rows}x{columns} kernel", "kernels are 1x1, 3x3, 5x5 or 7x7")
    if list(attrs.get("kernel_shape", weight.shape[2:])) != list(weight.shape[2:]):
        raise node.error(
            f"has kernel_shape {attrs['kernel_shape']}, its weight is {rows}x{columns}"
        )
    if any(step != 1 for step in attrs.get("dilations", [1, 1])):
        raise node.error("is dilated", "dilated convolutions are not supported")
    strides = list(attrs.get("strides", [1, 1]))
    if strides not in ([1, 1], [2, 2]):
        raise node.error(f"has strides {strides}", "strides are 1 or 2, equal both ways")
    _check_padding(builder, node, rows, strides[0])
    return int(strides[0])


def _groups(builder: Builder, node: OpNode, source: str, weight: Array) -> int:
    """The groups, after checking that they divide both sides."""
    groups = int(node.attrs.get("group", 1))
    inputs, outputs = builder.values[source].shape[0], len(weight)
    if groups < 1 or outputs % groups or inputs != groups * weight.shape[1]:
        raise node.error(
            f"has {groups} groups for {inputs} -> {outputs} channels, its weight has "
            f"{weight.shape[1]} inputs",
            "inputs and outputs are multiples of the groups",
        )
    return groups


def _check_padding(builder: Builder, node: OpNode, kernel: int, stride: int) -> None:
    """Padding must be K // 2 on every side."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    hint = f"pad by {kernel // 2} on every side"
    if mode == "NOTSET":
        pads = list(node.attrs.get("pads", [0, 0, 0, 0]))
        if pads != [kernel // 2] * 4:
            raise node.error(f"has pads {pads} for a {kernel}x{kernel} kernel", hint)
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        for size in builder.map_shape(node.inputs[0])[1:]:
            if max(0, (-(-size // stride) - 1) * stride + kernel - size) != kernel - 1:
                raise node.error(f"{mode} pads a map of {size} with stride {stride} unevenly", hint)
    elif kernel != 1:
        raise node.error(f"has auto_pad {mode}", hint)
