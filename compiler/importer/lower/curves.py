"""Elementwise functions of one integer value: a table of what each of its codes becomes.

Operators between the value and what is read of it are evaluated on all 256 codes, whatever they
are; so is a quantiser between them, whose rounding stays.  A function of a function is one of the
value behind both.
"""

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.curves.functions import FUNCTIONS, Operands, evaluate
from penstock.compiler.importer.lower.values.stored import settle
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.refusals.operator_hints import operator_hint
from penstock.compiler.importer.terms import (
    Const,
    Function,
    Linear,
    Loose,
    Pending,
    QuantConst,
    Stored,
    Sum,
    Term,
)
from penstock.compiler.numerics import codes_of_bytes, quantize, requantize

#: From codes of a type to those of the other one that stand for the same numbers.
MOVE = 128


def lower_function(builder: Builder, node: OpNode) -> Term:
    """An operator that is nothing but a function of elements.

    Raises:
        CompileError: it is none of one integer value alone.
    """
    curve = activation(builder, node)
    if curve is None:
        raise node.error("the operator is not supported", operator_hint(builder.net, node))
    return curve


def curve_of(builder: Builder, node: OpNode) -> Function | None:
    """What a node makes of one integer value; None where it reads another thing."""
    if node.op not in FUNCTIONS or not _makes_numbers(builder, node):
        return None
    operands: Operands = []
    values = set()
    for name in node.inputs:
        found = _operand(builder, node, name) if name else (None, None)
        if found is None:
            return None
        value, real = found
        operands.append(real)
        values |= {value} if value else set()
    if len(values) != 1:
        return None
    shapes = {tuple(builder.net.shapes[n]) for n in node.inputs if _is_computed(builder, n)}
    if shapes != {tuple(builder.net.shapes[node.output])}:
        return None
    real = evaluate(node.op, operands, node.attrs)
    return Function(node=node, value=values.pop(), real=np.broadcast_to(real, (256,)))


def activation(builder: Builder, node: OpNode) -> Function | Loose | None:
    """What a node that is a part of an activation makes of it; None of any other."""
    if node.output not in builder.curves:
        return None
    source = builder.term(builder.curves.roots[node.output])
    alike = isinstance(source, Linear) and _of_linear(builder, source) is not None
    if isinstance(source, Linear | Sum) and not alike:
        return Loose(node=node, source=source, name=node.output)
    return curve_of(builder, node)


def quantize_curve(
    builder: Builder, node: OpNode, term: Function, scale: float, signed: bool, zero: int
) -> Stored:
    """The function in codes, as quantiser `node` makes them.

    They are of the type of what is read: codes of the other type are moved, with the zero point.
    """
    if np.isnan(term.real[builder.bytes_of(term.value)]).any():
        raise term.node.error(
            "is no number for some of what it reads",
            "limit its input (Clip) to where it has a value",
        )
    real = np.where(np.isnan(term.real), 0.0, term.real)  # of what it never reads
    codes = quantize(real, scale, signed, zero).astype(np.int16)
    source = builder.values[term.value]
    if source.signed != signed:
        codes, zero = (codes - MOVE, zero - MOVE) if source.signed else (codes + MOVE, zero + MOVE)
    item = ir.Lookup(name=term.node.label, input=term.value, output=node.output, entries=codes)
    return builder.add_node(node, item, source.signed, scale, zero)


def curve_of_value(builder: Builder, node: OpNode, term: Stored | Pending) -> Function | None:
    """A value that is a function of another one, as such; None if it is not."""
    if not isinstance(builder.nodes.get(term.value), ir.Lookup):
        return None
    value, real = _of_stored(builder, node, term, term.value)
    return Function(node=node, value=value, real=real)


def _makes_numbers(builder: Builder, node: OpNode) -> bool:
    """Whether no Cast to integers rounds, and nothing is added to codes instead of numbers."""
    types = builder.net.types
    kinds = {types.get(name, "float32") for name in (*filter(None, node.inputs), node.output)}
    return kinds <= {"float32", "bool"}


def _is_computed(builder: Builder, name: str) -> bool:
    return bool(name) and not isinstance(builder.term(name), Const | QuantConst)


def _operand(builder: Builder, node: OpNode, name: str) -> tuple[str, Array] | None:
    """(integer value or "" of a constant, real numbers) of an operand; None if it is neither."""
    match term := builder.term(name):
        case Const() | QuantConst():
            return _number(term)
        case Function():
            return term.value, term.real
        case Stored() | Pending():
            return _of_stored(builder, node, term, name)
        case Linear():
            return _of_linear(builder, term)
    return None


def _number(term: Const | QuantConst) -> tuple[str, Array] | None:
    """A constant of one number, however often it is there."""
    array = term.array if isinstance(term, Const) else term.integers * term.scale.reshape(-1)[:1]
    if not array.size or (array != array.reshape(-1)[0]).any():
        return None
    return "", array.reshape(-1)[:1].astype(np.float64)


def _of_stored(
    builder: Builder, node: OpNode, term: Stored | Pending, name: str
) -> tuple[str, Array]:
    if isinstance(term, Pending) and term.order:
        term = settle(builder, node, term, name, zero=True)
    value = builder.values[term.value]
    source, codes = _codes(builder, term.value)
    real = (codes - value.zero_point) * value.scale
    if isinstance(term, Pending):
        real = np.clip(real, term.low, term.high)
    return source, real


def _of_linear(builder: Builder, term: Linear) -> tuple[str, Array] | None:
    """An accumulator that every element of a map makes by itself, all alike."""
    alike = _alike(term.weight, term.groups) and term.stride == 1 and term.pixels == 1
    plain = not term.dense and term.score is None and term.part is None and not term.order
    numbers = (term.bias, term.offset, term.scale)
    if not alike or not plain or any((each != each[0]).any() for each in numbers):
        return None
    source, codes = _codes(builder, term.input)
    sums = codes * int(term.weight.reshape(-1)[0]) + int(term.bias[0])
    real = sums * float(term.scale[0]) + float(term.offset[0])
    return source, np.clip(real, term.low, term.high)


def _alike(weight: Array, groups: int) -> bool:
    """Whether a convolution multiplies every channel by one number."""
    one = weight.shape[1:] == (1, 1, 1) and groups == len(weight)
    return one and bool((weight == weight[0]).all())


def _codes(builder: Builder, name: str) -> tuple[str, Array]:
    """(a value, the codes of value `name` for each byte of it): itself, or what it is made of."""
    item = builder.nodes.get(name)
    if isinstance(item, ir.Lookup):
        return item.input, item.entries.astype(np.int64)
    if isinstance(item, ir.Conv) and _is_function(item):
        source, codes = _codes(builder, item.input)
        sums = codes * int(item.weight[0, 0, 0, 0]) + int(item.bias[0])
        factors = item.requantize
        made = requantize(sums, factors.multiplier[:1], factors.shift[:1])
        return source, np.clip(made, *item.clamp)
    codes = codes_of_bytes(builder.values[name].signed)
    return name, np.clip(codes, *builder.integer_range(name))


def _is_function(item: ir.Conv) -> bool:
    """Whether a convolution makes of each element what it makes of the same one anywhere."""
    factors = (item.bias, item.requantize.multiplier, item.requantize.shift)
    plain = item.fold is None and item.residual is None and not item.order
    here = item.stride == 1 and item.pixels == 1 and item.plane == 0
    alike = _alike(item.weight, item.groups) and all((each == each[0]).all() for each in factors)
    return plain and here and alike
