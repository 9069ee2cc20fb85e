"""The ir.Conv of an accumulator, and what it makes."""

import dataclasses

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.layers.bias import fit
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.scales import integer_bounds, zero_point_error
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear, Part, Stored
from penstock.compiler.numerics import SCORE_ONE
from penstock.program.base.arith import ceil_div


def add_conv(
    builder: Builder,
    node: OpNode,
    term: Linear,
    scale: float,
    clamp: tuple[int, int],
    signed: bool,
    *,
    zero: int = 0,
    residual: str | None = None,
    whole_residual: bool = False,
) -> Stored:
    """The value of a convolution; of one of which a part is wanted, that part of its map.

    Its residual then is as large as what the core makes (it is that already with
    `whole_residual`): the rest of it counts nothing.
    """
    part = term.part
    if part is None:
        item = make_conv(builder, node, term, scale, clamp, residual)
        return builder.add_node(node, item, signed, scale, zero)
    if residual is not None and not whole_residual:
        if part.steps != (1, 1):
            raise node.error(
                "adds to a convolution whose strides the core makes in two steps",
                "quantise the convolution before the addition",
            )
        height, width = (
            ceil_div(side, term.stride) for side in builder.values[term.input].shape[1:]
        )
        around = Part(top=-part.top, left=-part.left, height=height, width=width, steps=(1, 1))
        residual = framed(builder, node, residual, around, f"{node.output}.residual").value
    whole = dataclasses.replace(node, outputs=(builder.fresh(f"{node.output}.whole"),))
    item = make_conv(builder, whole, term, scale, clamp, residual)
    made = builder.add_node(node, item, signed, scale, zero)
    return framed(builder, node, made.value, part, node.output)


def make_conv(
    builder: Builder,
    node: OpNode,
    term: Linear,
    scale: float,
    clamp: tuple[int, int],
    residual: str | None = None,
) -> ir.Conv:
    """A convolution requantised to `scale`, writing the output of quantiser `node`."""
    fold, unit = None, 1.0
    if term.score is not None:
        fold = ir.Fold(scores=term.score, per_channel=term.per_channel)
        unit = builder.values[term.score].scale * SCORE_ONE  # what a score of 128 stands for
    fitted = fit(builder, term, scale)
    builder.note_rounding(term.node, fitted.error, fitted.finer)
    return ir.Conv(
        name=term.node.label,
        input=term.input,
        output=node.output,
        weight=fitted.weight,
        bias=fitted.bias,
        requantize=builder.requantize(term.node, fitted.scale * unit / scale),
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

    A score would scale the bias too: behind one the zero point is there before, and is added to.

    Raises:
        CompileError: it would have to be, behind a stride.
    """
    clamp = integer_bounds(term.low, term.high, scale, signed, zero)
    if zero and term.score is not None:
        before = _filled(builder, node, term, scale, signed, zero)
        made = add_conv(
            builder,
            node,
            term,
            scale,
            clamp,
            signed,
            zero=zero,
            residual=before,
            whole_residual=True,
        )
    else:
        moved = dataclasses.replace(term, offset=term.offset + zero * scale)
        made = add_conv(builder, node, moved, scale, clamp, signed, zero=zero)
    builder.convolutions[made.value] = term
    return made


def _filled(
    builder: Builder, node: OpNode, term: Linear, scale: float, signed: bool, zero: int
) -> str:
    """A map of one code, as large as what a convolution makes of its input."""
    if term.stride != 1 or term.pixels != 1:
        raise zero_point_error(node, zero)
    outputs = len(term.bias)
    item = ir.Conv(
        name=f"{term.node.label}.zero",
        input=term.input,
        output=builder.fresh(f"{node.output}.zero"),
        weight=np.zeros((outputs, 0, 1, 1), np.int8),
        bias=np.zeros(outputs, np.int32),
        requantize=ir.Requantize(
            multiplier=np.zeros(outputs, np.uint16), shift=np.ones(outputs, np.uint8)
        ),
        stride=1,
        clamp=(zero, zero),
    )
    return builder.add_node(node, item, signed, scale, zero).value
