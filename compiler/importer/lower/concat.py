"""Concat of maps along their channels: integers side by side, all of one scale and type."""

from collections.abc import Sequence

from penstock.compiler import ir
from penstock.compiler.importer.axes import axis_of
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.values.scales import scale_text
from penstock.compiler.importer.lower.values.stored import UNQUANTIZED, is_stored_map, settle
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import (
    Const,
    Image,
    Joined,
    Linear,
    Pending,
    QuantConst,
    Stored,
    Sum,
    Term,
    Window,
)

HINT_AXIS = "concatenate channels: axis 1 of N x C x H x W"
HINT_SCALE = "quantise all of them with one scale, or quantise behind the Concat"
#: What a quantiser behind it may be behind.
CLIPS = ("Clip", "Concat", "Max", "Min", "Relu")


def lower_concat(builder: Builder, node: OpNode) -> Term:
    """Integer maps become one; what is not quantised yet waits for the quantiser behind."""
    rank = len(builder.net.shapes[node.output])
    if rank != 4 or axis_of(builder.net, node) != 1:
        raise node.error(f"joins axis {node.attrs['axis']} of {rank}", HINT_AXIS)
    parts: list[tuple[str, Term]] = []
    for name in node.inputs:
        term = _part(builder, node, name)
        parts += term.parts if isinstance(term, Joined) else [(name, term)]
    if len(parts) == 1:
        return parts[0][1]
    stored = [term for _, term in parts if isinstance(term, Stored | Pending)]
    alike = len({_codes(builder, term.value) for term in stored}) == 1
    if len(stored) < len(parts) or (not alike and _quantized_behind(builder, node.output)):
        return Joined(node=node, parts=tuple(parts))
    values = [
        settle(builder, node, term, name, zero=True).value
        for (name, _), term in zip(parts, stored, strict=True)
    ]
    return concat_values(builder, node, values, node.output)


def _quantized_behind(builder: Builder, name: str) -> bool:
    """Whether a quantiser reads a tensor, at most clipped or joined again: it has the last word."""
    readers = [node for node in builder.net.nodes if name in node.inputs]
    return bool(readers) and all(
        node.op == "QuantizeLinear"
        or (node.op in CLIPS and _quantized_behind(builder, node.output))
        for node in readers
    )


def _codes(builder: Builder, name: str) -> tuple[float, bool, int]:
    """Scale, signedness and zero point."""
    value = builder.values[name]
    return value.scale, value.signed, value.zero_point


def _part(builder: Builder, node: OpNode, name: str) -> Term:
    """The term of an operand that can be one."""
    term = builder.term(name)
    if isinstance(term, Const | QuantConst):
        raise node.error(
            f"'{name}' is a constant", "a convolution's bias can add what constant channels would"
        )
    image = isinstance(term, Image) or (
        isinstance(term, Stored | Pending) and term.value == builder.net.input
    )
    if image:
        raise node.error(
            f"'{name}' is the network's input", "concatenate maps that layers make, or convolve it"
        )
    if isinstance(term, Stored | Pending) and not is_stored_map(term, builder):
        raise node.error(f"'{name}' is a vector", "concatenate the maps, then average them")
    if isinstance(term, Linear) and term.dense:
        raise node.error(f"'{name}' is a vector", "concatenate the maps, then average them")
    if not isinstance(term, Stored | Pending | Linear | Sum | Window | Joined):
        raise node.error(f"'{name}' is not quantised", UNQUANTIZED)
    return term


def concat_values(builder: Builder, node: OpNode, values: Sequence[str], output: str) -> Stored:
    """The Concat of integer maps in codes of one kind; equal ones are one."""
    first = builder.values[values[0]]
    for value in (builder.values[name] for name in values):
        if (value.scale, value.zero_point) != (first.scale, first.zero_point):
            texts = [
                f"'{v.name}' has scale {scale_text(v.scale)} "
                f"(node '{builder.origin[v.name].label}')"
                for v in (first, value)
            ]
            raise node.error(f"scales that cannot be unified: {', '.join(texts)}", HINT_SCALE)
        if value.signed != first.signed:
            names = [v.name for v in sorted((first, value), key=lambda v: not v.signed)]
            raise node.error(
                f"joins int8 and uint8 maps: '{names[0]}' and '{names[1]}'",
                "quantise all of them as int8, or all as uint8, or quantise behind the Concat",
            )
    key = tuple(values)
    if key not in builder.concats:
        item = ir.Concat(name=node.label, inputs=key, output=output)
        builder.concats[key] = builder.add_node(
            node, item, first.signed, first.scale, first.zero_point
        )
    return builder.concats[key]
