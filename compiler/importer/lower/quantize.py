"""QuantizeLinear: a term becomes an integer value.  DequantizeLinear: it becomes real again."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.axes import axis_of
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.curves.apply import apply
from penstock.compiler.importer.keys import frozen
from penstock.compiler.importer.lower.concat import concat_values
from penstock.compiler.importer.lower.curves import MOVE, curve_of_value, quantize_curve
from penstock.compiler.importer.lower.gates import is_relu1, make_gate
from penstock.compiler.importer.lower.layers.bias import fit
from penstock.compiler.importer.lower.layers.convolution import make_conv, quantize_conv
from penstock.compiler.importer.lower.layers.linear import identity
from penstock.compiler.importer.lower.layers.map_pool import quantize_window
from penstock.compiler.importer.lower.loose import source_steps
from penstock.compiler.importer.lower.residual import lower_sum
from penstock.compiler.importer.lower.values.scales import (
    activation_scale,
    codes_of,
    integer_bounds,
    quantized_codes,
    read_scale,
    scale_text,
    unequal_scales,
    zero_point_error,
)
from penstock.compiler.importer.lower.values.stored import (
    in_order,
    limited,
    pending,
    settle,
    simplest,
)
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import (
    Binary,
    Const,
    Function,
    Image,
    Joined,
    Linear,
    Logistic,
    Loose,
    Mean,
    Pending,
    QuantConst,
    Stored,
    Sum,
    Term,
    Window,
)
from penstock.compiler.numerics import SCORE_SCALE, codes_of_bytes, type_range

#: How far a code may be from 1 that stands for it, relatively: scales are float32.
ONE_TOLERANCE = 1e-6
#: A wide map's largest number, and its steps in one of the map's that it is of, whose numbers are
#: at most CODES from the zero point.
WIDEST, FINER, CODES = (1 << 15) - 1, 64, 255


def lower_quantize(builder: Builder, node: OpNode) -> Term:
    """The integer value a quantiser makes; equal quantisers of one tensor make one value."""
    scale, (signed, zero) = activation_scale(builder, node), quantized_codes(builder, node)
    term = builder.term(node.inputs[0])
    if isinstance(term, Binary) and _has_one(scale, signed, zero) and not term.tie:
        return term
    return _quantized(builder, node, term, scale, signed, zero)


def _has_one(scale: float, signed: bool, zero: int) -> bool:
    """Whether codes have 0 and, within float32, 1: what a comparison gives stays what it is."""
    least, greatest = type_range(signed)
    one = round(1 / scale) + zero
    exact = abs((one - zero) * scale - 1) <= ONE_TOLERANCE
    return exact and least <= one <= greatest and scale != SCORE_SCALE


def _quantized(
    builder: Builder, node: OpNode, term: Term, scale: float, signed: bool, zero: int = 0
) -> Stored | Pending:
    """The term, quantised once."""
    # Every gate may have an average of its own: one Pool serves them all.
    source = ("mean", term.value) if isinstance(term, Mean) else ("term", frozen(term))
    key = (*source, scale, signed, zero)
    if key not in builder.made:
        builder.made[key] = _quantize(builder, node, term, scale, signed, zero)
    return builder.made[key]


def lower_dequantize(builder: Builder, node: OpNode) -> Term:
    """Weights and biases stay integers; an activation must be read at its own scale."""
    term = builder.term(node.inputs[0])
    if isinstance(term, Const):
        return _constant(builder, node, term.array)
    if isinstance(term, Binary):  # 0 and 1, whatever their codes are
        return term
    scale = activation_scale(builder, node)
    if isinstance(term, Image):
        kind = builder.net.types[node.inputs[0]]
        if kind == "float32":
            raise node.error("dequantises a float tensor")
        signed, zero = codes_of(builder, node, kind)
        if signed != (kind == "int8"):
            raise node.error(
                "the image's codes have a zero point", "let the network take int8, or uint8 from 0"
            )
        return _image(builder, node, term, scale, signed, zero)
    if not isinstance(term, Stored | Pending):
        raise node.error("its input is not an 8-bit tensor")
    value = builder.values[term.value]
    if value.scale != scale:
        hint = "dequantise with the scale of the quantiser"
        raise unequal_scales(builder, node, value.name, scale, hint)
    signed, zero = codes_of(builder, node, builder.net.types[node.inputs[0]])
    if zero - value.zero_point != 128 * (value.signed - signed):  # codes of the other type: moved
        raise node.error(
            f"its zero point is not that of the quantiser '{builder.origin[value.name].label}'",
            "dequantise with the quantiser's",
        )
    settled = limited(builder, node, term, node.inputs[0], zero=True)
    return simplest(Pending(value=settled, order=pending(term).order))


def _constant(builder: Builder, node: OpNode, integers: Array) -> QuantConst:
    """A dequantised constant; a vector has but one axis, whatever the node says."""
    scale = read_scale(builder, node)
    axis = axis_of(builder.net, node) if scale.ndim and integers.ndim > 1 else 0
    if scale.ndim and integers.shape[axis] != len(scale):
        raise node.error(f"has {len(scale)} scales for {integers.shape[axis]} channels")
    return QuantConst(integers=_centred(builder, node, integers, axis), scale=scale, axis=axis)


def _centred(builder: Builder, node: OpNode, integers: Array, axis: int) -> Array:
    """The integers without their zero point: int8 where they fit, else int16, which weights may
    not be."""
    zero = builder.constant(node, 2, "zero point")
    if integers.dtype not in (np.int8, np.uint8):
        if zero is not None and zero.any():
            raise node.error("a constant of more than 8 bits has a zero point", "leave it out")
        return integers
    zero = np.zeros((), np.int64) if zero is None else zero.astype(np.int64)
    if zero.size > 1 and integers.ndim > 1:
        zero = zero.reshape([-1 if i == axis else 1 for i in range(integers.ndim)])
    centred = integers.astype(np.int64) - (zero if zero.size > 1 else zero.reshape(()))
    low, high = (int(centred.min()), int(centred.max())) if centred.size else (0, 0)
    return centred.astype(np.int8 if low >= -128 and high <= 127 else np.int16)


def _quantize(
    builder: Builder, node: OpNode, term: Term, scale: float, signed: bool, zero: int
) -> Stored | Pending:
    """The codes of a term.  A zero point is part of the bias of what makes them.

    Raises:
        CompileError: nothing has a bias to hold the zero point, or a score would scale it.
    """
    match term:
        case Image():
            return _image(builder, node, term, scale, signed, zero)
        case Stored() | Pending():
            return _requantize(builder, node, pending(term), scale, signed, zero)
        case Function():
            return quantize_curve(builder, node, term, scale, signed, zero)
        case Loose():
            return _loose(builder, node, term, scale, signed, zero)
        case Mean():
            return _pool(builder, node, term, scale, signed, zero)
        case Window():
            return quantize_window(builder, node, term, scale, signed, zero)
        case Joined():
            return _joined(builder, node, term, scale, signed, zero)
        case Sum():
            return lower_sum(builder, node, term, scale, signed, zero)
        case Linear(dense=False):
            return quantize_conv(builder, node, term, scale, signed, zero)
        case Linear() | Binary() | Logistic():
            return _vector(builder, node, term, scale, signed, zero)
    raise node.error(f"cannot quantise '{node.inputs[0]}'")


def _joined(
    builder: Builder, node: OpNode, term: Joined, scale: float, signed: bool, zero: int
) -> Stored:
    """Each operand quantised alone, as the quantiser behind the Concat does: then they are joined.

    One that was quantised before the Concat with other steps is rescaled.
    """
    values = []
    for index, (name, operand) in enumerate(term.parts):
        alone = dataclasses.replace(node, outputs=(builder.fresh(f"{node.output}.part{index}"),))
        part = _quantized(builder, alone, operand, scale, signed, zero)
        values.append(settle(builder, node, part, name, zero=True).value)
    return concat_values(builder, term.node, values, node.output)


def _image(
    builder: Builder, node: OpNode, term: Image, scale: float, signed: bool, zero: int = 0
) -> Stored:
    """The network input, quantised by the host."""
    known = builder.values.get(term.name)
    codes = scale, signed, zero
    if known is not None and (known.scale, known.signed, known.zero_point) != codes:
        raise unequal_scales(builder, node, term.name, scale, "quantise the image once")
    if known is not None:
        return Stored(value=term.name)
    shape = builder.map_shape(term.name)
    value = ir.Value(name=term.name, shape=shape, signed=signed, scale=scale, zero_point=zero)
    return builder.add_value(node, value)


def _requantize(
    builder: Builder, node: OpNode, term: Pending, scale: float, signed: bool, zero: int
) -> Stored | Pending:
    """Quantising a dequantised value again, which may only narrow it; its order stays."""
    value, (least, greatest) = builder.values[term.value], type_range(signed)
    curve = curve_of_value(builder, node, term)
    if curve is not None and not _same_codes(value, scale, signed, zero):
        return quantize_curve(builder, node, curve, scale, signed, zero)
    low, high = builder.integer_range(term.value)
    retyped = value.signed != signed and not (least <= low and high <= greatest)
    pooled = retyped and isinstance(builder.nodes.get(term.value), ir.MapPool | ir.Concat)
    if (value.scale, value.zero_point) != (scale, zero) or pooled:
        return _rescaled(builder, node, term, scale, signed, zero)
    zero, signed = value.zero_point, value.signed if curve is not None else signed
    bounds = integer_bounds(term.low, term.high, scale, signed, zero)
    name = in_order(builder, term, node.output)
    narrowed = builder.narrow(node, term.value, bounds, signed, name)
    return simplest(Pending(value=narrowed.value, order=term.order))


def _same_codes(value: ir.Value, scale: float, signed: bool, zero: int) -> bool:
    """Whether a value has a quantiser's steps, in codes of its type or moved to the other's."""
    return value.scale == scale and zero - value.zero_point == MOVE * (value.signed - signed)


def _loose(
    builder: Builder, node: OpNode, term: Loose, scale: float, signed: bool, zero: int
) -> Stored:
    """A function of an accumulator: that is quantised as finely as the function's codes ask for."""
    steps, negative = source_steps(builder, term, scale, signed, zero)
    before = dataclasses.replace(node, outputs=(builder.fresh(f"{node.output}.input"),))
    made = _quantized(builder, before, term.source, steps, negative)
    value = settle(builder, before, made, before.output).value
    codes = codes_of_bytes(builder.values[value].signed)
    real = apply(builder.net, builder.curves, term.name, codes * steps)
    curve = Function(node=term.node, value=value, real=real)
    return quantize_curve(builder, node, curve, scale, signed, zero)


