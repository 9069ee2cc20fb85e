"""Fold batch normalisations into the float convolutions before them."""

import dataclasses
from collections import Counter

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode

EPSILON = 1e-5  # ONNX's default


def fold_batch_norm(net: Net) -> Net:
    """Conv -> BatchNormalization becomes Conv.  Legal where nothing else reads the convolution;
    preserves the output up to float rounding.

    Raises:
        CompileError: a batch normalisation that follows something else.
    """
    uses = Counter(name for node in net.nodes for name in node.inputs)
    constants = dict(net.constants)
    nodes: dict[str, OpNode] = {}  # by output
    for node in net.nodes:
        if node.op != "BatchNormalization":
            nodes[node.output] = node
            continue
        conv = nodes.get(node.inputs[0])
        if conv is None or conv.op != "Conv" or uses[conv.output] != 1:
            raise node.error(
                "does not directly follow a convolution that nothing else reads",
                "normalise after convolutions only",
            )
        weight, bias = _folded(node, conv, constants)
        names = (f"{node.output}_weight", f"{node.output}_bias")
        constants[names[0]], constants[names[1]] = weight, bias
        del nodes[conv.output]
        nodes[node.output] = dataclasses.replace(
            conv, inputs=(conv.inputs[0], *names), outputs=(node.output,)
        )
    return net.replace(nodes=tuple(nodes.values()), constants=constants)


def _folded(node: OpNode, conv: OpNode, constants: dict[str, Array]) -> tuple[Array, Array]:
    """Weight and bias of the convolution with its batch normalisation, float32."""
    used = [name for name in (*conv.inputs[1:], *node.inputs[1:]) if name]
    if not all(name in constants for name in used):
        raise node.error("its parameters or the convolution's are not constants")
    if node.attrs.get("training_mode", 0):
        raise node.error("is in training mode", "export the network in evaluation mode")
    weight = constants[conv.inputs[1]].astype(np.float64)
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in node.inputs[1:])
    gain = gamma / np.sqrt(variance + node.attrs.get("epsilon", EPSILON))
    name = conv.optional_input(2)
    before = constants[name].astype(np.float64) if name else np.zeros(len(weight))
    folded = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.astype(np.float32), ((before - mean) * gain + beta).astype(np.float32)
