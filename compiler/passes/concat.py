"""Passes: every Concat becomes a range of maps that lie one after the other: an address, no copy.

A map may be part of several Concats, so parts get one order in which as many Concats as can be are
ranges.  Where a Concat's own order is another one, the weights of what reads it are permuted; that
costs nothing.  Where no order serves all, or a part is there twice, parts are copied (POOL of 1x1
windows).  A Concat of Concats is one of their parts.  Legal always; preserve every value but those
of permuted Concats.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from penstock.compiler.ir import (
    Concat,
    Conv,
    Dense,
    Gate,
    Graph,
    IntArray,
    MapPool,
    Node,
    Pool,
    Value,
    inputs_of,
)
from penstock.compiler.passes.analysis import Analysis

#: Parts of one row of which every order is tried; of more, only orders in which they appear.
MAX_PERMUTED = 7

Order = tuple[str, ...]


def copy_of(value: Value, name: str, clamp: tuple[int, int]) -> MapPool:
    """A copy of a map, as value `name`: the maximum over 1x1 windows."""
    return MapPool(name=name, input=value.name, output=name, kernel=1, stride=1, pad=0, clamp=clamp)


def is_map_copy(pool: MapPool) -> bool:
    """Whether `copy_of` made it."""
    return pool.kernel == 1 and pool.stride == 1 and pool.name == pool.output


def flatten_concats(graph: Graph) -> Graph:
    """The graph with Concats of layers' maps alone, each of which something reads."""
    parts: dict[str, Order] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Concat):
            flat = itertools.chain(*(parts.get(name, (name,)) for name in node.inputs))
            node = dataclasses.replace(node, inputs=tuple(flat))
            parts[node.output] = node.inputs
        nodes.append(node)
    needed = set(graph.stored).union(*map(inputs_of, nodes))
    kept = tuple(n for n in nodes if not isinstance(n, Concat) or n.output in needed)
    return dataclasses.replace(graph, nodes=kept)


def place_concats(graph: Graph) -> Graph:
    """The graph with `adjacent`, whose every Concat is a range of it."""
    concats = [node for node in graph.nodes if isinstance(node, Concat)]
    if not concats:
        return graph
    analysis = Analysis(graph=graph)
    ranged: dict[str, Order] = {}  # Concat -> its parts as they lie
    rank: dict[str, int] = {}
    for together in _components([c for c in concats if _addressable(graph, c)]):
        order = _best_order(analysis, together)
        rank |= {part: index for index, part in enumerate(order)}
        fitting = [concat for concat in together if _fits(analysis, concat, order)]
        ranged |= {c.output: tuple(sorted(c.inputs, key=order.index)) for c in fitting}
    placed = _Placed(analysis=analysis, ranged=ranged)
    nodes = tuple(node for item in graph.nodes for node in placed.rewrite(item))
    rows = tuple(_rows([node for node in nodes if isinstance(node, Concat)], rank))
    return dataclasses.replace(graph, nodes=nodes, values=placed.values, adjacent=rows)


def _addressable(graph: Graph, concat: Concat) -> bool:
    """No part is there twice, and none is the image, which is an address of its own."""
    return len(set(concat.inputs)) == len(concat.inputs) and graph.input not in concat.inputs


def _components(concats: Sequence[Concat]) -> list[list[Concat]]:
    """Concats that share parts, directly or through others, in execution order."""
    found: list[list[Concat]] = []
    for concat in concats:
        touched = [
            group for group in found if any(set(c.inputs) & set(concat.inputs) for c in group)
        ]
        found = [group for group in found if group not in touched]
        found.append([*itertools.chain(*touched), concat])
    return found


def _appearance(concats: Iterable[Concat]) -> Order:
    """Parts as they first appear."""
    return tuple(dict.fromkeys(part for concat in concats for part in concat.inputs))


