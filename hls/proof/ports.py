"""How many times an iteration reads and writes each memory, against the ports it is bound to."""

import dataclasses
from collections import defaultdict

from penstock.hls.proof.graph import Graph, Loop
from penstock.hls.proof.linear import Address
from penstock.hls.proof.storage import Access, Memory, Storage, banks


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The most that one iteration does with one memory of an array."""

    storage: Storage
    reads: int
    writes: int

    @property
    def fits(self) -> bool:
        """Its ports are enough."""
        storage = self.storage
        fits = self.reads <= storage.reads and self.writes <= storage.writes
        return fits and self.reads + self.writes <= storage.ports


def port_uses(graph: Graph, memory: Memory, loop: Loop) -> list[Use]:
    """The busiest memory of every array that is one, by the array's name."""
    found: dict[tuple[Storage, int], list[Access]] = defaultdict(list)
    for access in memory.accesses(graph, loop):
        if not access.storage.registers:
            for bank in banks(access):
                found[access.storage, bank].append(access)
    worst: dict[str, Use] = {}
    for (storage, _), accesses in found.items():
        use = Use(
            storage=storage,
            reads=_most(graph, loop, [a for a in accesses if not a.write]),
            writes=_most(graph, loop, [a for a in accesses if a.write]),
        )
        known = worst.get(storage.name)
        if known is None or (known.reads, known.writes) < (use.reads, use.writes):
            worst[storage.name] = use
    return [worst[name] for name in sorted(worst)]


def _most(graph: Graph, loop: Loop, accesses: list[Access]) -> int:
    """The most addresses on any way through the loop's body: what excludes each other shares a
    port."""
    here: dict[str, set[Address]] = defaultdict(set)
    for access in accesses:
        here[access.op.block].add(access.address)
    most: dict[str, int] = {}
    for name in graph.order:
        if name in loop:
            before = [most[p] for p in graph.blocks[name].predecessors if p in most]
            most[name] = max(before, default=0) + len(here[name])
    return max(most.values(), default=0)