def _rescaled(
    builder: Builder, node: OpNode, term: Pending, scale: float, signed: bool, zero: int
) -> Stored | Pending:
    """A stored map in steps of another scale, or with another zero point: a convolution of every
    channel by itself.

    Quantised, clipped, quantised again: both roundings stay what they are.
    """
    if len(builder.values[term.value].shape) != 3 or term.value == builder.net.input:
        hint = "remove one of the two quantisers"
        raise unequal_scales(builder, node, term.value, scale, hint)
    conv = dataclasses.replace(identity(builder, node, term.value), low=term.low, high=term.high)
    named = dataclasses.replace(node, outputs=(in_order(builder, term, node.output),))
    made = quantize_conv(builder, named, conv, scale, signed, zero)
    return simplest(Pending(value=made.value, order=term.order))


def _pool(
    builder: Builder, node: OpNode, term: Mean, scale: float, signed: bool, zero: int = 0
) -> Stored:
    source = builder.values[term.value]
    if (zero or source.zero_point) and (source.scale, source.zero_point) != (scale, zero):
        source = _without_zero_point(builder, node, term, zero * scale)
    real = source.scale / (scale * source.shape[1] * source.shape[2])
    factor = builder.requantize(node, np.array([real]))
    item = ir.Pool(
        name=term.node.label,
        input=source.name,
        output=node.output,
        multiplier=int(factor.multiplier[0]),
        shift=int(factor.shift[0]),
    )
    return builder.add_node(node, item, signed, scale, zero)


