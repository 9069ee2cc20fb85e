"""Where values lie: in buffers of their own, in place of others, or in rows of Concats' parts."""

import dataclasses
import itertools
from collections.abc import Iterator

from penstock.compiler.ir import Concat
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.plan.steps import Buffer, CopyStep, Place


@dataclasses.dataclass(kw_only=True, eq=False)
class Places:
    """Buffers, pool regions and places, filled in while steps are scheduled in order."""

    analysis: Analysis
    paired: frozenset[tuple[str, ...]] = frozenset()  # rows whose two parts lie in turn
    of: dict[str, Place] = dataclasses.field(default_factory=dict)  # value -> where it lies
    buffers: dict[str, Buffer] = dataclasses.field(default_factory=dict)
    pools: dict[str, int] = dataclasses.field(default_factory=dict)  # region -> channels
    slots: dict[str, tuple[Buffer, int]] = dataclasses.field(init=False)
    copied: set[str] = dataclasses.field(default_factory=set)  # parts with a polyphase copy

    def __post_init__(self) -> None:
        self.slots = self._slots()

    def _slots(self) -> dict[str, tuple[Buffer, int]]:
        """Values that lie in a row of parts of Concats: the row, and their first channel there.

        What a part is added to in place lies there before it.
        """
        found: dict[str, tuple[Buffer, int]] = {}
        graph = self.analysis.graph
        concats = [layer for layer in self.analysis.layers if isinstance(layer, Concat)]
        for row in graph.adjacent:
            sizes = [graph.values[part].shape[0] for part in row]
            firsts = [sum(sizes[:index]) for index in range(len(row))]
            whole = [concat.output for concat in concats if concat.inputs == row]
            buffer = Buffer(
                name=whole[0] if whole else f"{row[0]}+{len(row) - 1}",
                shape=(sum(sizes), *graph.values[row[0]].shape[1:]),
                parts=tuple(zip(row, firsts, strict=True)),
                paired=row in self.paired,
            )
            found |= {part: (buffer, first) for part, first in buffer.parts}
        for conv in reversed(self.analysis.convs):
            if conv.residual and conv.output in found:
                found.setdefault(conv.residual, found[conv.output])
        return found

    def new(self, value: str) -> Place:
        """Where a value will lie: in its row, or in a buffer of its own."""
        made = self.analysis.graph.values[value]
        alone = Buffer(name=value, shape=made.shape, code_bytes=made.code_bytes)
        buffer, first = self.slots.get(value) or (alone, 0)
        self.buffers.setdefault(buffer.name, buffer)
        self.of[value] = Place(buffer=buffer.name, first=first)
        return self.of[value]

    def region(self, value: str) -> str:
        """The pool region of a map: one for a chain of maps in one buffer."""
        region = self.of[value].buffer
        self.pools[region] = self.buffers[region].shape[0]
        return region

    def parts(self, value: str) -> tuple[str, ...]:
        """The parts of a Concat, or the value if it is one of another's; else none."""
        made = self.analysis.producer.get(value)
        if isinstance(made, Concat):
            return made.inputs
        rows = (row for row in self.analysis.graph.adjacent if row not in self.paired)
        return (value,) if value in itertools.chain(*rows) else ()

    def polyphase(self, value: str) -> Place:
        """Where the copy of a map in polyphase layout lies.

        Rows of parts have copies in rows; what else lies in a row for a while has one of its own.
        """
        place = self.of[value]
        buffer = self.buffers[place.buffer]
        if not self.parts(value):
            buffer = Buffer(name=value, shape=self.analysis.graph.values[value].shape)
            place = Place(buffer=value)
        name = f"{place.buffer}.polyphase"
        parts = tuple((f"{part}.polyphase", first) for part, first in buffer.parts)
        copy = dataclasses.replace(buffer, name=name, polyphase=True, parts=parts)
        self.buffers.setdefault(name, copy)
        return Place(buffer=name, first=place.first)

    def copy_parts(self, parts: tuple[str, ...]) -> Iterator[CopyStep]:
        """COPYs to polyphase layout of those parts that have none yet, neighbours together."""
        for done, run in itertools.groupby(parts, lambda part: part in self.copied):
            if not done:
                yield self._copy(list(run))
        self.copied.update(parts)

    def _copy(self, parts: list[str]) -> CopyStep:
        """One COPY of maps that lie one after the other."""
        values = [self.analysis.graph.values[part] for part in parts]
        name = f"{parts[0]}+{len(parts) - 1}" if len(parts) > 1 else parts[0]
        shape = (sum(value.shape[0] for value in values), *values[0].shape[1:])
        src, dst = self.of[parts[0]], self.polyphase(parts[0])
        return CopyStep(
            name=f"{name}.polyphase",
            value=dataclasses.replace(values[0], name=name, shape=shape),
            src=src.buffer,
            dst=dst.buffer,
            src_first=src.first,
            dst_first=dst.first,
        )
