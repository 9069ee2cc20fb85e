"""Add, Mul and the clipping operators."""

import dataclasses
import math

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.curves import activation
from penstock.compiler.importer.lower.gates import score_value, signum
from penstock.compiler.importer.lower.layers.linear import (
    dense_identity,
    identity,
    one_per_output,
    with_bias,
)
from penstock.compiler.importer.lower.values.scales import code_zero, scale_text
from penstock.compiler.importer.lower.values.stored import (
    is_stored_map,
    pending,
    real_range,
    settle,
    simplest,
    stored_input,
)
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import (
    INF,
    Binary,
    Const,
    Joined,
    Linear,
    Logistic,
    Mean,
    Pending,
    QuantConst,
    Signum,
    Stored,
    Sum,
    Term,
)


def lower_add(builder: Builder, node: OpNode) -> Term:
    """A bias after MatMul or Conv, or a residual addition; of what an activation makes, a part of
    that."""
    if (curve := activation(builder, node)) is not None:
        return curve
    left, right = (_operand(builder, node, name) for name in node.inputs)
    for linear, constant in ((left, right), (right, left)):
        if isinstance(linear, Signum) and isinstance(constant, Const) and constant.array.size == 1:
            return signum(builder, node, linear, 1.0, float(constant.array.reshape(())))
        if isinstance(linear, Linear) and isinstance(constant, Const | QuantConst):
            return with_bias(builder, node, linear, constant)
        if isinstance(linear, Sum) and isinstance(constant, Const | QuantConst):
            return _sum_with_bias(builder, node, linear, constant)
        if isinstance(linear, Stored) and isinstance(constant, Const | QuantConst):
            made = _as_linear(builder, node, linear)
            if made is not None:
                return with_bias(builder, node, made, constant)
    left, right = (
        _summand(builder, node, term, name)
        for term, name in zip((left, right), node.inputs, strict=True)
    )
    if isinstance(left, Linear) and isinstance(right, Linear):
        raise node.error(
            "neither operand is quantised",
            "put QuantizeLinear and DequantizeLinear, at the scale of the sum, on the shortcut",
        )
    shapes = [builder.net.shapes[name] for name in node.inputs]
    if shapes[0] != shapes[1]:
        raise node.error(f"operands have shapes {shapes[0]} and {shapes[1]}", "no broadcasting")
    return Sum(node=node, left=left, right=right)


def _summand(builder: Builder, node: OpNode, term: Term, name: str) -> Linear | Stored:
    """An operand of a residual addition.

    Raises:
        CompileError: it can be none.
    """
    if isinstance(term, Sum):
        raise node.error(f"adds a third tensor to '{name}'", "quantise every addition")
    if isinstance(term, Linear) and np.isfinite([term.low, term.high]).any() and not term.dense:
        raise node.error(
            f"the activation between '{name}' and the addition cannot be represented",
            "activate after the addition, or quantise the activated tensor",
        )
    if is_stored_map(term, builder) and isinstance(term, Stored):
        return term
    if isinstance(term, Linear) and not term.dense:
        return term
    raise node.error(f"'{name}' can be no operand of a residual addition")


def _as_linear(builder: Builder, node: OpNode, term: Stored) -> Linear | None:
    """A layer that leaves a map, or what a dense layer or an average made, as it is."""
    if is_stored_map(term, builder):
        return identity(builder, node, term.value)
    if builder.is_vector(term.value):
        return dense_identity(builder, node, term.value)
    return None


def _sum_with_bias(builder: Builder, node: OpNode, term: Sum, constant: Const | QuantConst) -> Sum:
    """A constant added to a sum that no activation follows: to one of its accumulators."""
    free, left, right = (term.low, term.high) == (-INF, INF), term.left, term.right
    if free and isinstance(left, Linear) and left.score is None:
        return dataclasses.replace(term, left=with_bias(builder, node, left, constant))
    if free and isinstance(right, Linear) and right.score is None:
        return dataclasses.replace(term, right=with_bias(builder, node, right, constant))
    raise node.error("adds a constant to a sum of stored maps", "quantise the sum before it")


def _operand(builder: Builder, node: OpNode, name: str) -> Term:
    """An operand of an addition; a pending clip of a stored one is carried out."""
    term = builder.term(name)
    if isinstance(term, Stored | Pending):
        return settle(builder, node, term, name, zero=True)
    return term


def lower_mul(builder: Builder, node: OpNode) -> Term:
    """A convolution times a gate's scores (per channel, or one for the block); a quantised map
    times scores is a convolution of every channel by itself.  Functions of one map are multiplied
    element by element."""
    if (curve := activation(builder, node)) is not None:
        return curve
    for map_name, score_name in (node.inputs, node.inputs[::-1]):
        term, factor = builder.term(map_name), builder.term(score_name)
        if isinstance(factor, Const) and isinstance(term, Signum | Linear):
            made = _multiplied(builder, node, term, factor.array)
            if made is not None:
                return made
        if isinstance(term, Linear) and not term.dense:
            score = score_value(builder, node, score_name)
            if score is not None:
                return _scored(builder, node, term, score, score_name)
        elif is_stored_map(term, builder):
            score = score_value(builder, node, score_name)
            if score is not None:
                index = list(node.inputs).index(map_name)
                source = stored_input(builder, node, index, zero=True)
                conv = identity(builder, node, source)
                return _scored(builder, node, conv, score, score_name)
    for name in node.inputs:
        if isinstance(term := builder.term(name), Linear) and term.dense:
            raise node.error(
                f"'{name}' is multiplied without being limited to [0, 1]",
                "put Clip(0, 1) or a threshold after the gate's Gemm, quantised with scale 1/128",
            )
        if isinstance(term, Stored) and isinstance(builder.nodes.get(term.value), ir.Dense):
            value, least = builder.values[term.value], builder.integer_range(term.value)[0]
            if least > 0:
                raise node.error(
                    f"its score '{value.name}' is limited to codes from {least} on",
                    "scores begin at 0: leave the lower limit out",
                )
            raise node.error(
                f"its score '{value.name}' is quantised as {'int8' if value.signed else 'uint8'} "
                f"with scale {scale_text(value.scale)}",
                "scores are never negative: Relu or Clip(0, 1) before the quantiser, zero point 0",
            )
    raise node.error(
        "is not a convolution times a gate score",
        "scores are uint8 with scale 1/128 after Gemm and Clip(0, 1), Sigmoid or a threshold",
    )


