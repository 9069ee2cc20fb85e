"""What the structure of a network keeps from being negative."""

from penstock.compiler.importer.net import Net, OpNode

#: Operators whose result is not negative where their first operand is not.
KEEPING = frozenset(
    ["AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Pad", "ReduceMean", "Flatten"]
    + ["Reshape", "Identity", "Dropout", "Gather", "Slice", "Split", "Transpose"]
)


def is_nonnegative(net: Net, name: str) -> bool:
    """Whether a tensor is never negative: ReLUs, what keeps their sign, sums and products."""
    made = {output: node for node in net.nodes for output in node.outputs}
    return _nonnegative(net, name, made, 0)


def _nonnegative(net: Net, name: str, made: dict[str, OpNode], depth: int) -> bool:
    if name in net.constants:
        return bool((net.constants[name] >= 0).all())
    node = made.get(name)
    if node is None or depth > 200:
        return False
    if node.op in ("Relu", "Sigmoid", "HardSigmoid", "Softmax"):
        return True
    if node.op == "QuantizeLinear":
        return net.types.get(node.output) == "uint8" and _no_zero_point(net, node)
    if node.op == "DequantizeLinear":
        return net.types.get(node.inputs[0]) == "uint8" and _no_zero_point(net, node)
    if node.op == "Clip":
        low = net.constants.get(node.optional_input(1))
        return low is not None and bool((low >= 0).all())
    if node.op in ("Add", "Mul", "Sum"):
        return all(_nonnegative(net, source, made, depth + 1) for source in node.inputs)
    if node.op in KEEPING:
        sources = node.inputs if node.op == "Concat" else node.inputs[:1]
        return all(_nonnegative(net, source, made, depth + 1) for source in sources)
    return node.op == "Cast" and net.types.get(node.inputs[0]) == "bool"


def _no_zero_point(net: Net, node: OpNode) -> bool:
    name = node.optional_input(2)
    return not name or (name in net.constants and not net.constants[name].any())
