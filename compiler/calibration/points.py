"""Where a float network must be quantised, with which sign, and which scales are one."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from penstock.compiler.importer.curves.find import Curves, find_curves
from penstock.compiler.importer.logits import dense_behind, logit_bits
from penstock.compiler.importer.net import Net, OpNode

LAYERS = frozenset(
    ["Conv", "Gemm", "MatMul", "GlobalAveragePool", "ReduceMean", "AveragePool", "MaxPool"]
)
#: Of a map as it is stored: its pixels in other places.
MOVES = frozenset(["DepthToSpace", "Resize", "Upsample"])
ACTIVATIONS = frozenset(["Relu", "Clip", "Min", "Max"])
VIEWS = frozenset(["Flatten", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather", "Split"])
TAKES = frozenset(["Gather", "Slice", "Split"])
MEANS = frozenset(["GlobalAveragePool", "ReduceMean", "AveragePool"])
#: What to do about a layer that reads a constant.
HINTS = defaultdict(
    lambda: "layers read what is computed of the image",
    MatMul="write the product with the constant on the right: MatMul(x, transposed), or Gemm",
    Gemm="write the product with the constant as second operand",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Tensors to quantise.

    Attributes:
        unsigned: tensor -> whether it is never negative (uint8).
        group: tensor -> the tensor whose scale it shares (itself at the head of a group).
        readers: (node index, input index) pairs that read the quantised tensor.
        wide: those that are measured and stay in floating point: logits of 16 bits.
    """

    unsigned: dict[str, bool]
    group: dict[str, str]
    readers: frozenset[tuple[int, int]]
    wide: frozenset[str]


def choose(net: Net, image_unsigned: bool) -> Points:
    """The quantisation points of a float network; the caller knows the sign of its images.

    Raises:
        CompileError: a layer that reads a constant.
    """
    made = {name: node for node in net.nodes for name in node.outputs}
    curves = find_curves(net)
    chosen = _Chosen(net, made, curves)
    group = {name: name for name in chosen.tensors}
    kinds = {name: name for name in chosen.tensors}  # what must be of one type
    for name in sorted(chosen.tensors):
        before = _before_activation(net, name, made)
        for residual in chosen.residuals.get(before, []):
            _unite(group, name, residual)
        if before != name and before in made and _stored(net, made[before], chosen.tensors):
            _unite(group, name, _computed(net, made[before])[0])  # clipped where it lies
        producer = made.get(name)
        if producer is not None and _keeps(net, producer):  # integers as they are
            for source in _computed(net, producer):
                _unite(group, name, source)
                _unite(kinds, name, source)
        if (inside := _before_views(name, made)) in curves:  # tables make the type that they read
            _unite(kinds, name, curves.roots[inside])
    signs = {name: _nonnegative(net, name, made) for name in chosen.tensors}
    signs[net.input] = image_unsigned
    signed = {_head(kinds, name) for name in chosen.tensors if not signs[name]}
    return Points(
        unsigned={name: _head(kinds, name) not in signed for name in chosen.tensors},
        group={name: _head(group, name) for name in chosen.tensors},
        readers=frozenset(chosen.readers),
        wide=_wide(net, chosen, made),
    )


def _wide(net: Net, chosen: "_Chosen", made: dict[str, OpNode]) -> frozenset[str]:
    """Results of dense layers that nothing of the core reads, unless 8 bits are asked for."""
    if logit_bits(net.metadata) == 8:
        return frozenset()
    read = {net.nodes[index].inputs[slot] for index, slot in chosen.readers}
    dense = {name for name in net.results if dense_behind(net, name, made) is not None}
    return frozenset(dense - read)


class _Chosen:
    """The tensors to quantise, what reads them, and the stored operands of every addition."""

    def __init__(self, net: Net, made: dict[str, OpNode], curves: Curves) -> None:
        self.net, self.made, self.curves = net, made, curves
        self.order = {name: i for i, node in enumerate(net.nodes) for name in node.outputs}
        self.tensors = {*net.results, net.input}
        self.readers: set[tuple[int, int]] = set()
        self.residuals: dict[str, list[str]] = {}
        for index, slot, _ in curves.readers(net):
            self._read(index, [slot])
        self._layers()
        before = 0
        while len(self.tensors) > before:  # an operand of one may be what the other makes
            before = len(self.tensors)
            self._concats()
            self._additions()

    def _read(self, index: int, slots: Iterable[int]) -> list[str]:
        """Let a node read quantised tensors; their names."""
        names = [self.net.nodes[index].inputs[slot] for slot in slots]
        self.readers.update((index, slot) for slot in slots)
        self.tensors.update(names)
        return names

    def _layers(self) -> None:
        """What is read by layers, and the maps that a sigmoid's score multiplies."""
        nodes = self.net.nodes
        for index, node in enumerate(nodes):
            if node.op in LAYERS | MOVES or _shuffles(self.net, node):
                if self.net.is_constant(node.inputs[0]):
                    raise node.error(f"its input '{node.inputs[0]}' is a constant", HINTS[node.op])
                self._read(index, [0])
        for index, node in enumerate(nodes):
            if (
                node.op == "Mul" and node.output not in self.curves
            ):  # of a map that is there: squeeze-and-excite
                scored = [s for s in (0, 1) if _is_sigmoid(node.inputs[1 - s], self.made)]
                self._read(index, [s for s in scored if node.inputs[s] in self.tensors])
                maps = [s for s in (0, 1) if self._stands_alone(node, s)]
                self._read(index, [s for s in maps if (index, s) not in self.readers])

    def _stands_alone(self, node: OpNode, slot: int) -> bool:
        """Whether an operand of a Mul is a map times scores that no convolution can take along."""
        name, score = node.inputs[slot], node.inputs[1 - slot]
        if self.net.is_constant(score) or self.net.is_constant(name):
            return False
        shape = self.net.shapes[name]
        if (
            len(shape) != 4
            or math.prod(shape[2:]) == 1
            or math.prod(self.net.shapes[score]) > (shape[1])
        ):
            return False
        if name in self.curves:
            return True
        maker = self.made.get(_before_activation(self.net, name, self.made))
        return maker is not None and maker.op not in ("Conv", "Mul")

    def _concats(self) -> None:
        """The operands of every Concat that is stored; one of an activation behind it is
        quantised alone."""
        for index, node in reversed(list(enumerate(self.net.nodes))):
            if node.op == "Concat" and node.output in self.tensors:
                slots = range(len(node.inputs))
                self._read(index, [s for s in slots if not self.net.is_constant(node.inputs[s])])

    def _additions(self) -> None:
        """The operands of every residual addition that are stored."""
        for index, node in enumerate(self.net.nodes):
            if is_residual(self.net, node) and node.output not in self.curves:
                slots = self._residual_slots(node)
                self.residuals[node.output] = self._read(index, slots)

    def _residual_slots(self, node: OpNode) -> list[int]:
        """The operands that are stored: all but one convolution that nothing else needs."""
        free = []
        for slot, name in enumerate(node.inputs):
            producer = self.made.get(name)
            gated = producer is not None and producer.op == "Mul"
            branch = gated or (producer is not None and producer.op == "Conv")
            if branch and name not in self.tensors and name not in self.curves:
                free.append((gated, self.order[name], slot))
        fused = max(free)[2] if free else -1
        return [slot for slot in range(len(node.inputs)) if slot != fused]


