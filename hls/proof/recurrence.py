"""What of a pipelined loop an iteration must know of the one before, and how long that takes.

A cycle of dependences that spans n iterations limits the loop to its delay / n an iteration; with
II = 1 that is a clock period.  Values are carried by registers and by memories; a block RAM takes
the rest of its cycle, so a cycle through one never closes in one iteration.
"""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator

from penstock.hls.proof import delays
from penstock.hls.proof.cycles import Edge, longest
from penstock.hls.proof.graph import Block, Graph, Loop, Op
from penstock.hls.proof.storage import Access, Memory, may_meet

#: The loop itself: whether there is another iteration.
ROOT = "(next iteration)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A cycle of a loop: ns an iteration, and values on it."""

    delay: float
    through: tuple[str, ...]


def recurrences(graph: Graph, memory: Memory, loop: Loop, period: float) -> list[Recurrence]:
    """The cycle of dependences with the longest delay an iteration of each group of values that
    depend on each other, the slowest first; `period` in ns."""
    dependences = _Dependences(graph, memory, loop, period)
    found = longest(dependences.edges())
    return [Recurrence(delay=delay, through=tuple(through)) for delay, through in found]


class _Dependences:
    def __init__(self, graph: Graph, memory: Memory, loop: Loop, period: float) -> None:
        self.graph, self.memory, self.loop, self.period = graph, memory, loop, period
        self.accesses = list(memory.accesses(graph, loop))
        self.ops = {op.name: op for op in graph.ops_of(loop)}
        self.widths = memory.widths

    def edges(self) -> list[Edge]:
        """(from, to, delay of `to`, iterations between them)."""
        return [*self._values(), *self._conditions(), *self._memory()]

    def _cost(self, op: Op) -> float:
        return delays.delay(op, self.widths.of(op))

    def _values(self) -> Iterator[Edge]:
        for op in self.ops.values():
            if op.opcode != "phi":
                for operand in op.operands:
                    if operand in self.ops:
                        yield operand, op.name, self._cost(op), 0
                continue
            carried = op.block == self.loop.header
            cost = 0.0 if carried else self._cost(op)
            for operand, source in zip(op.operands, op.sources, strict=True):
                if operand in self.ops and source in self.loop:
                    yield operand, op.name, cost, int(carried)

    def _conditions(self) -> Iterator[Edge]:
        """Which blocks run: what selects the values of a phi and enables a store."""
        for name in self.loop.blocks:
            block = self.graph.blocks[name]
            if name == self.loop.header:
                yield ROOT, _run(name), 0.0, 0
            else:
                yield from self._reached(block)
            for op in block.ops:
                if op.opcode == "phi" and name != self.loop.header:
                    for source in op.sources:
                        yield from self._taken(source, op.name, self._cost(op))
                elif op.opcode in ("store", "call"):
                    yield _run(name), op.name, delays.ENABLE, 0
            if any(s not in self.loop for s in block.successors) and block.condition in self.ops:
                yield block.condition, ROOT, delays.ENABLE, 1
                yield _run(name), ROOT, delays.ENABLE, 1

    def _reached(self, block: Block) -> Iterator[Edge]:
        """A block that ends all ways from its dominator runs when that does."""
        above = self.graph.dominators[block.name]
        if self._joins(above, block.name):
            yield _run(above), _run(block.name), 0.0, 0
            return
        for source in block.predecessors:
            if source in self.loop:
                yield from self._taken(source, _run(block.name), delays.ENABLE)

    def _taken(self, source: str, to: str, cost: float) -> Iterator[Edge]:
        """The way from a block to one behind it."""
        block = self.graph.blocks[source]
        if len(block.successors) > 1 and block.condition in self.ops:
            yield block.condition, to, cost, 0
        yield _run(source), to, cost, 0

    def _joins(self, above: str, name: str) -> bool:
        """Every way through the loop's body from `above` goes through `name`, unless it leaves."""
        seen, stack = {name}, [above]
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            inside = [s for s in self.graph.blocks[at].successors if s in self.loop]
            if self.loop.header in inside or not inside:
                return False
            stack += inside
        return True

    def _memory(self) -> Iterator[Edge]:
        """From a write to the reads that may see it: in the same iteration, or in the next."""
        place = {name: i for i, name in enumerate(self.ops)}
        by_array: dict[object, list[Access]] = defaultdict(list)
        for access in self.accesses:
            by_array[access.storage].append(access)
        for accesses in by_array.values():
            reads = [a for a in accesses if not a.write]
            for write, read in itertools.product((a for a in accesses if a.write), reads):
                if not may_meet(write, read) or write.op is read.op:
                    continue
                ahead = place[write.op.name] < place[read.op.name]
                if ahead:
                    yield write.op.name, read.op.name, self._read(read), 0
                elif (self.loop.label, read.storage.name) not in self.memory.pragmas.independent:
                    yield write.op.name, read.op.name, self._read(read), 1
            for read in reads:
                # The address selects what is read.
                for operand in read.op.operands:
                    if operand in self.ops:
                        yield operand, read.op.name, self._read(read), 0

    def _read(self, access: Access) -> float:
        """A register's multiplexer, or a memory's cycle."""
        storage = access.storage
        if not storage.registers:
            return self.period + delays.RAM_OUT
        chosen = bool(access.address.offset.terms)
        return delays.mux(storage.type.size // max(access.size, 1)) if chosen else 0.0


def _run(block: str) -> str:
    """The node of a block's condition."""
    return f"({block})"
