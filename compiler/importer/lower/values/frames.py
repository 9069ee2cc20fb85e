"""Parts of maps, and maps with a border: `ir.Frame` nodes."""

from collections.abc import Sequence

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Part, Stored


def framed(
    builder: Builder,
    node: OpNode,
    value: str,
    part: Part | None,
    output: str,
    *,
    fill: int | None = None,
    channels: Sequence[int] = (),
) -> Stored:
    """`part` of an integer map, or some of its channels, as value `output`; `fill`, or the code of
    0, where it is not on the map.  What was made before is given again."""
    source = builder.values[value]
    sides = source.shape[1:]
    part = part or Part(top=0, left=0, height=sides[0], width=sides[1], steps=(1, 1))
    fill = source.zero_point if fill is None else fill
    key = ("frame", value, part, fill, tuple(channels))
    if key in builder.made:
        return Stored(value=builder.made[key].value)
    output = builder.fresh(output) if output in builder.values else output
    item = ir.Frame(
        name=output,
        input=value,
        output=output,
        top=part.top,
        left=part.left,
        height=part.height,
        width=part.width,
        fill=fill,
        channels=tuple(channels),
        steps=part.steps,
    )
    made = builder.add_node(node, item, source.signed, source.scale, source.zero_point)
    builder.made[key] = made
    return made
