"""The work of every layer of a traced network, and which gate scores rule out what of it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from penstock.model.trace.nodes import named, shape_of
from penstock.model.trace.outputs import Returned, unviewed
from penstock.model.trace.scores import MULTIPLIES

#: Of what a path of modules cannot change: a map, channel by channel.
KEEP = (nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Identity, nn.Dropout)
KEEPS = {
    *("relu", "clamp", "max_pool2d", "avg_pool2d", "boolean_dispatch", "dropout", "relu_"),
    *MULTIPLIES,
}
#: A score by its place: (what decided, None for the block's own or the number of a channel gate).
Ref = tuple[int, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One convolution, dense layer, or batch norm that follows neither.

    `pairs`: multiply-accumulates of a pair of output and input channel; a batch norm has none.
    `normed`: values a batch norm behind it puts out, for a channel.  `block`, `writes`, `reads`:
    the scores that rule out all of it, output channels, input channels.
    """

    path: str
    outputs: int
    inputs: int
    pairs: int
    normed: int
    gate: bool
    block: Ref | None = None
    writes: Ref | None = None
    reads: Ref | None = None

    @property
    def macs(self) -> int:
        """MACs of an image with every gate open."""
        return self.outputs * self.inputs * self.pairs


def layers_of(traced: fx.GraphModule, found: Returned | None = None) -> list[Layer]:
    """The layers of a network that returns ((early exits..., logits), what was decided).

    What was decided is a list of (a block's score or None, [its channel gates' scores]).  `found`:
    what a network that returns other things does.  Early exits' heads are left out; layers that
    nothing but scores comes of are gates.
    """
    walk = _Walk(traced, found)
    return [layer for node in traced.graph.nodes if (layer := walk.layer(node)) is not None]


