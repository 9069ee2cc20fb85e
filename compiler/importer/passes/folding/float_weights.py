"""Pass: weights that are stored as integers in a network without quantised activations are real."""

import numpy as np

from penstock.compiler.importer.axes import axis_of
from penstock.compiler.importer.net import Array, Net, OpNode


def float_weights(net: Net) -> Net:
    """Evaluate DequantizeLinear of constants where nothing in the network is quantised.

    Legal for a network that is still to be calibrated: it chooses scales of its own.  Preserves
    every value.
    """
    if any(node.op == "QuantizeLinear" for node in net.nodes):
        return net
    constants, kept = dict(net.constants), []
    for node in net.nodes:
        inputs = [name for name in node.inputs if name]
        if node.op == "DequantizeLinear" and all(name in constants for name in inputs):
            constants[node.output] = _real(net, node)
        else:
            kept.append(node)
    types = {**net.types, **{name: array.dtype.name for name, array in constants.items()}}
    return net.replace(nodes=tuple(kept), constants=constants, types=types)


def _real(net: Net, node: OpNode) -> Array:
    """(q - zero point) * scale, float32."""
    integers, scale = (net.constants[name] for name in node.inputs[:2])
    name = node.optional_input(2)
    zero = net.constants[name].astype(np.int64) if name else np.zeros(scale.shape, np.int64)
    if scale.size > 1 and integers.ndim > 1:
        shape = [1] * integers.ndim
        shape[axis_of(net, node)] = scale.size
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((integers.astype(np.int64) - zero) * scale.astype(np.float64)).astype(np.float32)
