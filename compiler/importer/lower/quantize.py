"""QuantizeLinear: a term becomes an integer value.  DequantizeLinear: it becomes real again."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.axes import axis_of
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.keys import frozen
from penstock.compiler.importer.lower.bias import fit
from penstock.compiler.importer.lower.concat import concat_values
from penstock.compiler.importer.lower.convolution import make_conv
from penstock.compiler.importer.lower.gates import is_relu1, make_gate
from penstock.compiler.importer.lower.linear import identity
from penstock.compiler.importer.lower.map_pool import quantize_window
from penstock.compiler.importer.lower.residual import lower_sum
from penstock.compiler.importer.lower.scales import (
    activation_scale,
    codes_of,
    integer_bounds,
    quantized_codes,
    read_scale,
    scale_text,
    unequal_scales,
    zero_point_error,
)
from penstock.compiler.importer.lower.stored import (
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
    Image,
    Joined,
    Linear,
    Logistic,
    Mean,
    Pending,
    QuantConst,
    Stored,
    Sum,
    Term,
    Window,
)
from penstock.compiler.numerics import SCORE_SCALE


def lower_quantize(builder: Builder, node: OpNode) -> Term:
    """The integer value a quantiser makes; equal quantisers of one tensor make one value."""
    scale, (signed, zero) = activation_scale(builder, node), quantized_codes(builder, node)
    return _quantized(builder, node, builder.term(node.inputs[0]), scale, signed, zero)


def _quantized(
    builder: Builder, node: OpNode, term: Term, scale: float, signed: bool, zero: int = 0
) -> Stored | Pending:
    """The term, quantised once."""
    # Every gate may have an average of its own: one Pool serves them all.
    source = ("mean", term.value) if isinstance(term, Mean) else ("term", frozen(term))
    key = (*source, scale, signed, zero)
    if key not in builder.made:
        quantize = _with_zero_point if zero or _has_zero_point(builder, term) else _quantize
        codes = (scale, signed, zero) if quantize is _with_zero_point else (scale, signed)
        builder.made[key] = quantize(builder, node, term, *codes)
    return builder.made[key]


def lower_dequantize(builder: Builder, node: OpNode) -> Term:
    """Weights and biases stay integers; an activation must be read at its own scale."""
    term = builder.term(node.inputs[0])
    if isinstance(term, Const):
        return _constant(builder, node, term.array)
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
    codes = codes_of(builder, node, builder.net.types[node.inputs[0]])
    if codes != (value.signed, value.zero_point):
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
    """The integers without their zero point: int8 where they fit, else refused."""
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
    if low < -128 or high > 127:
        raise node.error(
            f"its integers are {low} .. {high} from the zero point, int8 holds -128 .. 127",
            "quantise weights symmetrically",
        )
    return centred.astype(np.int8)


def _quantize(
    builder: Builder, node: OpNode, term: Term, scale: float, signed: bool
) -> Stored | Pending:
    match term:
        case Image():
            return _image(builder, node, term, scale, signed)
        case Stored() | Pending():
            return _requantize(builder, node, pending(term), scale, signed)
        case Mean():
            return _pool(builder, node, term, scale, signed)
        case Window():
            return quantize_window(builder, node, term, scale, signed)
        case Joined():
            return _joined(builder, node, term, scale, signed)
        case Sum():
            return lower_sum(builder, node, term, scale, signed)
        case Linear(dense=False):
            return _conv(builder, node, term, scale, signed)
        case Linear() | Binary() | Logistic():
            return _vector(builder, node, term, scale, signed)
    raise node.error(f"cannot quantise '{node.inputs[0]}'")


def _joined(builder: Builder, node: OpNode, term: Joined, scale: float, signed: bool) -> Stored:
    """Each operand quantised alone, as the quantiser behind the Concat does: then they are joined.

    What was quantised before the Concat must have that scale already.
    """
    values = []
    for index, (name, operand) in enumerate(term.parts):
        alone = dataclasses.replace(node, outputs=(builder.fresh(f"{node.output}.part{index}"),))
        part = _quantized(builder, alone, operand, scale, signed)
        values.append(settle(builder, node, part, name).value)
    return concat_values(builder, term.node, values, node.output)


def _has_zero_point(builder: Builder, term: Term) -> bool:
    """Whether a stored value, or one that is averaged, has a zero point."""
    return isinstance(term, Stored | Pending | Mean) and bool(builder.values[term.value].zero_point)


def _with_zero_point(
    builder: Builder, node: OpNode, term: Term, scale: float, signed: bool, zero: int
) -> Stored | Pending:
    """Codes whose zero point the core need not know: it is in the bias that makes them, or they
    are those of what is quantised again, or averaged, at the same scale and zero point.

    Raises:
        CompileError: it would have to be added to something else.
    """
    if isinstance(term, Image):
        return _image(builder, node, term, scale, signed, zero)
    if isinstance(term, Linear) and term.score is None:
        clamp = integer_bounds(term.low, term.high, scale, signed, zero)
        moved = dataclasses.replace(term, offset=term.offset + zero * scale)
        if term.dense:
            return _dense(builder, node, moved, scale, signed, clamp, zero)
        item = make_conv(builder, node, moved, scale, clamp)
        return builder.add_node(node, item, signed, scale, zero)
    if isinstance(term, Stored | Pending | Mean):
        value = builder.values[term.value]
        same = (value.scale, value.signed, value.zero_point) == (scale, signed, zero)
        if same and isinstance(term, Mean):
            return _pool(builder, node, term, scale, signed, zero)
        if same and isinstance(term, Stored):
            return term
    point = zero or builder.values[term.value].zero_point  # type: ignore[union-attr]
    raise zero_point_error(node, point)


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
    builder: Builder, node: OpNode, term: Pending, scale: float, signed: bool
) -> Stored | Pending:
    """Quantising a dequantised value again, which may only narrow it; its order stays."""
    value = builder.values[term.value]
    if value.scale != scale:
        return _rescaled(builder, node, term, scale, signed)
    bounds = integer_bounds(term.low, term.high, scale, signed)
    name = in_order(builder, term, node.output)
    narrowed = builder.narrow(node, term.value, bounds, signed, name)
    return simplest(Pending(value=narrowed.value, order=term.order))


def _rescaled(
    builder: Builder, node: OpNode, term: Pending, scale: float, signed: bool
) -> Stored | Pending:
    """A stored map in steps of another scale: a convolution of every channel by itself.

    Quantised, clipped, quantised again: both roundings stay what they are.
    """
    if len(builder.values[term.value].shape) != 3 or term.value == builder.net.input:
        hint = "remove one of the two quantisers"
        raise unequal_scales(builder, node, term.value, scale, hint)
    conv = dataclasses.replace(identity(builder, node, term.value), low=term.low, high=term.high)
    name = in_order(builder, term, node.output)
    made = _conv(builder, dataclasses.replace(node, outputs=(name,)), conv, scale, signed)
    return simplest(Pending(value=made.value, order=term.order))


def _pool(
    builder: Builder, node: OpNode, term: Mean, scale: float, signed: bool, zero: int = 0
) -> Stored:
    source = builder.values[term.value]
    real = source.scale / (scale * source.shape[1] * source.shape[2])
    factor = builder.requantize(node, np.array([real]))
    item = ir.Pool(
        name=term.node.label,
        input=term.value,
        output=node.output,
        multiplier=int(factor.multiplier[0]),
        shift=int(factor.shift[0]),
    )
    return builder.add_node(node, item, signed, scale, zero)


def _conv(builder: Builder, node: OpNode, term: Linear, scale: float, signed: bool) -> Stored:
    clamp = integer_bounds(term.low, term.high, scale, signed)
    item = make_conv(builder, node, term, scale, clamp)
    return builder.add_node(node, item, signed, scale)


def _vector(
    builder: Builder, node: OpNode, term: Linear | Binary | Logistic, scale: float, signed: bool
) -> Stored:
    """A gate if it is quantised as scores are, else a dense layer."""
    score = not signed and scale == SCORE_SCALE
    if score and (isinstance(term, Binary | Logistic) or is_relu1(term)):
        return make_gate(builder, node, term, node.output)
    if isinstance(term, Binary | Logistic):
        kind = "int8" if signed else "uint8"
        raise node.error(
            f"quantises a gate score as {kind} with scale {scale_text(scale)}",
            f"scores are uint8 with scale 1/128 ({SCORE_SCALE})",
        )
    clamp = integer_bounds(term.low, term.high, scale, signed)
    return _dense(builder, node, term, scale, signed, clamp)


def _dense(
    builder: Builder,
    node: OpNode,
    term: Linear,
    scale: float,
    signed: bool,
    clamp: tuple[int, int],
    zero: int = 0,
) -> Stored:
    """A dense layer of the gate unit's."""
    fitted = fit(builder, term, scale)
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
