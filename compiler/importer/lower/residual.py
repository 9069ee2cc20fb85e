"""Quantised additions.

One whose operands have the steps and the zero point of the sum is part of a convolution, which adds
the other operand, an integer value, in place.  Any other sum of two integer values is a layer of
its own (`pair.py`); of an accumulator and an integer value the value is rescaled first.
"""

import dataclasses

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.convolution import add_conv, quantize_conv
from penstock.compiler.importer.lower.layers.linear import identity
from penstock.compiler.importer.lower.pair import add_pair
from penstock.compiler.importer.lower.values.scales import integer_bounds, unequal_scales
from penstock.compiler.importer.lower.values.stored import real_range
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear, Stored, Sum
from penstock.compiler.numerics import type_range


def lower_sum(
    builder: Builder, node: OpNode, term: Sum, scale: float, signed: bool, zero: int
) -> Stored:
    """clip(left + right), quantised by `node`.

    Both operands stored: the one that is a gated (else the later) int8 convolution takes the
    other as its residual, and saturates to int8 first, as its own quantiser did.
    """
    stored = [operand.value for operand in (term.left, term.right) if isinstance(operand, Stored)]
    for operand in (term.left, term.right):
        if isinstance(operand, Linear):
            residual = _at_steps(builder, node, stored[0], scale, signed, zero)
            clamp = integer_bounds(term.low, term.high, scale, signed, zero)
            return add_conv(
                builder, node, operand, scale, clamp, signed, zero=zero, residual=residual
            )
    left, right = stored
    chosen = None
    if {_steps(builder, left), _steps(builder, right)} == {(scale, 0)} and zero == 0:
        chosen = _choose(builder, left, right)
    if chosen is None:
        return add_pair(builder, node, term, (left, right), scale, signed, zero)
    fused, residual = chosen
    item = dataclasses.replace(
        fused,
        output=node.output,
        clamp=integer_bounds(term.low, term.high, scale, signed),
        residual=residual,
        saturate_before_add=True,
    )
    return builder.add_node(node, item, signed, scale)


def _steps(builder: Builder, name: str) -> tuple[float, int]:
    value = builder.values[name]
    return value.scale, value.zero_point


def _choose(builder: Builder, left: str, right: str) -> tuple[ir.Conv, str] | None:
    """(the convolution that fuses, the residual value); None: neither can."""
    order = list(builder.nodes)
    candidates = []
    for value, other in ((left, right), (right, left)):
        item = builder.nodes.get(value)
        if isinstance(item, ir.Conv) and item.residual is None and item.clamp == (-128, 127):
            block = item.fold is not None and not item.fold.per_channel
            rank = (block, item.fold is not None, order.index(value))
            candidates.append((rank, item, other))
    if not candidates:
        return None
    _, fused, residual = max(candidates, key=lambda candidate: candidate[0])
    return fused, residual


def _at_steps(
    builder: Builder, node: OpNode, name: str, scale: float, signed: bool, zero: int
) -> str:
    """What an accumulator is added to: a value in steps of the sum, rescaled if it has others.

    Raises:
        CompileError: what the value can be is no 8-bit number of these steps.
    """
    if _steps(builder, name) == (scale, zero):
        return name
    low, high = (round(real / scale) + zero for real in real_range(builder, name))
    for as_signed in (signed, not signed):
        least, greatest = type_range(as_signed)
        if least <= low and high <= greatest:
            break
    else:
        raise unequal_scales(
            builder,
            node,
            name,
            scale,
            "quantise what the addition reads on both sides, or both at the scale of the sum",
        )
    made = dataclasses.replace(node, outputs=(builder.fresh(f"{node.output}.residual"),))
    conv = identity(builder, node, name)
    return quantize_conv(builder, made, conv, scale, as_signed, zero).value
