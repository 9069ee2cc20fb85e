"""Pass: a map of planes that is cut to one row or column less is made so.

A transposed convolution may have a result of odd sides; the importer makes it of even ones and
takes a part.  Legal always; preserves every value that is left.
"""

import dataclasses

from penstock.compiler.ir import Frame, Graph, Interleave, Node, inputs_of


def crop_interleaves(graph: Graph) -> Graph:
    """Frames that leave out the last row or column of an Interleave become Interleaves."""
    made = {node.output: node for node in graph.nodes if isinstance(node, Interleave)}
    nodes: list[Node] = []
    for node in graph.nodes:
        source = made.get(node.input) if isinstance(node, Frame) else None
        if isinstance(node, Frame) and source is not None and _is_shorter(node, source):
            node = dataclasses.replace(
                source,
                name=node.name,
                output=node.output,
                height=node.height,
                width=node.width,
            )
        nodes.append(node)
    needed = {*graph.results, *(name for node in nodes for name in inputs_of(node))}
    gone = made.keys() - needed
    return dataclasses.replace(
        graph,
        nodes=tuple(node for node in nodes if node.output not in gone),
        values={name: value for name, value in graph.values.items() if name not in gone},
    )


def _is_shorter(frame: Frame, source: Interleave) -> bool:
    """Whether a frame is a map of planes less at most its last row and column of even sides."""
    whole = not frame.channels and (frame.top, frame.left, *frame.steps) == (0, 0, 1, 1)
    pairs = ((frame.height, source.height), (frame.width, source.width))
    return whole and all(full % 2 == 0 and full - side in (0, 1) for side, full in pairs)
