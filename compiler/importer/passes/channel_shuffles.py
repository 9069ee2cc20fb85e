"""Pass: reshapes and transposes that shuffle channels become a Gather, those that shuffle pixels
DepthToSpace."""

import math

import numpy as np

from penstock.compiler.importer.axes import permutation_of
from penstock.compiler.importer.net import Array, Net, OpNode

VIEWS = frozenset(["Reshape", "Transpose"])
#: What may lie between the reshapes: of one scale, so that it is the same before them.
QUANTIZERS = frozenset(["DequantizeLinear", "QuantizeLinear"])


def channel_shuffles(net: Net) -> Net:
    """Rewrite chains from a map to a map of the same size whose channels they reorder, or to one of
    twice the size and a quarter of the channels whose pixels they take in turn.

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
        places = _places(net, chain) if node not in dropped and chain else None
        order = None if places is None else _order(net, chain, places)
        mode = None if places is None else _shuffle(net, chain, places)
        if order is None and mode is None:
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
        if mode is not None:
            attrs = {"blocksize": 2} | ({"mode": mode} if mode != "DCR" else {})
            nodes.append(
                OpNode(
                    name=last.name,
                    op="DepthToSpace",
                    inputs=(name,),
                    outputs=last.outputs,
                    attrs=attrs,
                )
            )
            continue
        assert order is not None
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
    """Nodes from `first` to one that makes a map of the same size again, or of twice the size; none
    if there is none."""
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
        made = net.shapes[node.output]
        if node.op == "Reshape" and len(chain) > 2 and made in (shape, _doubled(shape)):
            return chain
        following = readers.get(node.output, [])
        if len(following) != 1 or node.output in ends or following[0].inputs[0] != node.output:
            return []
        node = following[0]


def _doubled(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a map of twice the sides and a quarter of the channels."""
    return (shape[0], shape[1] // 4, 2 * shape[2], 2 * shape[3])


def _places(net: Net, chain: list[OpNode]) -> Array:
    """The number, in the source, of each element of the result."""
    shape = net.shapes[chain[0].inputs[0]]
    places: Array = np.arange(math.prod(shape)).reshape(shape)
    for node in chain:
        if node.op == "Transpose":
            places = places.transpose(permutation_of(net, node))
        elif node.op == "Reshape":
            places = places.reshape(net.shapes[node.output])
    return places


def _shuffle(net: Net, chain: list[OpNode], places: Array) -> str | None:
    """The mode of the DepthToSpace that the chain is; None if it is none."""
    batch, channels, height, width = shape = net.shapes[chain[0].inputs[0]]
    if channels % 4 or places.shape != _doubled(shape):
        return None
    source: Array = np.arange(math.prod(shape))
    splits = {
        "DCR": ((batch, 2, 2, channels // 4, height, width), (0, 3, 4, 1, 5, 2)),
        "CRD": ((batch, channels // 4, 2, 2, height, width), (0, 1, 4, 2, 5, 3)),
    }
    for mode, (split, perm) in splits.items():
        if np.array_equal(source.reshape(split).transpose(perm).reshape(places.shape), places):
            return mode
    return None


def _order(net: Net, chain: list[OpNode], places: Array) -> Array | None:
    """The channels of the map in the order of the result; None if it is no order of channels."""
    shape = net.shapes[chain[0].inputs[0]]
    if places.shape != shape:
        return None
    pixels = math.prod(shape[2:])
    order = places[0, :, 0, 0] // pixels
    plain = np.arange(math.prod(shape)).reshape(shape)[:, order]
    return order.astype(np.int64) if np.array_equal(places, plain) else None