def _is_sigmoid(name: str, made: dict[str, OpNode]) -> bool:
    """Whether a tensor is a sigmoid that nothing is compared with, perhaps reshaped."""
    name = _before_views(name, made)
    return name in made and made[name].op == "Sigmoid"


def _before_views(name: str, made: dict[str, OpNode]) -> str:
    """The tensor that a tensor is a view of."""
    while name in made and made[name].op in VIEWS:
        name = made[name].inputs[0]
    return name


def _shuffles(net: Net, node: OpNode) -> bool:
    """Whether a node takes channels or pixels of a map."""
    shape = net.shapes[node.inputs[0]] if node.op in TAKES else ()
    return len(shape) == 4 and math.prod(shape[2:]) > 1


def _keeps(net: Net, node: OpNode) -> bool:
    """Whether the integers of a node's result are those of its operands."""
    return node.op in MOVES | {"MaxPool", "Concat"} or _shuffles(net, node)


def _stored(net: Net, node: OpNode, tensors: set[str]) -> bool:
    """Whether a node's result is stored integers before anything quantises it."""
    return _keeps(net, node) and (node.op != "Concat" or node.output in tensors)


def is_residual(net: Net, node: OpNode) -> bool:
    """Whether an Add has two computed operands (else it adds a bias)."""
    return node.op == "Add" and not any(map(net.is_constant, node.inputs))


def _before_activation(net: Net, name: str, made: dict[str, OpNode]) -> str:
    """The tensor behind the activations that make `name`, and what is added to a sum."""
    while name in made and (made[name].op in ACTIVATIONS or _moves_sum(net, made[name], made)):
        sources = _computed(net, made[name])
        if not sources:
            break
        name = sources[0]
    return name


def _moves_sum(net: Net, node: OpNode, made: dict[str, OpNode]) -> bool:
    """Whether a node adds a constant to a residual addition."""
    sources = _computed(net, node)
    maker = made.get(sources[0]) if node.op == "Add" and len(sources) == 1 else None
    return maker is not None and (is_residual(net, maker) or _moves_sum(net, maker, made))


def _computed(net: Net, node: OpNode) -> list[str]:
    """The operands of a node that are no constants."""
    return [name for name in node.inputs if name and not net.is_constant(name)]


def _nonnegative(net: Net, name: str, made: dict[str, OpNode]) -> bool:
    """Whether the network's structure keeps a tensor >= 0."""
    node = made.get(name)
    if node is None:
        return False
    if node.op in ("Relu", "Cast", "Sigmoid"):  # lowering takes no Cast but a comparison's
        return True
    if node.op in ("Clip", "Max", "Min"):
        low = node.optional_input(1) if node.op == "Clip" else ""
        bounds = [low] if node.op == "Clip" else [s for s in node.inputs if net.is_constant(s)]
        constant = [net.constants[bound] for bound in bounds if bound in net.constants]
        if node.op != "Min" and constant and bool(np.all(constant[0] >= 0)):
            return True
    if node.op == "Mul":  # a ReLU times a score: both factors decide
        return all(
            bool(np.all(net.constants[name] >= 0))
            if net.is_constant(name)
            else _nonnegative(net, name, made)
            for name in node.inputs
        )
    if node.op == "Concat":
        return all(_nonnegative(net, source, made) for source in _computed(net, node))
    if node.op in MEANS | VIEWS | ACTIVATIONS | MOVES | {"MaxPool"}:
        return any(_nonnegative(net, source, made) for source in _computed(net, node)[:1])
    return False


def _head(group: dict[str, str], name: str) -> str:
    while group[name] != name:
        name = group[name]
    return name


def _unite(group: dict[str, str], left: str, right: str) -> None:
    group[_head(group, left)] = _head(group, right)
