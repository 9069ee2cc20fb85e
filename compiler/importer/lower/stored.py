"""Operands that must be integer values of the graph."""

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.scales import integer_bounds, scale_text
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Image, Shuffled, Stored

UNQUANTIZED = "put QuantizeLinear and DequantizeLinear before it"


def stored_input(builder: Builder, node: OpNode, index: int) -> str:
    """The integer value that input `index` of a layer reads; a pending clip is carried out."""
    name = node.inputs[index]
    term = builder.term(name)
    if isinstance(term, Shuffled):
        raise node.error(f"reads the reordered channels of '{name}'", "only convolutions read them")
    if not isinstance(term, Stored):
        what = "the image" if isinstance(term, Image) else f"'{name}'"
        raise node.error(f"its input {what} is not quantised", UNQUANTIZED)
    return settle(builder, node, term, name).value


def shuffled_input(builder: Builder, node: OpNode, index: int) -> tuple[str, tuple[int, ...]]:
    """`stored_input` and the order in which a Gather before it puts the channels, () if none."""
    term = builder.term(node.inputs[index])
    if isinstance(term, Shuffled):
        return settle(builder, node, term.stored, node.inputs[index]).value, term.order
    return stored_input(builder, node, index), ()


def settle(builder: Builder, node: OpNode, term: Stored, name: str) -> Stored:
    """A value with no pending clip.  The clip's bounds must lie on the value's grid."""
    value = builder.values[term.value]
    if not np.isfinite([term.low, term.high]).any():
        return term
    least, greatest = (step * value.scale for step in builder.integer_range(term.value))
    bounds = integer_bounds(term.low, term.high, value.scale, value.signed)
    for real, step in zip((term.low, term.high), bounds, strict=True):
        on_grid = np.float32(real) == np.float32(step) * np.float32(value.scale)
        if least < real < greatest and not on_grid:
            raise node.error(
                f"'{name}' is clipped at {real:.6g}, no multiple of its scale "
                f"{scale_text(value.scale)}",
                "quantise after the activation",
            )
    return builder.narrow(node, term.value, bounds, value.signed, name)
