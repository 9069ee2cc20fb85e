"""Refuse operators the core does not have, before anything else is said about the network."""

from penstock.compiler.importer.lower.network import HANDLERS
from penstock.compiler.importer.net import Net

HINTS = {
    "ArgMax": "end the network at its logits; the label is computed on the host",
    "Pad": "give the padding to the convolution",
    "Softmax": "end the network at its logits",
}


def check_operators(net: Net) -> Net:
    """The network itself, if every node is one lowering handles and every shape is static.

    Raises:
        CompileError: naming the node.
    """
    for node in net.nodes:
        if node.op not in HANDLERS:
            hint = HINTS.get(node.op, "supported: " + ", ".join(HANDLERS))
            raise node.error("the operator is not supported", hint)
    for node in net.nodes:
        if node.output not in net.shapes:
            raise node.error("its output has a dynamic shape", "export with fixed sizes")
    return net
