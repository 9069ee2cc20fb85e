"""Fold batch normalisations into the float layers before them, or make them convolutions."""

import dataclasses
from collections import Counter

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.names import FreshNames

EPSILON = 1e-5  # ONNX's default
DENSE = ("Gemm", "MatMul")


def fold_batch_norm(net: Net) -> Net:
    """Conv (or Gemm, MatMul) -> BatchNormalization becomes the layer, where nothing else reads it.

    One that follows something else (pre-activation networks) becomes a depthwise 1x1 convolution.
    Preserves the output up to float rounding.

    Raises:
        CompileError: of a vector behind no layer, without constant parameters, or in training mode.
    """
    uses = Counter(name for node in net.nodes for name in node.inputs)
    constants, fresh = dict(net.constants), net.fresh_names()
    nodes: dict[str, OpNode] = {}  # by output
    for node in net.nodes:
        if node.op != "BatchNormalization":
            nodes[node.output] = node
            continue
        conv = nodes.get(node.inputs[0])
        given = net.results
        alone = conv is not None and uses[conv.output] == 1 and conv.output not in given
        if conv is None or not alone or not _takes(net, conv):
            conv = _per_channel(net, node, constants, fresh)
        weight, bias = _folded(node, conv, constants)
        names = (fresh(f"{node.output}_weight"), fresh(f"{node.output}_bias"))
        constants[names[0]], constants[names[1]] = weight, bias
        nodes.pop(conv.output, None)
        nodes[node.output] = dataclasses.replace(
            conv,
            op="Gemm" if conv.op == "MatMul" else conv.op,
            inputs=(conv.inputs[0], *names),
            outputs=(node.output,),
        )
    return net.replace(nodes=tuple(nodes.values()), constants=constants)


def _takes(net: Net, layer: OpNode) -> bool:
    """Whether a layer's outputs are the axis that is normalised, axis 1, and its terms plain."""
    if layer.op not in DENSE:
        return layer.op == "Conv"
    attrs = layer.attrs
    plain = attrs.get("alpha", 1.0) == attrs.get("beta", 1.0) == 1.0 and not attrs.get("transA", 0)
    ranks = {len(net.shapes[name]) for name in (*layer.inputs[:2], layer.output)}
    return plain and ranks == {2}


def _per_channel(net: Net, node: OpNode, constants: dict[str, Array], fresh: FreshNames) -> OpNode:
    """A convolution that changes nothing, each channel of its own, to fold a normalisation into."""
    if node.inputs[1] not in constants:
        raise node.error("its parameters are not constants")
    if len(net.shapes[node.inputs[0]]) != 4:
        raise node.error("follows no convolution and no map", "normalise maps only")
    channels = len(constants[node.inputs[1]])
    name = fresh(f"{node.output}_unit")
    constants[name] = np.ones((channels, 1, 1, 1), np.float32)
    return OpNode(
        name=node.name,
        op="Conv",
        inputs=(node.inputs[0], name),
        outputs=(name,),
        attrs={"group": channels, "kernel_shape": [1, 1]},
    )


def _folded(node: OpNode, conv: OpNode, constants: dict[str, Array]) -> tuple[Array, Array]:
    """Weight and bias of the convolution with its batch normalisation, float32."""
    used = [name for name in (*conv.inputs[1:], *node.inputs[1:]) if name]
    if not all(name in constants for name in used):
        raise node.error("its parameters or the convolution's are not constants")
    if node.attrs.get("training_mode", 0):
        raise node.error("is in training mode", "export the network in evaluation mode")
    weight = constants[conv.inputs[1]].astype(np.float64)
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in node.inputs[1:])
    with np.errstate(divide="ignore", invalid="ignore"):  # judged below
        gain = gamma / np.sqrt(variance + node.attrs.get("epsilon", EPSILON))
    name = conv.optional_input(2)
    before = constants[name].astype(np.float64).reshape(-1) if name else np.zeros(1)
    last = conv.op in DENSE and not conv.attrs.get("transB", 0)
    folded = weight * (gain if last else gain.reshape(-1, *[1] * (weight.ndim - 1)))
    bias = (before - mean) * gain + beta
    if not (np.isfinite(folded).all() and np.isfinite(bias).all()):
        raise node.error("its parameters make no finite numbers", "train the network again")
    return folded.astype(np.float32), bias.astype(np.float32)
