"""Drop nodes and constants that neither the output nor an exit depends on."""

from penstock.compiler.importer.net import Net, OpNode


def prune(net: Net) -> Net:
    """Remove dead nodes.  Always legal; preserves the outputs."""
    needed = set(net.results)
    needed.update(name for end in net.ends for node in end.nodes for name in node.inputs)
    kept: list[OpNode] = []
    for node in reversed(net.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    constants = {name: array for name, array in net.constants.items() if name in needed}
    return net.replace(nodes=tuple(reversed(kept)), constants=constants)
