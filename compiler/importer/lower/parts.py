"""Slices and selections of integer maps: channels and pixels that are moved, no arithmetic."""

from collections.abc import Mapping, Sequence

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.stored import limited, pending
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Part, Pending, Stored, Term


def sliced(
    builder: Builder, node: OpNode, term: Stored | Pending, slices: Mapping[int, slice]
) -> Term:
    """A slice of a map along some axes, counted from 0 with the batch, as value node.output.

    Raises:
        CompileError: it takes nothing, goes backwards, or takes some images of a batch.
    """
    value = limited(builder, node, term, node.inputs[0], zero=True)
    sides = (1, *builder.values[value].shape)
    taken = [range(side)[slices.get(axis, slice(None))] for axis, side in enumerate(sides)]
    if taken[0] != range(1):
        raise node.error("takes some images of a batch", "a network runs image by image")
    if min(map(len, taken)) < 1 or min(each.step for each in taken[2:]) < 1:
        raise node.error(f"takes {[len(each) for each in taken]} of {list(sides)}, or backwards")
    if all(each == range(side) for each, side in zip(taken, sides, strict=True)):
        return term
    order = pending(term).order or tuple(range(sides[1]))
    rows, columns = taken[2:]
    part = Part(
        top=rows.start,
        left=columns.start,
        height=len(rows),
        width=len(columns),
        steps=(rows.step, columns.step),
    )
    channels = [order[channel] for channel in taken[1]]
    if channels == list(range(sides[1])):
        channels = []
    return framed(builder, node, value, part, node.output, channels=channels)


def channels_of(
    builder: Builder, node: OpNode, term: Stored | Pending, channels: Sequence[int]
) -> Stored:
    """Some channels of a map, each as often as it is named, as value node.output."""
    value = limited(builder, node, term, node.inputs[0], zero=True)
    order = pending(term).order or tuple(range(builder.values[value].shape[0]))
    return framed(
        builder, node, value, None, node.output, channels=[order[channel] for channel in channels]
    )
