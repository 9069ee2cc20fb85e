"""Walk over a network: the elements of every tensor that dense layers and constants alone make."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.passes.folding.fold_constants import run_node
from penstock.compiler.importer.scores.curve import NoCurveError
from penstock.compiler.importer.scores.form import Elements, constants, outputs
from penstock.compiler.importer.scores.operators import HANDLERS, Handler
from penstock.compiler.importer.scores.pairs import (
    lower_arg,
    lower_one_hot,
    lower_scatter,
    lower_softmax,
)

LAYERS = ("Conv", "Gemm", "MatMul")
#: Outputs of a layer that may make decisions, at most.
MOST_OUTPUTS = 8192
#: Operators that put elements elsewhere and change none: evaluated on their numbers.
VIEWS = frozenset(
    ["Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze"]
    + ["Tile", "Transpose", "Unsqueeze"]
)
ALL: dict[str, Handler] = HANDLERS | {
    "ArgMax": lower_arg,
    "ArgMin": lower_arg,
    "OneHot": lower_one_hot,
    "ScatterElements": lower_scatter,
    "Softmax": lower_softmax,
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What dense layers' outputs are made into.

    Attributes:
        elements: tensor -> what each of its elements is; without constants.
        rows: number of a source's row -> (layer, its output).
        made: tensor -> the node that makes it.
    """

    elements: Mapping[str, Elements]
    rows: Sequence[tuple[OpNode, int]]
    made: Mapping[str, OpNode]

    def is_layer(self, name: str) -> bool:
        """Whether a tensor is a dense layer's output itself."""
        return self.made[name].op in LAYERS


def read_scores(net: Net) -> Scores:
    """The elements of everything that follows from dense layers by known operators."""
    found: dict[str, Elements] = {}
    rows: list[tuple[OpNode, int]] = []
    made: dict[str, OpNode] = {}
    for node in net.nodes:
        made.update(dict.fromkeys(node.outputs, node))
        shape = net.shapes.get(node.output)
        if node.op in LAYERS:
            if shape is not None and _decides(net, node, shape):
                found[node.output] = outputs(len(rows), shape)
                rows += [(node, index) for index in range(math.prod(shape))]
            continue
        if any(name in found for name in node.inputs):
            try:
                found.update(_made(net, node, found))
            except NoCurveError:
                continue
    return Scores(elements=found, rows=rows, made=made)


def _decides(net: Net, node: OpNode, shape: tuple[int, ...]) -> bool:
    """Whether a layer takes one vector and makes one, along the axis of its weights' rows.

    (4, 1) times (1, 1) makes four numbers too, all of one row.
    """
    source = net.shapes.get(node.inputs[0], ())
    axis = 1 if node.op == "Conv" else -1
    if not source or not shape or source[axis] != math.prod(source):
        return False
    return shape[axis] == math.prod(shape) <= MOST_OUTPUTS


def _made(net: Net, node: OpNode, found: Mapping[str, Elements]) -> dict[str, Elements]:
    if node.op in VIEWS:
        return _moved(net, node, found)
    if node.op not in ALL or net.types.get(node.output, "").startswith("uint"):
        raise NoCurveError  # unsigned numbers wrap around
    operands = [_operand(net, name, found) for name in node.inputs if name]
    elements = ALL[node.op](net, node, operands)
    if elements.shape != tuple(net.shapes.get(node.output, ())):
        raise NoCurveError
    return {node.output: elements}


def _operand(net: Net, name: str, found: Mapping[str, Elements]) -> Elements:
    if name in found:
        return found[name]
    if name not in net.constants or net.constants[name].size > MOST_OUTPUTS:
        raise NoCurveError
    array = net.constants[name]
    if array.dtype.kind not in "fiub":
        raise NoCurveError
    return constants(np.where(np.isfinite(array), array, 0) if _bound(array) else array)


def _bound(array: Array) -> bool:
    """A limit of a Clip that is none: its handler looks at the constant itself."""
    return array.size == 1 and array.dtype.kind == "f" and not np.isfinite(array).all()


def _moved(net: Net, node: OpNode, found: Mapping[str, Elements]) -> dict[str, Elements]:
    """A view, of the numbers of the elements."""
    moved = [name for name in node.inputs if name in found]
    if node.op != "Concat" and moved != list(node.inputs[:1]):
        raise NoCurveError
    pool: list[Elements] = []
    inputs: dict[str, Array] = {}
    for name in dict.fromkeys(filter(None, node.inputs)):
        if name in found or node.op == "Concat":
            elements = _operand(net, name, found)
            first = sum(part.size for part in pool)
            inputs[name] = np.arange(first, first + elements.size).reshape(elements.shape)
            pool.append(elements)
        elif name in net.constants:
            inputs[name] = net.constants[name]
        else:
            raise NoCurveError
    shapes = [net.shapes.get(name, (math.inf,)) for name in node.outputs]
    if any(math.prod(shape) > MOST_OUTPUTS for shape in shapes):
        raise NoCurveError
    flat = np.concatenate([part.reshape(-1) for part in pool])
    try:
        values = run_node(node, inputs, net.opset)
    except CompileError:  # what is wrong with it is said where it is lowered
        raise NoCurveError from None
    return {name: flat[index] for name, index in zip(node.outputs, values, strict=True)}
