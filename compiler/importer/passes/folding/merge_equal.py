"""Nodes that compute the same of the same: one of them stays."""

import dataclasses

from penstock.compiler.importer.keys import frozen
from penstock.compiler.importer.net import Net


def merge_equal(net: Net) -> Net:
    """Nodes of one operator with equal operands and attributes become one.

    A shortcut that is written twice (once in the block, once for the skipped block) is one map
    then.  Legal for every operator without a state, and ONNX has no other; preserves every value.
    """
    alias: dict[str, str] = {}
    seen: dict[object, tuple[str, ...]] = {}
    kept = []
    given = set(net.results)
    for node in net.nodes:
        inputs = tuple(alias.get(name, name) for name in node.inputs)
        key = (node.op, _operands(net, inputs), frozen(node.attrs), len(node.outputs))
        before = seen.get(key)
        if before is not None and not given.intersection(node.outputs):
            alias.update(zip(node.outputs, before, strict=True))
            continue
        if not node.op.startswith("Random"):
            seen.setdefault(key, node.outputs)
        kept.append(dataclasses.replace(node, inputs=inputs))
    return net.replace(nodes=tuple(kept))


def _operands(net: Net, inputs: tuple[str, ...]) -> object:
    """Operands, small constants by what they hold."""
    return tuple(
        frozen(net.constants[name])
        if name in net.constants and net.constants[name].size <= 16
        else name
        for name in inputs
    )
