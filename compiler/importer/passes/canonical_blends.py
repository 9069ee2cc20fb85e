"""A skipped block as its authors write it, m * y + (1 - m) * x, becomes a score on the branch."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.scores import curve as curves
from penstock.compiler.importer.scores.curve import NoCurveError
from penstock.compiler.importer.scores.form import Combiner, Elements
from penstock.compiler.importer.scores.read import read_scores
from penstock.compiler.importer.scores.signs import is_nonnegative


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """m * block + (1 - m) * kept.

    `score` is the tensor m, float; a `condition` is bool, and m 1 - it where it is `opposite`.
    """

    score: str
    block: str
    kept: str
    condition: bool = False
    opposite: bool = False


def canonical_blends(net: Net) -> Net:
    """m * y + (1 - m) * x, x + m * (y - x) and Where(m, y, x) with y = act(f + x) become
    act(m * f + x).

    Legal without an activation for any m, and for a ReLU where m is 0 or 1 and x is never
    negative, so that it is what ReLU makes of it.  Where(m, y, 0) becomes m * y.
    Preserves the result but for float rounding (none where m is 0 or 1).
    """
    elements = read_scores(net).elements
    if not any(node.op in ("Mul", "Where") for node in net.nodes) or not elements:
        return net
    work = _Work(net, elements)
    for node in net.nodes:
        work.nodes.extend(work.rewritten(node))
        work.made.update(dict.fromkeys(node.outputs, work.nodes[-1]))
    return net.replace(
        nodes=tuple(work.nodes),
        constants={**net.constants, **work.constants},
        shapes=work.shapes,
        types=work.types,
    )


class _Work:
    """The network while blends are taken out of it."""

    def __init__(self, net: Net, elements: Mapping[str, Elements]) -> None:
        self.net, self.elements = net, elements
        self.made: dict[str, OpNode] = {}
        self.nodes: list[OpNode] = []
        self.fresh = net.fresh_names()
        self.shapes, self.types = dict(net.shapes), dict(net.types)
        self.constants: dict[str, Array] = {}

    def rewritten(self, node: OpNode) -> list[OpNode]:
        """The nodes in place of one; the last makes its output."""
        if node.op == "Where":
            masked = self._masked(node)
            if masked:
                return masked
        for blend in self._blends(node):
            branch = self._branch(blend)
            if branch is not None:
                return self._gated(node, blend, *branch)
        return [node]

    def _branch(self, blend: Blend) -> tuple[str, bool] | None:
        """(f, whether a ReLU follows) of a block act(f + kept) that can be skipped by its score."""
        active = self.made.get(blend.block)
        relu = active is not None and active.op == "Relu"
        addition = self.made.get(active.inputs[0]) if active is not None and relu else active
        if addition is None or addition.op != "Add" or blend.kept not in addition.inputs:
            return None
        if relu and not (self._hard(blend.score) and is_nonnegative(self.net, blend.kept)):
            return None
        others = [name for name in addition.inputs if name != blend.kept]
        if len(others) != 1 or others[0] in self.net.constants:
            return None
        return others[0], relu

    def _gated(self, node: OpNode, blend: Blend, branch: str, relu: bool) -> list[OpNode]:
        """act(branch * m + kept)."""
        nodes: list[OpNode] = []
        score = blend.score
        shape, kind = self.net.shapes[node.output], self.net.types.get(node.output, "float32")
        if blend.condition:
            score = self._score(nodes, node, blend.score, blend.opposite)
        scored = self._tensor(f"{node.output}_scored", shape, kind)
        total = self._tensor(f"{node.output}_sum", shape, kind) if relu else node.output
        nodes.append(self._node("Mul", (branch, score), scored))
        nodes.append(self._node("Add", (scored, blend.kept), total))
        if relu:
            nodes.append(self._node("Relu", (total,), node.output))
        return nodes

    def _masked(self, node: OpNode) -> list[OpNode]:
        """Where(m, y, 0) or Where(m, 0, y) of a map, [] if it is none."""
        condition, *choices = node.inputs
        if condition not in self.elements:
            return []
        for index, name in enumerate(choices):
            constant = self.net.constants.get(choices[1 - index])
            if name in self.elements or self.net.is_constant(name) or constant is None:
                continue
            if constant.any() or self.net.shapes.get(name) != self.net.shapes[node.output]:
                continue
            nodes: list[OpNode] = []
            score = self._score(nodes, node, condition, index == 1)
            return [*nodes, self._node("Mul", (name, score), node.output)]
        return []

    def _score(self, nodes: list[OpNode], node: OpNode, condition: str, opposite: bool) -> str:
        """1 where a condition holds (or where it does not), as float32; appends what makes it."""
        shape = self.net.shapes[condition]
        if opposite:
            name = self._tensor(f"{node.output}_opposite", shape, "bool")
            nodes.append(self._node("Not", (condition,), name))
            condition = name
        score = self._tensor(f"{node.output}_score", shape, "float32")
        nodes.append(self._node("Cast", (condition,), score, to=1))
        return score

    def _blends(self, node: OpNode) -> Iterator[Blend]:
        """What a node may be read as."""
        if node.op == "Where" and node.inputs[0] in self.elements:
            score, *maps = node.inputs
            if not any(name in self.elements or self.net.is_constant(name) for name in maps):
                for (block, kept), opposite in ((maps, False), (maps[::-1], True)):
                    yield Blend(
                        score=score, block=block, kept=kept, condition=True, opposite=opposite
                    )
        if node.op != "Add":
            return
        products = [self._product(name) for name in node.inputs]
        if products[0] and products[1]:
            yield from self._weighed(products[0], products[1])
        for product, kept in zip(products, node.inputs[::-1], strict=True):
            change = self.made.get(product[1]) if product else None
            if product and change is not None and change.op == "Sub" and change.inputs[1] == kept:
                yield Blend(score=product[0], block=change.inputs[0], kept=kept)

    def _weighed(self, left: tuple[str, str], right: tuple[str, str]) -> Iterator[Blend]:
        """The blends of two products (score, map) whose scores are m and 1 - m."""
        try:
            total = Combiner(curves.add)(self.elements[left[0]], self.elements[right[0]])
        except (NoCurveError, ValueError):
            return
        if all(element.curve.constant == 1 for element in total.flat):
            for (score, block), (_, kept) in ((left, right), (right, left)):
                yield Blend(score=score, block=block, kept=kept)

    def _product(self, name: str) -> tuple[str, str] | None:
        """(score, map) of a Mul of both."""
        node = self.made.get(name)
        if node is None or node.op != "Mul":
            return None
        for score, other in (node.inputs, node.inputs[::-1]):
            if score in self.elements and other not in self.elements:
                if not self.net.is_constant(other):
                    return score, other
        return None

    def _hard(self, name: str) -> bool:
        """Whether a score is 0 or 1 whatever the image."""
        for element in self.elements[name].flat:
            if any(slope for slope, _ in element.curve.lines):
                return False
            levels = {*element.curve.values, *(offset for _, offset in element.curve.lines)}
            if not levels <= {0, 1}:
                return False
        return True

    def _tensor(self, wanted: str, shape: tuple[int, ...], kind: str) -> str:
        name = self.fresh(wanted)
        self.shapes[name], self.types[name] = tuple(np.array(shape).tolist()), kind
        return name

    def _node(self, op: str, inputs: tuple[str, ...], output: str, **attrs: int) -> OpNode:
        return OpNode(name=output, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
