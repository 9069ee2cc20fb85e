"""Questions the scheduling passes ask about a graph."""

import dataclasses
import functools
from collections.abc import Set

import numpy as np

from penstock.compiler.ir import (
    Concat,
    Conv,
    Dense,
    Fold,
    Frame,
    Gate,
    Graph,
    IntArray,
    Interleave,
    Lookup,
    MapPool,
    Node,
    Pool,
)
from penstock.compiler.numerics import requantize, type_range


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Producers, readers and skip properties of a graph's convolutions."""

    graph: Graph

    @functools.cached_property
    def convs(self) -> tuple[Conv, ...]:
        """Convolutions in execution order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Conv))

    @functools.cached_property
    def layers(self) -> tuple[Conv | MapPool | Frame | Interleave | Concat, ...]:
        """What makes maps, in execution order."""
        kinds = (Conv, MapPool, Frame, Interleave, Concat)
        return tuple(node for node in self.graph.nodes if isinstance(node, kinds))

    @functools.cached_property
    def position(self) -> dict[str, int]:
        """Value -> index of the layer that makes it; the graph's input: -1."""
        return {self.graph.input: -1} | {layer.output: i for i, layer in enumerate(self.layers)}

    @functools.cached_property
    def producer(self) -> dict[str, Node]:
        """Value -> the node that makes it."""
        return {node.output: node for node in self.graph.nodes}

    @functools.cached_property
    def pooled(self) -> dict[str, Pool]:
        """Value -> the average that makes it: what gates and dense layers read."""
        return {node.output: node for node in self.graph.nodes if isinstance(node, Pool)}

    @functools.cached_property
    def _readers(self) -> dict[str, list[Node]]:
        table: dict[str, list[Node]] = {}
        for node in self.graph.nodes:
            names = set(node.inputs) if isinstance(node, Concat) else {node.input}
            if isinstance(node, Conv):
                names = names if node.weight.shape[1] else set()
                names |= {node.residual} if node.residual else set()
            for name in names:
                table.setdefault(name, []).append(node)
        return table

    def readers(self, value: str) -> list[Node]:
        """Nodes that read a value (folds not counted), in order."""
        return self._readers.get(value, [])

    def views(self, value: str) -> list[str]:
        """The map itself, and every Concat of it."""
        readers = self.readers(value)
        return [value, *(node.output for node in readers if isinstance(node, Concat))]

    def pools(self, value: str) -> list[Pool]:
        """Global pools of a map."""
        return [node for node in self.readers(value) if isinstance(node, Pool)]

    def gate_source(self, scores: str) -> str:
        """The map whose pool decides a gate, through dense layers between them."""
        layer = self.producer[scores]
        while isinstance(layer, Gate | Dense):
            pool = self.pooled[layer.input]
            source, layer = pool.input, self.producer.get(pool.input, pool)
        return source

    def mask(self, conv: Conv) -> Fold | None:
        """The scores of a convolution, if a score of 0 means that something is skipped."""
        gate = self.producer[conv.fold.scores] if conv.fold else None
        return conv.fold if isinstance(gate, Gate) and gate.decides else None

    def scales(self, conv: Conv) -> bool:
        """Whether a convolution is a map times a sigmoid's scores and nothing else."""
        plain = conv.weight.shape[1:] == (1, 1, 1) and conv.groups == len(conv.weight)
        one = plain and bool((conv.weight == 1).all()) and not conv.bias.any()
        return one and conv.fold is not None and self.mask(conv) is None

    @functools.cached_property
    def deciding(self) -> frozenset[str]:
        """Values that gates alone are computed from: the maps and vectors of gate networks."""
        found: set[str] = set()
        for node in reversed(self.graph.nodes):
            readers = self.readers(node.output)
            alone = bool(readers) and all(
                self._decides(reader, found) if isinstance(reader, Gate) else reader.output in found
                for reader in readers
            )
            if alone and not isinstance(node, Gate) and node.output not in self.graph.stored:
                found.add(node.output)
        return frozenset(found)

    def of_gates(self, gate: Gate) -> bool:
        """Whether a gate decides, or is a sigmoid in another one's network."""
        return self._decides(gate, self.deciding)

    def _decides(self, gate: Gate, found: Set[str]) -> bool:
        folded = [conv for conv in self.convs if conv.fold and conv.fold.scores == gate.output]
        return gate.decides or all(conv.output in found for conv in folded)

    def only_conv_input(self, value: str) -> list[Conv] | None:
        """The readers, if each is a convolution and reads the value as its input alone."""
        readers = self.readers(value)
        convs = [node for node in readers if isinstance(node, Conv) and node.residual != value]
        if value in self.graph.stored or len(convs) != len(readers) or not readers:
            return None
        return convs

    def survivors(self, value: str) -> str | None:
        """Gate whose survivors are the only channels of `value` that can be non-zero."""
        node = self.producer.get(value)
        if isinstance(node, Conv) and _keeps_zeros(node):
            return self.survivors(node.input)
        mask = self.mask(node) if isinstance(node, Conv) else None
        if not isinstance(node, Conv) or mask is None or not mask.per_channel:
            return None
        return mask.scores if node.residual is None and makes_zero(node, 0) else None

    def range(self, value: str) -> tuple[int, int]:
        """Least and greatest value a map can hold."""
        node = self.producer.get(value)
        if isinstance(node, Conv) and node.table is not None:
            return int(node.table.min()), int(node.table.max())
        if isinstance(node, Lookup):
            return int(node.entries.min()), int(node.entries.max())
        if isinstance(node, (Conv, MapPool)):
            return node.clamp
        if isinstance(node, Concat):
            lows, highs = zip(*map(self.range, node.inputs), strict=True)
            return min(lows), max(highs)
        if isinstance(node, Interleave):
            return self.range(node.input)
        if isinstance(node, Frame):
            low, high = self.range(node.input)
            return min(low, node.fill), max(high, node.fill)
        return type_range(self.graph.values[value].signed)

    def needs_sums(self, value: str) -> bool:
        """Whether the sums of a map or a Concat of it are read, or of what continues it in place.

        A later in-place convolution that is skipped, whole or in part, leaves them as they are.
        """
        return any(map(self.pools, self.views(value))) or (
            isinstance(self.producer.get(value), Conv)
            and any(
                node.residual == value
                and self.mask(node) is not None
                and self.skip_is_identity(node)
                and self.needs_sums(node.output)
                for node in self.readers(value)
                if isinstance(node, Conv)
            )
        )

    def skip_is_identity(self, conv: Conv) -> bool:
        """Where the score of a gated residual convolution is 0, every byte stays as it was."""
        if conv.residual is None or conv.table is not None:
            return False
        low, high = self.range(conv.residual)
        covered = conv.clamp[0] <= low and high <= conv.clamp[1]
        values = self.graph.values
        same_code = values[conv.residual].signed == values[conv.output].signed
        return covered and (same_code or (low >= 0 and high <= 127))


def _keeps_zeros(conv: Conv) -> bool:
    """A depthwise convolution, or a batch norm, that makes zeros of every channel of zeros.

    In general it does not: a masked channel of a pre-activation network is relu(beta - mu * gamma /
    sigma) behind the next batch norm, and must be read.
    """
    if not conv.depthwise or conv.fold is not None or conv.residual is not None or conv.pad:
        return False
    factors = conv.requantize
    return makes_zero(
        conv, requantize(conv.bias.astype(np.int64), factors.multiplier, factors.shift)
    )


def makes_zero(conv: Conv, sums: IntArray | int) -> bool:
    """Whether a convolution makes 0 of requantised sums, by its clamp and its table."""
    codes = np.clip(sums, *conv.clamp)
    return not (codes if conv.table is None else conv.table[codes & 0xFF]).any()