def _multiplied(
    builder: Builder, node: OpNode, term: Signum | Linear, factor: Array
) -> Term | None:
    """A dense layer, or its sign, times one positive number or one an output; None if it is not."""
    real = factor.astype(np.float64)
    if isinstance(term, Signum):
        if factor.size != 1:
            return None
        return signum(builder, node, term, float(real.reshape(())), 0.0)
    plain = term.dense and (term.low, term.high) == (-INF, INF) and term.score is None
    if not plain or not one_per_output(builder, node, term, real.shape) or (real <= 0).any():
        return None
    real = np.broadcast_to(real.reshape(-1), term.scale.shape)
    return dataclasses.replace(term, scale=term.scale * real, offset=term.offset * real)


def _scored(builder: Builder, node: OpNode, conv: Linear, score: str, name: str) -> Linear:
    """The accumulator with its score."""
    if conv.score is not None:
        raise node.error("the convolution has a score already", "one score a convolution")
    if conv.high != INF or conv.low not in (0.0, -INF):
        raise node.error("a clipped activation before the score", "clip after the multiplication")
    outputs, scores = len(conv.bias), builder.values[score].shape[0]
    shape = tuple(builder.net.shapes[name])
    shape = (1,) * (4 - len(shape)) + shape
    if shape not in ((1, outputs, 1, 1), (1, 1, 1, 1)):
        raise node.error(
            f"scores of shape {builder.net.shapes[name]} do not match {outputs} channels",
            "reshape them to (N, channels, 1, 1) or (N, 1, 1, 1)",
        )
    return dataclasses.replace(conv, score=score, per_channel=scores > 1)


def lower_clip(builder: Builder, node: OpNode) -> Term:
    """Relu, Clip, and Min or Max with a number: bounds on a term."""
    if (curve := activation(builder, node)) is not None:
        return curve
    name, low, high = _bounds(builder, node)
    if math.isnan(low) or math.isnan(high) or low > high:
        raise node.error(f"its bounds {low:.6g} and {high:.6g} cross")
    return _clipped(builder, node, builder.term(name), name, low, high)


def _clipped(
    builder: Builder, node: OpNode, term: Term, name: str, low: float, high: float
) -> Term:
    if isinstance(term, Joined):
        parts = [
            (part, _clipped(builder, node, operand, part, low, high))
            for part, operand in term.parts
        ]
        return dataclasses.replace(term, parts=tuple(parts))
    if isinstance(term, Linear | Sum):
        return dataclasses.replace(
            term, low=min(max(term.low, low), high), high=max(min(term.high, high), low)
        )
    if isinstance(term, Stored | Pending):
        return _clip_stored(builder, node, pending(term), low, high)
    if isinstance(term, Mean) and low <= 0 and high == INF:
        if not builder.values[term.value].signed:
            return term
    if isinstance(term, Binary | Logistic) and low <= 0 and high >= 1:
        return term
    raise node.error(f"cannot clip '{name}' to [{low:.6g}, {high:.6g}]")


def _clip_stored(
    builder: Builder, node: OpNode, term: Pending, low: float, high: float
) -> Stored | Pending:
    """A pending clip on an integer value, forgotten if the value never leaves the bounds."""
    value = builder.values[term.value]
    kind = builder.net.types.get(node.inputs[0], "float32")
    if kind != "float32":  # between the quantiser and its twin
        zero = value.zero_point or code_zero(kind, value.signed)
        low, high = (low - zero) * value.scale, (high - zero) * value.scale
    least, greatest = real_range(builder, term.value)
    low = -INF if low <= least else low
    high = INF if high >= greatest else high
    low, high = min(max(term.low, low), high), max(min(term.high, high), low)
    return simplest(dataclasses.replace(term, low=low, high=high))


def _bounds(builder: Builder, node: OpNode) -> tuple[str, float, float]:
    """(tensor clipped, low, high)."""
    if node.op == "Relu":
        return node.inputs[0], 0.0, INF
    if node.op == "Clip":
        low = _number(builder, node, node.optional_input(1), -INF)
        high = _number(builder, node, node.optional_input(2), INF)
        return node.inputs[0], low, high
    if len(node.inputs) != 2 or sum(map(builder.net.is_constant, node.inputs)) != 1:
        raise node.error("is supported only of a tensor and a number")
    name, number = sorted(node.inputs, key=builder.net.is_constant)
    bound = _number(builder, node, number, 0.0)
    return (name, -INF, bound) if node.op == "Min" else (name, bound, INF)


def _number(builder: Builder, node: OpNode, name: str, default: float) -> float:
    if not name:
        return default
    if not builder.net.is_constant(name) or builder.net.constants[name].size != 1:
        raise node.error(f"its bound '{name}' is not a constant number")
    return float(builder.net.constants[name].reshape(()))
