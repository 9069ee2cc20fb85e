"""Which values of a trace are gate scores."""

from __future__ import annotations

from torch import fx, nn

from penstock.model.trace.nodes import named, shape_of

#: What a score may pass on its way to the multiplication.
PASSES = {
    *("unsqueeze", "view", "reshape", "float", "to", "type_as", "flatten", "squeeze", "chunk"),
    *("getitem", "split", "gt", "ge", "cat", "concat", "contiguous", "sub"),
}
MULTIPLIES = {"mul", "imul", "mul_"}


def is_score(node: fx.Node) -> bool:
    """Whether all that reads a vector in the end multiplies a map with it."""
    shape = shape_of(node)
    if len(shape) not in (2, 4) or any(size != 1 for size in shape[2:]):
        return False
    readers = list(node.users)
    while readers:
        reader = readers.pop()
        name = named(reader)
        if name in MULTIPLIES or (name == "boolean_dispatch"):
            return True
        if name in PASSES or reader.op == "output":
            readers += reader.users
    return False


def is_sigmoid(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is a sigmoid, as a function or a layer."""
    if node.op == "call_module":
        return isinstance(traced.get_submodule(str(node.target)), nn.Sigmoid)
    return named(node) == "sigmoid"
