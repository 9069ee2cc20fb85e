"""Gate scores: recognised from Clip(0, 1), Sigmoid or a threshold after a dense layer."""

import dataclasses
import math
from fractions import Fraction

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.keys import frozen
from penstock.compiler.importer.lower.curves import activation
from penstock.compiler.importer.lower.layers.bias import fit
from penstock.compiler.importer.lower.layers.linear import one_per_output
from penstock.compiler.importer.lower.values.scales import scale_text
from penstock.compiler.importer.lower.values.stored import pending, settle
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import (
    INF,
    Binary,
    Const,
    Linear,
    Logistic,
    Pending,
    QuantConst,
    Signum,
    Stored,
    Term,
)
from penstock.compiler.numerics import ACCUMULATOR_LIMIT, SCORE_ONE, SCORE_SCALE, type_range
from penstock.program.core.descriptor import GateKind
from penstock.program.core.sigmoid import SIGMOID_STEPS

SIGN_HINT = "(Sign(Gemm) + 1) / 2 is a score; better compare: Greater(Gemm, 0)"


def is_relu1(term: Term) -> bool:
    """Whether a term is a dense layer clipped to [0, 1]."""
    return isinstance(term, Linear) and term.dense and (term.low, term.high) == (0.0, 1.0)


def score_value(builder: Builder, node: OpNode, name: str) -> str | None:
    """The Gate value behind tensor `name`, None if it is not a score.

    A score without a quantiser gets the fixed format, UQ1.7; one that is quantised in other steps
    has 128 of its own.
    """
    term = builder.term(name)
    if isinstance(term, Stored | Pending):
        if isinstance(builder.nodes.get(term.value), ir.Dense):
            return _score_of_codes(builder, node, settle(builder, node, term, name, zero=True))
        if not isinstance(builder.nodes.get(term.value), ir.Gate):
            return None
        low, high = pending(term).low, pending(term).high
        if (low, high) != (-INF, INF):
            raise node.error(
                f"the score '{name}' is limited to [{low:.6g}, {high:.6g}] after it is one",
                "a score is 0 to 1 as its gate makes it: leave the Clip, Min or Max out",
            )
        return settle(builder, node, term, name).value
    if isinstance(term, Binary | Logistic) or (isinstance(term, Linear) and is_relu1(term)):
        return make_gate(builder, node, term, name).value
    return None


def _score_of_codes(builder: Builder, node: OpNode, term: Stored) -> str | None:
    """The Gate of a quantised dense layer whose least code is 0; None of any other.

    A gate's scores begin at 0: those of a Clip above it would be closed where they are not.  Its
    128 is the largest number that the codes stand for; those of int8 are the scores.
    """
    value, linear = builder.values[term.value], builder.linears.get(term.value)
    low, high = builder.integer_range(term.value)
    if linear is None or value.zero_point or low != 0 or high <= 0:
        return None
    key = ("codes", term.value)
    if key not in builder.gates:
        step = value.scale * (1.0 if high == SCORE_ONE - 1 else high / SCORE_ONE)
        fitted = fit(builder, linear, step)
        item = ir.Gate(
            name=linear.node.label,
            input=linear.input,
            output=builder.fresh(f"{term.value}.score"),
            weight=fitted.weight,
            bias=fitted.bias,
            requantize=builder.requantize(linear.node, fitted.scale / step),
        )
        builder.gates[key] = builder.add_node(node, item, signed=False, scale=step)
    return builder.gates[key].value


def make_gate(
    builder: Builder, node: OpNode, term: Linear | Binary | Logistic, output: str
) -> Stored:
    """The Gate of a clipped or compared dense layer, or of its sigmoid, made once."""
    linear = term if isinstance(term, Linear) else term.linear
    key = (type(term), isinstance(term, Binary) and term.tie, frozen(linear))
    if key in builder.gates:
        return builder.gates[key]
    weight, bias, real = linear.weight, linear.bias.astype(np.int32), np.ones(len(linear.scale))
    match term:
        case Binary(tie=True):  # exactly: below 0, 0 and above it make 0, 64 and 128
            kind, bias, real = GateKind.RELU1, bias + 1, real * (SCORE_ONE / 2)
        case Binary():  # it has no multiplier; 1.0 stands in
            kind = GateKind.BINARY
        case Logistic() | Linear():
            kind = GateKind.SIGMOID if isinstance(term, Logistic) else GateKind.RELU1
            steps = SIGMOID_STEPS if isinstance(term, Logistic) else SCORE_ONE
            fitted = fit(builder, linear, 1 / steps)
            weight, bias, real = fitted.weight, fitted.bias, fitted.scale * steps
            builder.note_rounding(linear.node, fitted.error, fitted.finer)
    item = ir.Gate(
        name=linear.node.label,
        input=linear.input,
        output=output,
        weight=weight,
        bias=bias,
        requantize=builder.requantize(linear.node, real),
        kind=kind,
    )
    builder.gates[key] = builder.add_node(node, item, signed=False, scale=SCORE_SCALE)
    return builder.gates[key]


