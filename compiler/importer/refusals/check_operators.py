"""Refuse operators the core does not have, before anything else is said about the network."""

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.curves.find import find_curves
from penstock.compiler.importer.lower.curves import lower_function
from penstock.compiler.importer.lower.network import HANDLERS
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.refusals.operator_hints import operator_hint


def check_operators(net: Net) -> Net:
    """The network itself, if every node is one lowering handles and every shape is static.

    Raises:
        CompileError: naming the node.
    """
    curves = find_curves(net)
    for node in net.nodes:
        if HANDLERS.get(node.op, lower_function) is lower_function and node.output not in curves:
            raise node.error("the operator is not supported", operator_hint(net, node))
    for node in net.nodes:
        if any(name and name not in net.shapes for name in node.outputs):
            raise _dynamic(net, node)
    return net


def _dynamic(net: Net, node: OpNode) -> CompileError:
    """The error for a node whose output has an unknown shape."""
    computed = [name for name in node.inputs[1:] if name and not net.is_constant(name)]
    if not computed:
        return node.error("the shape of its output cannot be inferred", "export with fixed sizes")
    return node.error(
        f"its output has a dynamic shape: it depends on '{computed[0]}', which is computed from "
        "the image",
        "export with fixed sizes",
    )
