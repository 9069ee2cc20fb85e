"""Pass: a Sum of several tensors is one Add after the other."""

import dataclasses

import numpy as np

from penstock.compiler.importer.net import Net, OpNode


def sums(net: Net) -> Net:
    """Rewrite Sum of two operands or more, in their order.  Preserves every value."""
    nodes: list[OpNode] = []
    shapes, types, fresh = dict(net.shapes), dict(net.types), net.fresh_names()
    for node in net.nodes:
        if node.op != "Sum" or len(node.inputs) < 2:
            nodes.append(node)
            continue
        made, *others = node.inputs
        for index, other in enumerate(others):
            last = index == len(others) - 1
            name = node.output if last else fresh(f"{node.output}.sum")
            if not last and made in shapes and other in shapes:
                shapes[name] = np.broadcast_shapes(shapes[made], shapes[other])
            types.setdefault(name, net.types.get(node.output, "float32"))
            added = dataclasses.replace(node, op="Add", inputs=(made, other), outputs=(name,))
            nodes.append(added)
            made = name
    return net.replace(nodes=tuple(nodes), shapes=shapes, types=types)