def lower_sigmoid(builder: Builder, node: OpNode) -> Term:
    """Sigmoid of a dense layer, or of its int8 in steps of 1/16: a score, or a threshold's."""
    if (curve := activation(builder, node)) is not None:
        return curve
    term = builder.term(node.inputs[0])
    if isinstance(term, Stored | Pending) and term.value in builder.linears:
        return _sigmoid_of_steps(builder, node, term)
    plain = isinstance(term, Linear) and term.dense and (term.low, term.high) == (-INF, INF)
    if not isinstance(term, Linear) or not plain:
        raise node.error(
            "Sigmoid is supported only behind a quantiser or a dense layer",
            "QuantizeLinear and DequantizeLinear before it, where it is an activation; in a gate "
            "GlobalAveragePool, Gemm (Relu, Gemm), Sigmoid; then Mul with a map, or a threshold",
        )
    return Logistic(linear=term)


def _sigmoid_of_steps(builder: Builder, node: OpNode, term: Stored | Pending) -> Logistic:
    """Of a quantised dense layer: exactly what a SIGMOID gate makes of it before its table."""
    value = builder.values[term.value]
    clipped = isinstance(term, Pending) or builder.integer_range(term.value) != (-128, 127)
    if clipped or value.zero_point:
        raise node.error("its input is clipped", "put Sigmoid behind the dense layer itself")
    if value.scale * SIGMOID_STEPS != 1.0:
        raise node.error(
            f"its input has scale {scale_text(value.scale)}",
            f"quantise it as int8 with scale 1/{SIGMOID_STEPS} ({1 / SIGMOID_STEPS}), or never",
        )
    return Logistic(linear=builder.linears[term.value], rounded=True)


def lower_greater(builder: Builder, node: OpNode) -> Term:
    """Greater(score, threshold): the threshold moves into the integer bias, exactly.

    sum * scale + offset > t  <=>  sum > floor((t - offset) / scale), for sums in whole steps, the
    integer bias included; for >= the bound is ceil((t - offset) / scale) - 1.
    """
    term = builder.term(node.inputs[0])
    if (curve := activation(builder, node)) is not None:
        return curve
    if isinstance(term, Stored | Pending) and term.value in builder.linears:
        return _greater_of_codes(builder, node, term)
    linear = term.linear if isinstance(term, Logistic) else term
    if not isinstance(linear, Linear) or not linear.dense:
        raise node.error(
            "compares something that is not a gate's dense layer",
            "compare the Gemm's output (or its Sigmoid) with a constant, without a quantiser",
        )
    threshold = _threshold(builder, node, linear)
    if isinstance(term, Logistic) and term.rounded:
        raise node.error("compares a sigmoid that was quantised", "remove the quantiser before it")
    strict = node.op == "Greater"
    if isinstance(term, Logistic):
        if not ((threshold > 0) & (threshold < 1)).all():
            raise node.error("the threshold of a sigmoid gate must lie between 0 and 1")
        threshold = np.log(threshold / (1 - threshold))
    elif not _monotone(linear, threshold, strict):
        raise node.error("the threshold lies outside the bounds of the activation before it")
    return Binary(linear=_moved(builder, linear, _bounds(linear, threshold), strict))


def _greater_of_codes(builder: Builder, node: OpNode, term: Stored | Pending) -> Binary:
    """A quantised dense layer against a constant: the sum against where the codes change.

    The first code c that is greater begins at (c - zero point - 1/2) steps, where half to even
    takes an even number up.
    """
    name = settle(builder, node, term, node.inputs[0], zero=True).value
    value, linear = builder.values[name], builder.linears[name]
    low, high = builder.integer_range(name)
    codes = np.arange(low, high + 1)
    real = (codes - value.zero_point).astype(np.float32) * np.float32(value.scale)
    moved = []
    for output, limit in enumerate(_threshold(builder, node, linear).astype(np.float32)):
        above = codes[real > limit if node.op == "Greater" else real >= limit]
        if len(above) in (0, len(codes)):
            bound, strict = Fraction((1 << 40) * (1 if len(above) == 0 else -1)), True
        else:
            first = int(above[0]) - value.zero_point
            edge = Fraction(2 * first - 1, 2) * Fraction(value.scale)
            offset, scale = (Fraction(float(a[output])) for a in (linear.offset, linear.scale))
            bound, strict = (edge - offset) / scale, first % 2 != 0
        moved.append(math.floor(bound) if strict else math.ceil(bound) - 1)
    return Binary(linear=_moved(builder, linear, [Fraction(bound) for bound in moved], strict=True))