def _without_zero_point(builder: Builder, node: OpNode, term: Mean, offset: float) -> ir.Value:
    """A map plus `offset`, in finer steps and 16 bits, for its sums alone, which begin at 0."""
    linear, scale = identity(builder, node, term.value), builder.values[term.value].scale
    moved = dataclasses.replace(linear, node=term.node, offset=linear.offset + offset)
    finer = min(FINER, int(WIDEST / (CODES + abs(offset) / scale)))
    if finer == 0:
        raise zero_point_error(node, round(offset / scale))
    name, clamp = builder.fresh(f"{node.output}.wide"), (-WIDEST - 1, WIDEST)
    named = dataclasses.replace(node, outputs=(name,))
    item = make_conv(builder, named, moved, scale / finer, clamp)
    builder.add_node(node, item, True, scale / finer)
    builder.values[name] = dataclasses.replace(builder.values[name], wide=True)
    return builder.values[name]


def _vector(
    builder: Builder,
    node: OpNode,
    term: Linear | Binary | Logistic,
    scale: float,
    signed: bool,
    zero: int,
) -> Stored:
    """A gate if it is quantised as scores are, else a dense layer."""
    score = not signed and scale == SCORE_SCALE and not zero
    if score and (isinstance(term, Binary | Logistic) or is_relu1(term)):
        return make_gate(builder, node, term, node.output)
    if isinstance(term, Binary | Logistic):
        kind = "int8" if signed else "uint8"
        raise node.error(
            f"quantises a gate score as {kind} with scale {scale_text(scale)}",
            f"scores are uint8 with scale 1/128 ({SCORE_SCALE})",
        )
    return _dense(builder, node, term, scale, signed, zero)


def _dense(
    builder: Builder, node: OpNode, term: Linear, scale: float, signed: bool, zero: int
) -> Stored:
    """A dense layer of the gate unit's."""
    clamp = integer_bounds(term.low, term.high, scale, signed, zero)
    fitted = fit(builder, dataclasses.replace(term, offset=term.offset + zero * scale), scale)
    builder.note_rounding(term.node, fitted.error, fitted.finer)
    item = ir.Dense(
        name=term.node.label,
        input=term.input,
        output=node.output,
        weight=fitted.weight,
        bias=fitted.bias,
        requantize=builder.requantize(term.node, fitted.scale / scale),
        clamp=clamp,
    )
    builder.linears[node.output] = term
    return builder.add_node(node, item, signed, scale, zero)
