"""Which nodes of a network are functions of the elements of one tensor, and of which.

A tensor is *inside* if such an operator makes it that no layer takes along, or if it lies between
one and its `root`, the nearest tensor that everything inside follows from element by element.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping

from penstock.compiler.importer.curves.functions import FUNCTIONS
from penstock.compiler.importer.net import Net, OpNode

QUANTISERS = frozenset(["DequantizeLinear", "QuantizeLinear"])
#: With constants: what a layer before them takes along.
PLAIN = frozenset(["Add", "Clip", "Max", "Min", "Relu"]) | QUANTISERS
#: With constants: what the dense layer of a gate takes along, or makes a score of.
OF_SCORES = PLAIN | {"Cast", "Greater", "GreaterOrEqual", "Mul", "Sign"}
#: Where a score meets what it scales.
MEETINGS = frozenset(["Mul", "Where"])
LAYERS = frozenset(["Conv", "Gemm", "MatMul"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Tensor inside -> its root."""

    roots: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.roots

    def readers(self, net: Net) -> Iterator[tuple[int, int, str]]:
        """(node, input, root) where a node that makes an inside tensor reads its root."""
        for index, node in enumerate(net.nodes):
            root = self.roots.get(node.output)
            if root is not None:
                slots = (slot for slot, name in enumerate(node.inputs) if name == root)
                yield from ((index, slot, root) for slot in slots)


def find_curves(net: Net) -> Curves:
    """The functions of a network's maps, and of its vectors but for what becomes a gate's score."""
    return _Finder(net).run()


class _Finder:
    """Walks over a network in order."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.made: dict[str, OpNode] = {}
        self.above: dict[str, str] = {}  # tensor inside -> one nearer to its root
        self.numbers: dict[str, bool] = {}  # constants -> whether they are one number
        self.hard: set[str] = set()  # made by what no gate's dense layer has either

    def run(self) -> Curves:
        for node in self.net.nodes:
            self.made.update(dict.fromkeys(node.outputs, node))
            operands = self._operands(node)
            if operands:
                self._add(node, operands)
        roots = {name: self._root(name) for name in self.above}
        wrong = self._of_vectors(roots)
        return Curves(roots={name: root for name, root in roots.items() if root not in wrong})

    def _operands(self, node: OpNode) -> list[str]:
        """The tensors that an elementwise node reads; none if it is something else."""
        net = self.net
        if node.op not in FUNCTIONS and node.op not in QUANTISERS:
            return []
        known = {name: self._is_number(name) for name in node.inputs if name}
        computed = [name for name, number in known.items() if number is None]
        single = False not in known.values()
        shapes = {tuple(net.shapes.get(name, ())) for name in (*computed, node.output)}
        return computed if computed and single and len(shapes) == 1 else []

    def _is_number(self, name: str) -> bool | None:
        """Whether a constant, dequantised or not, is one number, however often it is there; None if
        it is none."""
        if name not in self.numbers:
            array, node = self.net.constants.get(name), self.made.get(name)
            if array is not None:
                self.numbers[name] = bool(array.size and (array == array.reshape(-1)[0]).all())
            elif node is not None and node.op == "DequantizeLinear":
                known = [self._is_number(each) for each in node.inputs]
                if None in known:
                    return None
                self.numbers[name] = all(known)
        return self.numbers.get(name)

    def _add(self, node: OpNode, operands: list[str]) -> None:
        repeated = sum(name in operands for name in node.inputs) > 1
        if node.op in PLAIN and not repeated:
            if operands[0] in self.above:
                self.above[node.output] = operands[0]
            return
        if node.op == "Add" and not any(name in self.above for name in operands):
            return  # a residual addition
        common = self._common(operands)
        if common is None:
            return
        for name in operands:
            self._enter(name, common)
        self.above[node.output] = common
        if repeated or node.op not in OF_SCORES:
            self.hard.add(node.output)

    def _chain(self, name: str) -> Iterator[str]:
        """What a tensor follows from element by element, from itself on."""
        while True:
            if name in self.above:
                name = self.above[name]
                continue
            yield name
            node = self.made.get(name)
            operands = self._operands(node) if node is not None and node.op in PLAIN else []
            if len(operands) != 1 or sum(each in operands for each in node.inputs) > 1:  # type: ignore[union-attr]
                return
            name = operands[0]

    def _common(self, operands: list[str]) -> str | None:
        """The nearest tensor that all of them follow from."""
        chains = [list(self._chain(name)) for name in operands]
        return next((n for n in chains[0] if all(n in other for other in chains[1:])), None)

    def _enter(self, name: str, root: str) -> None:
        """Let everything between a tensor and the root be inside."""
        while name != root:
            if name in self.above:
                name = self.above[name]
                continue
            (before,) = self._operands(self.made[name])
            self.above[name] = before
            name = before

    def _root(self, name: str) -> str:
        while name in self.above:
            name = self.above[name]
        return name

    def _of_vectors(self, roots: Mapping[str, str]) -> set[str]:
        """Roots of vectors that become scores, or of which layers take along all there is."""
        hard = {roots[name] for name in self.hard}
        found = set()
        for name, root in roots.items():
            if not _is_map(self.net, root) and (root not in hard or self._scales(name, roots)):
                found.add(root)
        return found

    def _scales(self, name: str, roots: Mapping[str, str]) -> bool:
        """Whether a vector, or what is made of it before the next layer, meets another tensor."""
        reached = {name}
        for node in self.net.nodes:
            if not reached.intersection(node.inputs) or node.op in LAYERS:
                continue
            computed = {each for each in node.inputs if each and self._is_number(each) is None}
            own = roots.get(node.output) == roots[name]
            meets = node.op in MEETINGS and not own and not computed <= reached
            if meets or any(_is_map(self.net, output) for output in node.outputs):
                return True
            reached.update(node.outputs)
        return False


def _is_map(net: Net, name: str) -> bool:
    """Whether a tensor has several pixels."""
    shape = net.shapes.get(name, ())
    return len(shape) == 4 and math.prod(shape[2:]) > 1
