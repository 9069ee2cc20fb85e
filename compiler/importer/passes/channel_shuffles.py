"""Pass: a channel shuffle of reshapes and transposes becomes a Gather of the channels."""

import math

import numpy as np

from penstock.compiler.importer.axes import permutation_of
from penstock.compiler.importer.net import Array, Net, OpNode

VIEWS = frozenset(["Reshape", "Transpose"])
#: What may lie between the reshapes: of one scale, so that it is the same before them.
QUANTIZERS = frozenset(["DequantizeLinear", "QuantizeLinear"])


def channel_shuffles(net: Net) -> Net:
    """Rewrite chains from a map to a map of the same size whose channels they reorder.

    Legal where nothing else reads what lies between; preserves the result.
    """
    readers: dict[str, list[OpNode]] = {}
    for node in net.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    ends = set(net.results)
    shapes, constants, types = dict(net.shapes), dict(net.constants), dict(net.types)
    fresh, nodes, dropped = net.fresh_names(), [], set()
    for node in net.nodes:
        chain = _chain(net, node, readers, ends) if node.op in VIEWS else []
        order = _order(net, chain) if node not in dropped and chain else None
        if order is None:
            nodes += [] if node in dropped else [node]
            continue
        dropped.update(chain)
        name, last = node.inputs[0], chain[-1]
        for kept in (each for each in chain if each.op in QUANTIZERS):
            made = fresh(f"{kept.output}.map")
            shapes[made], types[made] = shapes[node.inputs[0]], net.types[kept.output]
            inputs = (name, *kept.inputs[1:])
            nodes.append(
                OpNode(name=kept.name, op=kept.op, inputs=inputs, outputs=(made,), attrs=kept.attrs)
            )
            name = made
        indices = fresh(f"{last.output}.channels")
        constants[indices], shapes[indices], types[indices] = order, order.shape, "int64"
        nodes.append(
            OpNode(
                name=last.name,
                op="Gather",
                inputs=(name, indices),
                outputs=last.outputs,
                attrs={"axis": 1},
            )
        )
    if not dropped:
        return net
    return net.replace(nodes=tuple(nodes), shapes=shapes, constants=constants, types=types)


def _chain(
    net: Net, first: OpNode, readers: dict[str, list[OpNode]], ends: set[str]
) -> list[OpNode]:
    """Nodes from `first` to one that makes a map of the same size again; none if there is none."""
    shape = net.shapes.get(first.inputs[0], ())
    if len(shape) != 4 or math.prod(shape[2:]) == 1 or net.is_constant(first.inputs[0]):
        return []
    chain, node = [], first
    while True:
        if node.op not in VIEWS | QUANTIZERS or node.output not in net.shapes:
            return []
        if node.op in QUANTIZERS and net.shapes.get(node.inputs[1]) not in ((), (1,)):
            return []
        chain.append(node)
        if node.op == "Reshape" and len(chain) > 2 and net.shapes[node.output] == shape:
            return chain
        following = readers.get(node.output, [])
        if len(following) != 1 or node.output in ends or following[0].inputs[0] != node.output:
            return []
        node = following[0]


def _order(net: Net, chain: list[OpNode]) -> Array | None:
    """The channels of the map in the order of the result; None if it is no order of channels."""
    shape = net.shapes[chain[0].inputs[0]]
    places: Array = np.arange(math.prod(shape)).reshape(shape)
    for node in chain:
        if node.op == "Transpose":
            places = places.transpose(permutation_of(net, node))
        elif node.op == "Reshape":
            places = places.reshape(net.shapes[node.output])
    pixels = math.prod(shape[2:])
    order = places[0, :, 0, 0] // pixels
    plain = np.arange(math.prod(shape)).reshape(shape)[:, order]
    return order.astype(np.int64) if np.array_equal(places, plain) else None
