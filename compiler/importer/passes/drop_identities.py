"""Bypass nodes that do nothing in inference."""

import dataclasses

import onnx

from penstock.compiler.importer.net import Net, OpNode


def drop_identities(net: Net) -> Net:
    """Remove Identity, Dropout (inference), Sum of one, Cast to the same type; preserves values."""
    alias: dict[str, str] = {}
    kept: list[OpNode] = []
    for node in net.nodes:
        inputs = tuple(alias.get(name, name) for name in node.inputs)
        if _is_identity(node, net):
            alias[node.output] = inputs[0]
        else:
            kept.append(dataclasses.replace(node, inputs=inputs))
    return net.with_results([alias.get(name, name) for name in net.results], nodes=tuple(kept))


def _is_identity(node: OpNode, net: Net) -> bool:
    if node.op == "Dropout":
        mode = node.optional_input(2)
        return not mode or (net.is_constant(mode) and not net.constants[mode].any())
    if node.op == "Cast":
        target = onnx.helper.tensor_dtype_to_np_dtype(node.attrs["to"]).name
        return net.types.get(node.inputs[0]) == target
    return node.op == "Identity" or (node.op == "Sum" and len(node.inputs) == 1)
