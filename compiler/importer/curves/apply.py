"""The function that lies between two tensors of a network, of any numbers."""

import numpy as np

from penstock.compiler.importer.curves.find import Curves
from penstock.compiler.importer.curves.functions import Reals, evaluate
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.numerics import quantize


def apply(net: Net, curves: Curves, name: str, x: Reals) -> Reals:
    """Tensor `name`, which is inside, where its root is `x` (any shape); quantisers on the way
    round as they do.  NaN or infinity where the function is not defined."""
    root = curves.roots[name]
    known: dict[str, Reals] = {root: np.asarray(x, np.float64)}
    made: dict[str, OpNode] = {}
    for node in net.nodes:
        made[node.output] = node
        if curves.roots.get(node.output) != root:
            continue
        operands = [
            None if not each else known[each] if each in known else _number(net, made, each)
            for each in node.inputs
        ]
        known[node.output] = _made(net, node, operands)
        if node.output == name:
            break
    return np.broadcast_to(known[name], np.shape(x))


def _made(net: Net, node: OpNode, operands: list[Reals | None]) -> Reals:
    """What a node makes of its operands."""
    if node.op not in ("DequantizeLinear", "QuantizeLinear"):
        return evaluate(node.op, operands, node.attrs)
    real, scale, zero = (*operands, None)[:3]
    assert real is not None and scale is not None
    moved = 0.0 if zero is None else float(zero)
    if node.op == "DequantizeLinear":
        return (real - moved) * scale
    signed = net.types[node.output] == "int8"
    return quantize(np.nan_to_num(real), float(scale), signed, int(moved)).astype(np.float64)


def _number(net: Net, made: dict[str, OpNode], name: str) -> Reals:
    """The one number that a constant is, dequantised if it is that."""
    if name in net.constants:
        return net.constants[name].reshape(-1)[:1].astype(np.float64).reshape(())
    return _made(net, made[name], [_number(net, made, each) for each in made[name].inputs])
