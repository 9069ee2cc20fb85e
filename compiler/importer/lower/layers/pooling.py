"""Global averages, and the reshapes around them."""

from penstock.compiler.importer.axes import axes_of, permutation_of
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.values.shapes import shape_of
from penstock.compiler.importer.lower.values.stored import stored_input
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import (
    Binary,
    Function,
    Linear,
    Logistic,
    Loose,
    Mean,
    Pending,
    QuantConst,
    Stored,
    Term,
)


def lower_mean(builder: Builder, node: OpNode) -> Term:
    """GlobalAveragePool, ReduceMean over (2, 3)."""
    value = stored_input(builder, node, 0, zero=True)
    shape = builder.values[value].shape
    if len(shape) != 3:
        raise node.error(f"'{value}' is not a map")
    if node.op == "ReduceMean" and sorted(axes_of(builder.net, node) or ()) != [2, 3]:
        raise node.error("averages over other axes than (2, 3)", "average over height and width")
    return Mean(node=node, value=value)


def lower_view(builder: Builder, node: OpNode) -> Term:
    """Flatten, Reshape, Squeeze, Unsqueeze of a vector: the same integers."""
    term = builder.term(node.inputs[0])
    before, after = builder.net.shapes[node.inputs[0]], builder.net.shapes[node.output]
    pixel = shape_of(builder, term)[1:] == (1, 1)
    vector = (
        isinstance(term, Mean | Logistic | Binary)
        or (isinstance(term, Linear) and term.dense)
        or (isinstance(term, Stored | Pending | Function) and len(shape_of(builder, term)) == 1)
        or (isinstance(term, Loose) and len(shape_of(builder, term)) == 1)
    )
    if before == after or ((vector or pixel) and _long(before) == _long(after)):
        return term
    raise node.error(
        f"reshapes {tuple(before)} to {tuple(after)}",
        "only pooled vectors may be reshaped: put a global average before the classifier",
    )


def lower_transpose(builder: Builder, node: OpNode) -> Term:
    """Transpose of a dequantised weight matrix."""
    term = builder.term(node.inputs[0])
    if isinstance(term, QuantConst) and term.integers.ndim == 2:
        if permutation_of(builder.net, node) == (1, 0):
            return QuantConst(integers=term.integers.T, scale=term.scale, axis=1 - term.axis)
        return term
    raise node.error("only weight matrices may be transposed")


def _long(shape: tuple[int, ...]) -> list[int]:
    """The dimensions other than 1."""
    return [size for size in shape if size != 1]
