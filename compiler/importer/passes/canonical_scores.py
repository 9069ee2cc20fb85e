"""Gate scores in one form, whatever operators a network spells them with."""

from collections.abc import Iterator, Sequence

from penstock.compiler.importer.curves.find import find_curves
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.scores.curve import NoCurveError
from penstock.compiler.importer.scores.read import Scores, read_scores
from penstock.compiler.importer.scores.write import Writer

#: What lowering reads by itself, of one operand that a dense layer makes.
NATIVE = frozenset(
    ["Clip", "Flatten", "Gather", "Identity", "Max", "Min", "Relu", "Reshape", "Sigmoid", "Slice"]
    + ["Split", "Squeeze", "Unsqueeze"]
)


def canonical_scores(net: Net) -> Net:
    """Scores that lowering cannot read become a dense layer, then Greater, Clip or Sigmoid.

    Legal where the expression, as a function of the logits, is a step, a ramp from 0 to 1 or a
    sigmoid, ties included: the scores stay what they are as real numbers.

    Raises:
        CompileError: a decision between two logits whose difference has no int8 weights.
    """
    scores = read_scores(net)
    writer = Writer(net, scores)
    written: dict[str, Sequence[OpNode]] = {}
    curves = find_curves(net)
    for name in _read_outside(net, scores):
        if name in curves or _is_native(net, scores, name):
            continue
        try:
            written[name] = tuple(writer.write(name))
        except NoCurveError:
            continue
    if not written:
        return net
    nodes: list[OpNode] = []
    for node in net.nodes:
        for output in node.outputs:
            nodes.extend(written.get(output, ()))
        if len(node.outputs) != 1 or node.output not in written:
            nodes.append(_without(node, written))
    return net.replace(
        nodes=tuple(nodes),
        constants={**net.constants, **writer.constants},
        shapes={**net.shapes, **writer.shapes},
        types={**net.types, **writer.types, **dict.fromkeys(written, "float32")},
    )


def _without(node: OpNode, written: dict[str, Sequence[OpNode]]) -> OpNode:
    """A node with several outputs, some of which are made elsewhere now."""
    if not any(name in written for name in node.outputs):
        return node
    outputs = tuple(f"{name}_unread" if name in written else name for name in node.outputs)
    return OpNode(name=node.name, op=node.op, inputs=node.inputs, outputs=outputs, attrs=node.attrs)


def _read_outside(net: Net, scores: Scores) -> Iterator[str]:
    """Tensors of known elements that other nodes read, but for dense layers' own.

    Float ones: a network's outputs, and conditions that are read as such, stay what they are.
    """
    wanted: set[str] = set()
    for node in net.nodes:
        if not any(name in scores.elements for name in node.outputs):
            wanted.update(node.inputs)
    for name in scores.elements:
        given = name in net.results
        if name in wanted and not given and not scores.is_layer(name):
            if net.types.get(name) == "float32":
                yield name


def _is_native(net: Net, scores: Scores, name: str) -> bool:
    """Whether lowering reads everything between the dense layers and the tensor."""
    open_names, seen = [name], set()
    while open_names:
        current = open_names.pop()
        if current in seen or current not in scores.elements:
            continue
        seen.add(current)
        if sum(size > 1 for size in net.shapes[current]) > 1:
            return False
        if scores.is_layer(current):
            continue
        node = scores.made[current]
        known = [slot for slot, operand in enumerate(node.inputs) if operand in scores.elements]
        if not _lowers(net, scores, node, known):
            return False
        open_names += [node.inputs[slot] for slot in known]
    return True


def _lowers(net: Net, scores: Scores, node: OpNode, known: Sequence[int]) -> bool:
    """Whether lowering has a node whose operands in the slots `known` dense layers make."""
    if len(known) > 1:
        return False
    if node.op == "Add":  # a bias
        operand = scores.elements[node.inputs[known[0]]]
        return all(element.curve.affine is not None for element in operand.flat)
    if node.op in ("Greater", "GreaterOrEqual"):
        return known == [0]
    if node.op == "Cast":
        kinds = net.types.get(node.inputs[0]), net.types.get(node.output)
        return kinds == ("bool", "float32")
    return node.op in NATIVE
