"""Quantised additions: one convolution adds the other operand, an integer value, in place."""

import dataclasses

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.convolution import make_conv
from penstock.compiler.importer.lower.scales import integer_bounds, unequal_scales
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear, Stored, Sum


def lower_sum(builder: Builder, node: OpNode, term: Sum, scale: float, signed: bool) -> Stored:
    """clip(left + right), quantised by `node`.

    Both operands stored: the one that is a gated (else the later) int8 convolution takes the
    other as its residual, and saturates to int8 first, as its own quantiser did.
    """
    operands = (term.left, term.right)
    for operand in operands:
        if isinstance(operand, Stored) and builder.values[operand.value].scale != scale:
            hint = "train or calibrate with one scale along the residual chain"
            raise unequal_scales(builder, node, operand.value, scale, hint)
    clamp = integer_bounds(term.low, term.high, scale, signed)
    for operand, other in (operands, operands[::-1]):
        if isinstance(operand, Linear) and isinstance(other, Stored):
            item = make_conv(builder, node, operand, scale, clamp, residual=other.value)
            return builder.add_node(node, item, signed, scale)
    assert isinstance(term.left, Stored) and isinstance(term.right, Stored)
    fused, residual = _choose(builder, term.node, term.left.value, term.right.value)
    item = dataclasses.replace(
        fused, output=node.output, clamp=clamp, residual=residual, saturate_before_add=True
    )
    return builder.add_node(node, item, signed, scale)


def _choose(builder: Builder, node: OpNode, left: str, right: str) -> tuple[ir.Conv, str]:
    """(the convolution that fuses, the residual value)."""
    order = list(builder.nodes)
    candidates = []
    for value, other in ((left, right), (right, left)):
        item = builder.nodes.get(value)
        if isinstance(item, ir.Conv) and item.residual is None and item.clamp == (-128, 127):
            block = item.fold is not None and not item.fold.per_channel
            rank = (block, item.fold is not None, order.index(value))
            candidates.append((rank, item, other))
    if not candidates:
        raise node.error(
            f"neither '{left}' nor '{right}' is a plain int8 convolution the addition could join",
            "add before activating: Conv, Add, Relu, QuantizeLinear",
        )
    _, fused, residual = max(candidates, key=lambda candidate: candidate[0])
    return fused, residual
