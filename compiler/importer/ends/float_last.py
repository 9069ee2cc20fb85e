"""Pass: a last dense layer whose result nothing quantises is the host's, in floating point.

Unless the core can do it too: then its result is logits of 16 bits (compiler/importer/logits.py).
"""

import dataclasses

import numpy as np

from penstock.compiler.importer.logits import VIEWS, dense_behind, logit_bits
from penstock.compiler.importer.net import Array, Net, OpNode

#: Dense layers, and what they are called once they are the host's.
HOST_DENSE = {"Gemm": "FloatGemm", "MatMul": "FloatMatMul"}
#: What else the core does, behind which such a layer is no last one.
CORE = frozenset(["Conv", "Gemm", "MatMul", "QuantizeLinear", "MaxPool", "AveragePool"])


def float_last(net: Net) -> Net:
    """Such layers as operators of the host's, their weights and biases in floating point.

    Legal where `peel` takes them then; preserves every value.
    """
    if not any(node.op == "QuantizeLinear" for node in net.nodes):
        return net
    makers = {name: node for node in net.nodes for name in node.outputs}
    found = _last(net)
    if logit_bits(net.metadata) != 8 and all(_of_core(net, node, makers) for node in found):
        return net
    last = [node for node in found if node.op == "Add" or _readable(net, node, makers)]
    constants, shapes, types = dict(net.constants), dict(net.shapes), dict(net.types)
    for node in last:
        for name in node.inputs:
            made = _dequantized(net, makers.get(name)) if name else None
            if made is not None:
                constants[name], shapes[name], types[name] = made, made.shape, "float32"
    renamed = {node: HOST_DENSE[node.op] for node in last if node.op in HOST_DENSE}
    if not renamed:
        return net
    nodes = tuple(
        dataclasses.replace(node, op=renamed.get(node, node.op))
        for node in net.nodes
        if node.output not in constants
    )
    return net.replace(nodes=nodes, constants=constants, shapes=shapes, types=types)


def float_logits(net: Net, name: str, makers: dict[str, OpNode]) -> bool:
    """Whether the core can make a result that nothing quantises: a dense layer of integers."""
    if logit_bits(net.metadata) == 8:
        return False
    dense = dense_behind(net, name, makers)
    return dense is not None and _of_core(net, dense, makers)


def _of_core(net: Net, node: OpNode, makers: dict[str, OpNode]) -> bool:
    """Whether what a dense layer reads is dequantised, and its weights are; or what is added to one
    is a constant."""
    if node.op == "Add":
        return any(net.is_constant(name) or _constant(net, name, makers) for name in node.inputs)
    source = makers.get(node.inputs[0])
    while source is not None and source.op in VIEWS:
        source = makers.get(source.inputs[0])
    plain = node.op == "Conv" or (
        (node.attrs.get("alpha", 1.0), node.attrs.get("beta", 1.0)) == (1.0, 1.0)
        and not node.attrs.get("transA", 0)
    )
    codes = source is not None and source.op == "DequantizeLinear"
    return plain and codes and _weights(net, node, makers.get(node.inputs[1]))


def _weights(net: Net, node: OpNode, maker: OpNode | None) -> bool:
    """Whether weights are dequantised constants as the core has them: int8, a scale an output."""
    if maker is None or _dequantized(net, maker) is None:
        return False
    codes, scale, *zero = (net.constants[name] for name in maker.inputs if name)
    output = 0 if node.op == "Conv" or node.attrs.get("transB", 0) else codes.ndim - 1
    if scale.size > 1 and int(maker.attrs.get("axis", 1)) % codes.ndim != output:
        return False
    centred = codes.astype(np.int64) - (int(zero[0].reshape(-1)[0]) if zero else 0)
    same = not zero or (zero[0] == zero[0].reshape(-1)[0]).all()
    return bool(same and centred.min(initial=0) >= -128 and centred.max(initial=0) <= 127)


def _constant(net: Net, name: str, makers: dict[str, OpNode]) -> bool:
    """Whether a tensor is a dequantised constant."""
    return _dequantized(net, makers.get(name)) is not None


def _readable(net: Net, node: OpNode, makers: dict[str, OpNode]) -> bool:
    """Whether its weight is a constant, dequantised or not."""
    name = node.inputs[1]
    return net.is_constant(name) or _dequantized(net, makers.get(name)) is not None


def _last(net: Net) -> list[OpNode]:
    """Dense layers behind which there is no layer of the core's, and what is added to them."""
    readers: dict[str, list[OpNode]] = {}
    for node in net.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    free: set[str] = set()  # tensors that only the host reads
    found: list[OpNode] = []
    for node in reversed(net.nodes):
        alone = all(
            reader.op not in CORE and free.issuperset(reader.outputs)
            for name in node.outputs
            for reader in readers.get(name, [])
        )
        if not alone:
            continue
        free.update(node.outputs)
        if node.op in HOST_DENSE:
            found += [node, *(r for r in readers.get(node.output, []) if r.op == "Add")]
    return found


def _dequantized(net: Net, node: OpNode | None) -> Array | None:
    """What a dequantiser makes of constants; None for anything else."""
    if node is None or node.op != "DequantizeLinear" or node.attrs.get("block_size"):
        return None
    arrays = [net.constants.get(name) for name in node.inputs if name]
    if any(array is None for array in arrays):
        return None
    codes, scale, *zero = (array for array in arrays if array is not None)
    shape = [1] * codes.ndim
    if scale.size > 1 and codes.ndim:
        axis = int(node.attrs.get("axis", 1)) if codes.ndim > 1 else 0
        shape[axis] = -1
    point = zero[0].reshape(shape if zero[0].size > 1 else []) if zero else 0
    steps = codes.astype(np.int64) - np.asarray(point, np.int64)
    scale = scale.reshape(shape if scale.size > 1 else [])
    return np.asarray(steps.astype(np.float32) * scale, np.float32)
