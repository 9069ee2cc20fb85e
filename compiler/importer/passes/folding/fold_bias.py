"""Fold what is added to the output of a layer into the layer's bias."""

import dataclasses
from collections import Counter

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode

LAYERS = ("Conv", "Gemm", "MatMul")


def fold_bias(net: Net) -> Net:
    """Conv, Gemm or MatMul -> Add of one number an output becomes the layer with that bias.

    Where nothing else reads the layer.  Calibration then knows the whole bias when it chooses the
    scales of the weights.  Preserves the output up to float rounding.
    """
    uses = Counter(name for node in net.nodes for name in node.inputs)
    uses.update(net.results)
    constants, fresh = dict(net.constants), net.fresh_names()
    nodes: dict[str, OpNode] = {}  # by output
    for node in net.nodes:
        layer, addend = _operands(net, node, nodes)
        bias = None
        if layer is not None and addend is not None and uses[layer.output] == 1:
            bias = _total(net, layer, constants, addend)
        if layer is None or bias is None:
            nodes[node.output] = node
            continue
        name = fresh(f"{node.output}_bias")
        constants[name] = bias
        del nodes[layer.output]
        nodes[node.output] = dataclasses.replace(
            layer,
            op="Gemm" if layer.op == "MatMul" else layer.op,
            inputs=(*layer.inputs[:2], name),
            outputs=node.outputs,
        )
    return net.replace(nodes=tuple(nodes.values()), constants=constants)


def _operands(
    net: Net, node: OpNode, nodes: dict[str, OpNode]
) -> tuple[OpNode | None, Array | None]:
    """(the layer, the constant) that an Add adds."""
    if node.op != "Add":
        return None, None
    for name, other in (node.inputs, node.inputs[::-1]):
        layer = nodes.get(name)
        if layer is not None and layer.op in LAYERS and other in net.constants:
            return layer, net.constants[other]
    return None, None


def _total(net: Net, layer: OpNode, constants: dict[str, Array], addend: Array) -> Array | None:
    """The layer's bias and the addend, float32 one an output; None if it is not one number each."""
    weight = constants.get(layer.inputs[1])
    shape = net.shapes[layer.output]
    rank = 4 if layer.op == "Conv" else 2
    attrs = layer.attrs
    if weight is None or weight.ndim != rank or len(shape) != rank or addend.ndim > rank:
        return None
    if attrs.get("alpha", 1.0) != 1.0 or attrs.get("beta", 1.0) != 1.0 or attrs.get("transA", 0):
        return None
    sizes = (1,) * (rank - addend.ndim) + addend.shape
    if sizes[1] not in (1, shape[1]) or any(size != 1 for size in sizes[:1] + sizes[2:]):
        return None
    total = np.broadcast_to(addend.reshape(-1).astype(np.float64), (shape[1],))
    if layer.optional_input(2):
        before = constants.get(layer.inputs[2])
        if before is None or before.size not in (1, shape[1]):
            return None
        total = total + before.astype(np.float64).reshape(-1)
    return total.astype(np.float32)