class _Walk:
    def __init__(self, traced: fx.GraphModule, found: Returned | None) -> None:
        self.net, self.nodes, self.found = traced, list(traced.graph.nodes), found
        self.own: fx.Node
        if found is None:
            (logits, decided), *_ = self.nodes[-1].args
            self.own, self.refs = logits[-1], _references(decided)
        else:
            self.own, self.refs = found.own, _gates_of(found)
        self.rests = {
            node.args[1]: node
            for node in self.nodes
            if node.target is operator.sub and node.args[0] == 1  # 1 - score, not z1 - z0
        }
        self.gates: set[fx.Node] = set()
        self.beside: set[fx.Node] = set()  # of early exits alone
        self.blocks: dict[fx.Node, Ref | None] = {}
        self.writes: dict[fx.Node, Ref | None] = {}
        self.reads: dict[fx.Node, Ref | None] = {}
        for node in reversed(self.nodes[:-1]):
            self._backward(node)
        for node in self.nodes:
            self.reads[node] = self._behind(node)

    def layer(self, node: fx.Node) -> Layer | None:
        """The layer that a node is, if it is one that counts."""
        module = self._module(node)
        if node in self.beside:
            return None
        if isinstance(module, nn.BatchNorm2d):
            if self._folded(node.all_input_nodes[0]):
                return None
            return Layer(
                path=str(node.target),
                outputs=module.num_features,
                inputs=0,
                pairs=0,
                normed=_pixels(node),
                gate=node in self.gates,
            )
        if not isinstance(module, nn.Conv2d | nn.Linear):
            return None
        weight, pixels = module.weight, _pixels(node)
        grouped = isinstance(module, nn.Conv2d) and module.groups != 1
        twice = 2 if any(score in self.rests for score in self._scores(node)) else 1
        normed = self._folded(node)
        return Layer(
            path=str(node.target),
            outputs=weight.shape[0] * twice,
            inputs=weight.shape[1],
            pairs=weight[0, 0].numel() * pixels,
            normed=pixels if normed else 0,
            gate=node in self.gates,
            block=self.blocks[node],
            writes=None if grouped else self.writes[node],
            reads=None if grouped else self.reads[node.all_input_nodes[0]],
        )

    def _module(self, node: fx.Node) -> nn.Module | None:
        is_module = node.op == "call_module"
        return self.net.get_submodule(str(node.target)) if is_module else None

    def _folded(self, layer: fx.Node) -> bool:
        """Whether the only reader of a layer is a batch norm."""
        readers = [self._module(reader) for reader in layer.users]
        weighted = isinstance(self._module(layer), nn.Conv2d | nn.Linear)
        return weighted and len(readers) == 1 and isinstance(readers[0], nn.BatchNorm2d)

    def _scores(self, node: fx.Node) -> list[fx.Node]:
        """What is made of a gate's sum, up to its score."""
        found, todo = [], list(node.users)
        while todo and node in self.gates:
            reader = todo.pop()
            if reader.op != "output" and len(shape_of(reader)) == 2:
                found.append(reader)
                todo += reader.users
        return found

    def _backward(self, node: fx.Node) -> None:
        """Gates and branches, of a node whose readers are known."""
        readers = [reader for reader in node.users if reader.op != "output"]
        scores = [self._is_score_of(reader, node) for reader in readers]
        returned = any(reader.op == "output" for reader in node.users)
        logits = node is self.own
        shaped = bool(shape_of(node))
        if (readers or returned) and not logits and shaped:
            gate = all(
                s or r in self.gates or not shape_of(r)
                for s, r in zip(scores, readers, strict=True)
            )
            if gate and (readers or node in self.refs):
                self.gates.add(node)
            elif not readers or all(reader in self.beside for reader in readers):
                self.beside.add(node)
        counted = [
            r for r in readers if r not in self.gates and r not in self.beside and shape_of(r)
        ]
        self.blocks[node] = _common(
            [self._decides(r, node, False) or self.blocks[r] for r in counted]
        )
        self.writes[node] = _common(
            [
                self._decides(r, node, True) or (self.writes[r] if self._keeps(r) else None)
                for r in counted
            ]
        )

    def _is_score_of(self, reader: fx.Node, node: fx.Node) -> bool:
        if named(reader) not in MULTIPLIES:
            return False
        return unviewed(node) in self.refs or (self.found is None and reader.args[1] is node)

    def _decides(self, reader: fx.Node, node: fx.Node, channels: bool) -> Ref | None:
        """The score that `reader` multiplies a map with: a block's own, or a channel gate's."""
        if named(reader) not in MULTIPLIES or node not in reader.args[:2]:
            return None
        ref = self.refs.get(_other(reader, node))
        return ref if ref is not None and (ref[1] is not None) == channels else None

    def _keeps(self, node: fx.Node) -> bool:
        module = self._module(node)
        return isinstance(module, KEEP) or named(node) in KEEPS

    def _behind(self, node: fx.Node) -> Ref | None:
        """The channel gate that has masked a node's map."""
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        if source is not None and named(node) in MULTIPLIES:
            if unviewed(source) in self.refs:
                source = node.all_input_nodes[-1]
            own = self.refs.get(_other(node, source))
            if own is not None and own[1] is not None:
                return own
        if source is None or not self._keeps(node):
            return None
        return self.reads.get(source)


def _references(decided: Sequence[tuple[Any, Sequence[Any]]]) -> dict[Any, Ref]:
    found: dict[Any, Ref] = {}
    for index, (block, channels) in enumerate(decided):
        if block is not None:
            found[block] = (index, None)
        found |= {score: (index, number) for number, score in enumerate(channels)}
    return found


def _gates_of(found: Returned) -> dict[Any, Ref]:
    rows = zip(found.scores, found.whole, strict=True)
    return {node: (index, None if whole else 0) for index, (node, whole) in enumerate(rows)}


def _other(product: fx.Node, node: fx.Node) -> Any:
    """The other factor of a multiplication, behind views."""
    first, second = product.args[:2]
    other = second if first is node else first
    return unviewed(other) if isinstance(other, fx.Node) else other


def _common(refs: Sequence[Ref | None]) -> Ref | None:
    return refs[0] if refs and all(ref == refs[0] for ref in refs) else None


def _pixels(node: fx.Node) -> int:
    shape = shape_of(node)
    return shape[2] * shape[3] if len(shape) == 4 else 1
