"""A model's own functions: replaced by their nodes, unless that makes a giant of a small file."""

import onnx
import onnx.inliner

from penstock.compiler.errors import CompileError

#: Nodes of a network without functions at most; a ResNet-152 has about five thousand.
MAX_NODES = 100_000

Key = tuple[str, str, str]


def inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The checked model (its calls are no cycle and at most a hundred deep) without functions.

    Raises:
        CompileError: more than MAX_NODES nodes would come of it.
    """
    if not model.functions:
        return model
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[Key, int] = {}
    count = sum(_nodes(node, functions, sizes) for node in model.graph.node)
    if count > MAX_NODES:
        raise CompileError(
            f"the network's functions make more than {MAX_NODES} nodes",
            hint="export it without functions",
        )
    return onnx.inliner.inline_local_functions(model)


def _nodes(
    node: onnx.NodeProto, functions: dict[Key, onnx.FunctionProto], sizes: dict[Key, int]
) -> int:
    """Nodes that `node` becomes, those of its subgraphs included."""
    key = (node.domain, node.op_type, node.overload)
    count = 1
    if key in functions:
        if key not in sizes:
            sizes[key] = sum(_nodes(n, functions, sizes) for n in functions[key].node)
        count = sizes[key]
    graphs = [graph for a in node.attribute for graph in (a.g, *a.graphs)]
    return count + sum(_nodes(n, functions, sizes) for graph in graphs for n in graph.node)
