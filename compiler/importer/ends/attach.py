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
    nodes, outputs = [*head, *net.nodes], [*net.exits, net.output]
    for index, end in enumerate(net.tails):
        if end.nodes:
            nodes += _renamed(end, outputs[index])
            outputs[index] = end.result
    *exits, output = outputs
    metadata = dict(net.metadata)
    if EXITS in metadata:
        metadata[EXITS] = ",".join(outputs)
    return net.replace(
        nodes=tuple(nodes),
        input=net.head.source if net.head else net.input,
        output=output,
        exits=tuple(exits),
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