def _bounds(linear: Linear, threshold: Array) -> list[Fraction]:
    """What the sum of each output, in whole steps, is compared with."""
    return [
        (Fraction(float(real)) - Fraction(float(offset))) / Fraction(float(scale))
        for real, offset, scale in zip(threshold, linear.offset, linear.scale, strict=True)
    ]


def _moved(builder: Builder, linear: Linear, bounds: list[Fraction], strict: bool) -> Linear:
    """The accumulator that is above 0 where the sum is above its bound (or at it, not strict)."""
    least, greatest = type_range(builder.values[linear.input].signed)
    bias = []
    for index, bound in enumerate(bounds):
        moved = int(linear.bias[index]) - (math.floor(bound) if strict else math.ceil(bound) - 1)
        # Beyond what the sum can reach the gate is constant, however far.
        reach = int(np.abs(linear.weight[index].astype(np.int64)).sum()) * max(-least, greatest)
        bias.append(
            min(max(moved, -reach), reach + 1) if abs(moved) >= ACCUMULATOR_LIMIT else moved
        )
    return dataclasses.replace(
        linear, bias=np.array(bias, np.int64), offset=np.zeros(len(bias)), low=-INF, high=INF
    )


def lower_sign(builder: Builder, node: OpNode) -> Term:
    """Sign of a dense layer: -1, 0 or 1, which (sign + 1) / 2 makes a score of.

    Where no sum is exactly 0 that is a comparison.
    """
    if (curve := activation(builder, node)) is not None:
        return curve
    linear = builder.term(node.inputs[0])
    plain = isinstance(linear, Linear) and linear.dense
    if not isinstance(linear, Linear) or not plain or (linear.low, linear.high) != (-INF, INF):
        raise node.error("Sign is supported only behind a dense layer", SIGN_HINT)
    bounds = _bounds(linear, np.zeros(len(linear.bias)))
    whole = {bound.denominator == 1 for bound in bounds}
    if len(whole) > 1:
        raise node.error("is 0 for some of its outputs only", "compare: Greater(score, constant)")
    moved = _moved(builder, linear, bounds, strict=True)
    return Signum(binary=Binary(linear=moved, tie=whole == {True}))


def signum(
    builder: Builder, node: OpNode, term: Signum, factor: float, offset: float
) -> Signum | Binary:
    """factor * term + offset."""
    made = dataclasses.replace(
        term, factor=term.factor * factor, offset=term.offset * factor + offset
    )
    return made.binary if (made.factor, made.offset) == (0.5, 0.5) else made


def lower_cast(builder: Builder, node: OpNode) -> Term:
    """Cast of a comparison to float: 0.0 or 1.0."""
    term = builder.term(node.inputs[0])
    if (curve := activation(builder, node)) is not None:
        return curve
    if isinstance(term, Binary) and builder.net.types.get(node.output) == "float32":
        return term
    raise node.error("Cast is supported only from a gate's comparison to float32")


def _monotone(linear: Linear, threshold: np.ndarray, strict: bool) -> bool:
    """Whether clip(z) > t equals z > t; or, not strict, clip(z) >= t equals z >= t."""
    if strict:
        return bool(((linear.low <= threshold) & (threshold < linear.high)).all())
    return bool(((linear.low < threshold) & (threshold <= linear.high)).all())


def _threshold(builder: Builder, node: OpNode, linear: Linear) -> np.ndarray:
    """One threshold an output, float64."""
    term = builder.term(node.inputs[1])
    if isinstance(term, Const):
        real = term.array.astype(np.float64)
    elif isinstance(term, QuantConst) and term.scale.ndim == 0:
        real = term.integers.astype(np.float64) * term.scale
    else:
        raise node.error("its threshold is not a constant", "write Greater(score, constant)")
    if not one_per_output(builder, node, linear, real.shape):
        raise node.error(f"its threshold has shape {real.shape} for {len(linear.bias)} outputs")
    return np.broadcast_to(real.reshape(-1), (len(linear.bias),))
