"""Integer values of the graph as operands: the only place that reads what is `Pending`."""

from typing import TypeGuard

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.scales import (
    integer_bounds,
    scale_text,
    zero_point_error,
)
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import INF, Image, Pending, Stored, Term

UNQUANTIZED = "put QuantizeLinear and DequantizeLinear before it"


def pending(term: Stored | Pending) -> Pending:
    """A value with what is still to be done to it, perhaps nothing."""
    return term if isinstance(term, Pending) else Pending(value=term.value)


def simplest(term: Pending) -> Stored | Pending:
    """`Stored` where nothing is left to be done."""
    idle = not term.order and (term.low, term.high) == (-INF, INF)
    return Stored(value=term.value) if idle else term


def stored_input(builder: Builder, node: OpNode, index: int, *, zero: bool = False) -> str:
    """The integer value that input `index` of a layer reads; a pending clip is carried out.

    `zero`: it may have a zero point.
    """
    value, order = ordered_input(builder, node, index, zero=zero)
    return _reordered(builder, node, value, order, node.inputs[index])


def ordered_input(
    builder: Builder, node: OpNode, index: int, *, zero: bool = False
) -> tuple[str, tuple[int, ...]]:
    """`stored_input` and the order in which a Gather before it puts the channels, () if none."""
    name = node.inputs[index]
    term = builder.term(name)
    if not isinstance(term, Stored | Pending):
        what = "the image" if isinstance(term, Image) else f"'{name}'"
        raise node.error(f"its input {what} is not quantised", UNQUANTIZED)
    return limited(builder, node, term, name, zero=zero), pending(term).order


def settle(
    builder: Builder, node: OpNode, term: Stored | Pending, name: str, *, zero: bool = False
) -> Stored:
    """A value of which nothing is pending."""
    value = limited(builder, node, term, name, zero=zero)
    return Stored(value=_reordered(builder, node, value, pending(term).order, name))


def limited(
    builder: Builder, node: OpNode, term: Stored | Pending, name: str, *, zero: bool = False
) -> str:
    """The value with its pending clip carried out, in the order in which it is stored.

    The clip's bounds must be values that it can have: on its grid and within its range.  A value
    with a zero point is read where `zero` is.
    """
    point = builder.values[term.value].zero_point
    if point and not zero:
        raise zero_point_error(builder.origin[term.value], point)
    if isinstance(term, Stored) or not np.isfinite([term.low, term.high]).any():
        return term.value
    value = builder.values[term.value]
    least, greatest = real_range(builder, term.value)
    bounds = integer_bounds(term.low, term.high, value.scale, value.signed, point)
    active = (term.low > least, term.high < greatest)
    for real, step, acts in zip((term.low, term.high), bounds, active, strict=True):
        if acts and np.float32(real) != np.float32(step - point) * np.float32(value.scale):
            raise node.error(
                f"'{name}' is clipped at {real:.6g}, which is not among its values "
                f"{least:.6g}..{greatest:.6g} in steps of {scale_text(value.scale)}",
                "quantise after the activation",
            )
    name = in_order(builder, term, name)
    return builder.narrow(node, term.value, bounds, value.signed, name).value


def real_range(builder: Builder, name: str) -> tuple[float, float]:
    """Least and greatest real number that an integer value can stand for."""
    value = builder.values[name]
    least, greatest = builder.integer_range(name)
    return (least - value.zero_point) * value.scale, (greatest - value.zero_point) * value.scale


def in_order(builder: Builder, term: Pending, name: str) -> str:
    """The name of a value that tensor `name` has in the pending order, if there is one."""
    return builder.fresh(f"{name}.unordered") if term.order else name


def is_stored_map(term: Term, builder: Builder) -> TypeGuard[Stored | Pending]:
    """Whether a term is an integer map of the graph, whatever is pending."""
    return isinstance(term, Stored | Pending) and len(builder.values[term.value].shape) == 3


def _reordered(
    builder: Builder, node: OpNode, value: str, order: tuple[int, ...], name: str
) -> str:
    """A value whose channels are moved to a pending order, for what reads them as they lie."""
    if not order:
        return value
    if len(builder.values[value].shape) == 1:
        raise node.error(f"reads the reordered elements of '{name}'", "only dense layers read them")
    return framed(builder, node, value, None, f"{value}.reordered", channels=order).value
