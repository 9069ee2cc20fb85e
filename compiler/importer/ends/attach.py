"""A network with its head and tails as ordinary nodes again: what an ONNX file holds."""

import dataclasses

from penstock.compiler.importer.exits import EXITS
from penstock.compiler.importer.net import EndNodes, Net, OpNode


def attach(net: Net) -> Net:
    """The inverse of `peel`; the core's outputs may have other names by now.

    Preserves every value.
    """
    if not net.ends:
        return net
    head = net.head.nodes if net.head else ()
    nodes, outputs = [*head, *net.nodes], list(net.results)
    for index, end in enumerate(net.tails):
        if end.nodes:
            nodes += _renamed(end, outputs[index])
            outputs[index] = end.result
    metadata = dict(net.metadata)
    if EXITS in metadata:
        metadata[EXITS] = ",".join(outputs)
    return net.with_results(
        outputs,
        nodes=tuple(nodes),
        input=net.head.source if net.head else net.input,
        metadata=metadata,
        head=None,
        tails=(),
    )


def _renamed(end: EndNodes, source: str) -> list[OpNode]:
    """The nodes of a tail, reading `source`."""
    return [
        dataclasses.replace(
            node, inputs=tuple(source if name == end.source else name for name in node.inputs)
        )
        for node in end.nodes
    ]
