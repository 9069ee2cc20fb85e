"""Where a float network must be quantised, with which sign, and which scales are one."""

import dataclasses

import numpy as np

from penstock.compiler.importer.net import Net, OpNode

LAYERS = frozenset(
    ["Conv", "Gemm", "MatMul", "GlobalAveragePool", "ReduceMean", "AveragePool", "MaxPool"]
)
ACTIVATIONS = frozenset(["Relu", "Clip", "Min", "Max"])
VIEWS = frozenset(["Flatten", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather", "Split"])
MEANS = frozenset(["GlobalAveragePool", "ReduceMean", "AveragePool"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Tensors to quantise.

    Attributes:
        unsigned: tensor -> whether it is never negative (uint8).
        group: tensor -> the tensor whose scale it shares (itself at the head of a group).
        readers: (node index, input index) pairs that read the quantised tensor.
    """

    unsigned: dict[str, bool]
    group: dict[str, str]
    readers: frozenset[tuple[int, int]]


def choose(net: Net, image_unsigned: bool) -> Points:
    """The quantisation points of a float network; the caller knows the sign of its images."""
    made = {node.output: node for node in net.nodes}
    order = {node.output: index for index, node in enumerate(net.nodes)}
    readers: set[tuple[int, int]] = set()
    for index, node in enumerate(net.nodes):
        if node.op in LAYERS or _shuffles(net, node):
            readers.add((index, 0))
    tensors = {net.nodes[node].inputs[slot] for node, slot in readers}
    tensors |= {net.output, net.input, *net.exits}
    for index, node in enumerate(net.nodes):
        if node.op == "Mul":  # of a map that is there: squeeze-and-excite
            slots = [slot for slot in (0, 1) if _is_sigmoid(node.inputs[1 - slot], made)]
            readers.update((index, slot) for slot in slots if node.inputs[slot] in tensors)
    for index, node in reversed(list(enumerate(net.nodes))):
        # What an activation behind the Concat makes of it is quantised alone.
        if node.op == "Concat" and node.output in tensors:
            readers.update((index, slot) for slot in range(len(node.inputs)))
            tensors.update(node.inputs)
    residuals: dict[str, list[str]] = {}
    for index, node in enumerate(net.nodes):
        if not is_residual(net, node):
            continue
        slots = _residual_slots(node, tensors, made, order)
        readers.update((index, slot) for slot in slots)
        residuals[node.output] = [node.inputs[slot] for slot in slots]
        tensors.update(residuals[node.output])
    group = {name: name for name in tensors}
    kinds = {name: name for name in tensors}  # what must be of one type
    for name in sorted(tensors):
        source = _before_activation(net, name, made)
        for residual in residuals.get(source, []):
            _unite(group, name, residual)
        producer = made.get(name)
        if producer is not None and _keeps(net, producer):  # integers as they are
            for source in producer.inputs:
                if not net.is_constant(source):
                    _unite(group, name, source)
                    _unite(kinds, name, source)
    signs = {name: _nonnegative(net, name, made) for name in tensors} | {net.input: image_unsigned}
    signed = {_head(kinds, name) for name in tensors if not signs[name]}
    return Points(
        unsigned={name: _head(kinds, name) not in signed for name in tensors},
        group={name: _head(group, name) for name in tensors},
        readers=frozenset(readers),
    )


def _is_sigmoid(name: str, made: dict[str, OpNode]) -> bool:
    """Whether a tensor is a sigmoid that nothing is compared with, perhaps reshaped."""
    while name in made and made[name].op in VIEWS:
        name = made[name].inputs[0]
    return name in made and made[name].op == "Sigmoid"


def _shuffles(net: Net, node: OpNode) -> bool:
    """Whether a node puts the channels of a map in another order."""
    return node.op == "Gather" and len(net.shapes[node.inputs[0]]) == 4


def _keeps(net: Net, node: OpNode) -> bool:
    """Whether the integers of a node's result are those of its operands."""
    return node.op in ("MaxPool", "Concat") or _shuffles(net, node)


def is_residual(net: Net, node: OpNode) -> bool:
    """Whether an Add has two computed operands (else it adds a bias)."""
    return node.op == "Add" and not any(map(net.is_constant, node.inputs))


def _residual_slots(
    node: OpNode, tensors: set[str], made: dict[str, OpNode], order: dict[str, int]
) -> list[int]:
    """The operands that are stored: all but one convolution that nothing else needs."""
    free = []
    for slot, name in enumerate(node.inputs):
        producer = made.get(name)
        gated = producer is not None and producer.op == "Mul"
        branch = gated or (producer is not None and producer.op == "Conv")
        if branch and name not in tensors:
            free.append((gated, order[name], slot))
    fused = max(free)[2] if free else -1
    return [slot for slot in range(len(node.inputs)) if slot != fused]


def _before_activation(net: Net, name: str, made: dict[str, OpNode]) -> str:
    """The tensor behind the activations that make `name`."""
    while name in made and made[name].op in ACTIVATIONS:
        name = next(source for source in made[name].inputs if not net.is_constant(source))
    return name


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
        return all(_nonnegative(net, source, made) for source in node.inputs)
    if node.op in MEANS | VIEWS | ACTIVATIONS | {"MaxPool"}:
        source = next(source for source in node.inputs if not net.is_constant(source))
        return _nonnegative(net, source, made)
    return False


def _head(group: dict[str, str], name: str) -> str:
    while group[name] != name:
        name = group[name]
    return name


def _unite(group: dict[str, str], left: str, right: str) -> None:
    group[_head(group, left)] = _head(group, right)
