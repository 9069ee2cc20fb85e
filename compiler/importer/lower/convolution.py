"""The ir.Conv of an accumulator."""

import dataclasses

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.bias import fit
from penstock.compiler.importer.lower.scales import integer_bounds, zero_point_error
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear, Stored


def make_conv(
    builder: Builder,
    node: OpNode,
    term: Linear,
    scale: float,
    clamp: tuple[int, int],
    residual: str | None = None,
) -> ir.Conv:
    """A convolution requantised to `scale`, writing the output of quantiser `node`."""
    fold = None
    if term.score is not None:
        fold = ir.Fold(scores=term.score, per_channel=term.per_channel)
    fitted = fit(builder, term, scale)
    builder.note_rounding(term.node, fitted.error, fitted.finer)
    return ir.Conv(
        name=term.node.label,
        input=term.input,
        output=node.output,
        weight=fitted.weight,
        bias=fitted.bias,
        requantize=builder.requantize(term.node, fitted.scale / scale),
        stride=term.stride,
        clamp=clamp,
        fold=fold,
        residual=residual,
        groups=term.groups,
        order=term.order,
        pixels=term.pixels,
        pad=builder.values[term.input].zero_point if fitted.weight.shape[2] > 1 else 0,
    )


def quantize_conv(
    builder: Builder, node: OpNode, term: Linear, scale: float, signed: bool, zero: int = 0
) -> Stored:
    """A map in codes with zero point `zero`, which is part of its bias.

    Raises:
        CompileError: a score would scale the zero point with the rest.
    """
    if zero and term.score is not None:
        raise zero_point_error(node, zero)
    clamp = integer_bounds(term.low, term.high, scale, signed, zero)
    moved = dataclasses.replace(term, offset=term.offset + zero * scale)
    item = make_conv(builder, node, moved, scale, clamp)
    made = builder.add_node(node, item, signed, scale, zero)
    builder.convolutions[made.value] = term
    return made
