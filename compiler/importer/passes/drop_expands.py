"""Scores stay small: what broadcasts by itself is not expanded first."""

import dataclasses

import numpy as np

from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.names import FreshNames

#: Operators that work element by element, their operands broadcast.
ELEMENTWISE = frozenset(
    ["Abs", "Add", "And", "Cast", "Clip", "Div", "Equal", "Greater", "GreaterOrEqual", "Less"]
    + ["LessOrEqual", "Max", "Min", "Mul", "Neg", "Not", "Or", "Relu", "Sigmoid", "Sub", "Where"]
)


def drop_expands(net: Net) -> Net:
    """Expand before elementwise operators is left out, and what follows is as small as it can be.

    `mask.expand_as(x) * x` becomes `mask * x`.  Legal since those operators broadcast; a reader
    of another kind gets the whole tensor back.  Preserves every value.
    """
    if not any(node.op == "Expand" for node in net.nodes):
        return net
    work = _Work(net)
    for node in net.nodes:
        work.add(node)
    return net.with_results(
        [work.whole(name) for name in net.results],
        nodes=tuple(work.nodes),
        constants={**net.constants, **work.constants},
        shapes=work.shapes,
        types=work.types,
    )


class _Work:
    """The nodes so far, and for each tensor that became smaller the small one."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.fresh: FreshNames = net.fresh_names()
        self.nodes: list[OpNode] = []
        self.small: dict[str, str] = {}
        self.shapes, self.types = dict(net.shapes), dict(net.types)
        self.constants: dict[str, np.ndarray] = {}

    def add(self, node: OpNode) -> None:
        shape = self.net.shapes.get(node.output)
        if node.op == "Expand" and shape and self.net.shapes.get(node.inputs[0]):
            self.small[node.output] = self.small.get(node.inputs[0], node.inputs[0])
            return
        inputs = tuple(self.small.get(name, name) for name in node.inputs)
        if inputs == node.inputs:
            self.nodes.append(node)
        elif node.op not in ELEMENTWISE or any(x and x not in self.shapes for x in inputs):
            whole = tuple(self.whole(name) for name in node.inputs)
            self.nodes.append(dataclasses.replace(node, inputs=whole))
        else:
            self._narrow(node, inputs)

    def _narrow(self, node: OpNode, inputs: tuple[str, ...]) -> None:
        made = np.broadcast_shapes(*(self.shapes[name] for name in inputs if name))
        outputs = node.outputs
        if made != self.net.shapes[node.output]:
            name = self.fresh(f"{node.output}_narrow")
            self.small[node.output], outputs = name, (name,)
            self.shapes[name] = made
            self.types[name] = self.net.types.get(node.output, "unknown")
        self.nodes.append(dataclasses.replace(node, inputs=inputs, outputs=outputs))

    def whole(self, name: str) -> str:
        """A tensor in the size that the network gives it."""
        if name not in self.small:
            return name
        sizes, output = self.fresh(f"{name}_sizes"), self.fresh(f"{name}_whole")
        self.constants[sizes] = np.array(self.net.shapes[name], np.int64)
        self.shapes |= {sizes: self.constants[sizes].shape, output: self.net.shapes[name]}
        self.types |= {sizes: "int64", output: self.net.types.get(name, "unknown")}
        self.nodes.append(
            OpNode(
                name=output,
                op="Expand",
                inputs=(self.small[name], sizes),
                outputs=(output,),
                attrs={},
            )
        )
        return output
