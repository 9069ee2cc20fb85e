"""Pass: a global maximum is a maximum of windows, halved first where the map is larger than one."""

import dataclasses

from penstock.compiler.importer.axes import axes_of
from penstock.compiler.importer.lower.layers.windows import POOL_KERNEL
from penstock.compiler.importer.net import Net, OpNode


def global_max(net: Net) -> Net:
    """Rewrite GlobalMaxPool, and ReduceMax over height and width that keeps them.

    Legal for square maps that halve to at most 7x7 pixels; preserves the result.
    """
    nodes: list[OpNode] = []
    shapes, types, fresh = dict(net.shapes), dict(net.types), net.fresh_names()
    for node in net.nodes:
        steps = _steps(net, node)
        name = node.inputs[0] if node.inputs else ""
        for index, (kernel, stride, side) in enumerate(steps):
            last = index == len(steps) - 1
            made = node.output if last else fresh(f"{node.output}.halved")
            shapes[made] = (*net.shapes[node.inputs[0]][:2], side, side)
            types[made] = net.types.get(node.output, "float32")
            attrs = {"kernel_shape": [kernel, kernel], "strides": [stride, stride]}
            nodes.append(
                dataclasses.replace(
                    node, op="MaxPool", inputs=(name,), outputs=(made,), attrs=attrs
                )
            )
            name = made
        if not steps:
            nodes.append(node)
    return net.replace(nodes=tuple(nodes), shapes=shapes, types=types)


def _steps(net: Net, node: OpNode) -> list[tuple[int, int, int]]:
    """(kernel, stride, side of the result) of the pools; none if the node stays."""
    shape = net.shapes.get(node.inputs[0], ()) if node.inputs else ()
    if node.op not in ("GlobalMaxPool", "ReduceMax") or len(shape) != 4 or shape[2] != shape[3]:
        return []
    if node.op == "ReduceMax" and (
        sorted(axes_of(net, node) or ()) != [2, 3] or not node.attrs.get("keepdims", 1)
    ):
        return []
    side, steps = shape[2], []
    while side > POOL_KERNEL and side % 2 == 0:
        side //= 2
        steps.append((2, 2, side))
    if side > POOL_KERNEL:
        return []
    return [*steps, (side, 1, 1)] if side > 1 or not steps else steps
