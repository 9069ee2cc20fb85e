"""Control flow that no output depends on: dropped before anything walks through its graphs."""

import onnx


def drop_dead_branches(graph: onnx.GraphProto) -> None:
    """Remove nodes with graphs of their own that nothing in `graph` needs, in place.

    Shape inference goes into such graphs, and may end the process there (`check_sizes`), so one
    that something needs is refused.  Always legal; preserves the outputs.
    """
    needed = {output.name for output in graph.output}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
    kept: list[onnx.NodeProto] = []
    gone: set[str] = set()
    for node in graph.node:
        branches = any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute)
        if not needed.intersection(node.output) and (branches or gone.intersection(node.input)):
            gone.update(node.output)
        else:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    if gone:
        del graph.node[:]
        graph.node.extend(kept)