def _best_order(analysis: Analysis, concats: Sequence[Concat]) -> Order:
    """The order of the parts with the fewest bytes in Concats that are no ranges of it."""
    first = _appearance(concats)
    largest = _appearance(sorted(concats, key=lambda concat: -len(concat.inputs)))
    orders: Iterator[Order] = iter((first, largest))
    if len(first) <= MAX_PERMUTED:
        orders = itertools.permutations(first)
    best, least = first, -1
    for order in orders:
        cost = sum(
            int(np.prod(analysis.graph.values[concat.output].shape))
            for concat in concats
            if not _fits(analysis, concat, order)
        )
        if least < 0 or cost < least:
            best, least = order, cost
        if cost == 0:
            break
    return best


def _fits(analysis: Analysis, concat: Concat, order: Order) -> bool:
    """Whether the parts lie one after the other, in their own order if that matters."""
    places = [order.index(part) for part in concat.inputs]
    if places == list(range(places[0], places[0] + len(places))):
        return True
    apart = max(places) - min(places) >= len(places)
    return not apart and _permutable(analysis, concat.output)


def _permutable(analysis: Analysis, value: str) -> bool:
    """Whether all that reads a map has a weight for each of its channels."""
    readers = analysis.readers(value)
    weighted = all(
        (isinstance(node, Conv) and node.groups == 1 and node.residual != value)
        or (
            isinstance(node, Pool)
            and all(isinstance(end, (Gate, Dense)) for end in analysis.readers(node.output))
        )
        for node in readers
    )
    return weighted and value not in analysis.graph.stored


def _rows(concats: Sequence[Concat], rank: dict[str, int]) -> Iterator[Order]:
    """The parts of each component, as they lie: ranges that share a part are of one order."""
    for together in _components(concats):
        parts = _appearance(together)
        yield parts if len(together) == 1 else tuple(sorted(parts, key=rank.__getitem__))


@dataclasses.dataclass(kw_only=True, eq=False)
class _Placed:
    """Rewrites nodes one by one, in execution order."""

    analysis: Analysis
    ranged: dict[str, Order]
    values: dict[str, Value] = dataclasses.field(init=False)
    taken: set[str] = dataclasses.field(init=False)  # parts that lie in some row
    permuted: dict[str, IntArray] = dataclasses.field(default_factory=dict)  # of a map or a vector

    def __post_init__(self) -> None:
        self.values = dict(self.analysis.graph.values)
        self.taken = {part for order in self.ranged.values() for part in order}
        self.taken.add(self.analysis.graph.input)

    def rewrite(self, node: Node) -> Iterator[Node]:
        """The node for the order in memory, after copies that it needs."""
        if isinstance(node, Concat):
            if node.output in self.ranged:
                yield self._ranged(node)
            else:
                yield from self._copied(node)
            return
        channels = self.permuted.get(node.input)
        if channels is None:
            yield node
        elif isinstance(node, Pool):
            self.permuted[node.output] = channels
            yield node
        else:
            assert isinstance(node, (Conv, Gate, Dense))
            if isinstance(node, Conv) and node.pixels > 1:
                pixels = np.arange(node.pixels)
                channels = (channels[:, None] * node.pixels + pixels).reshape(-1)
            yield dataclasses.replace(node, weight=node.weight[:, channels])

    def _ranged(self, concat: Concat) -> Concat:
        order = self.ranged[concat.output]
        if order != concat.inputs:
            starts, first = {}, 0
            for part in concat.inputs:
                starts[part] = first
                first += self.values[part].shape[0]
            self.permuted[concat.output] = np.concatenate(
                [starts[part] + np.arange(self.values[part].shape[0]) for part in order]
            )
        return dataclasses.replace(concat, inputs=order)

    def _copied(self, concat: Concat) -> Iterator[Node]:
        """The Concat of copies of what has a place already, and of the other parts themselves."""
        parts = []
        for index, part in enumerate(concat.inputs):
            if part in self.taken:
                name = f"{concat.output}.copy{index}"
                value = self.values[part]
                self.values[name] = dataclasses.replace(value, name=name)
                yield copy_of(value, name, self.analysis.range(part))
                part = name
            self.taken.add(part)
            parts.append(part)
        yield dataclasses.replace(concat, inputs=tuple(parts))
