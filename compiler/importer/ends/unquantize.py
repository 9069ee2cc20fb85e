"""Pass: the last quantiser of each dense layer's logits is left out, for logits of 16 bits."""

import dataclasses
from collections.abc import Mapping

from penstock.compiler.importer.logits import dense_behind, logit_scales, scale_properties
from penstock.compiler.importer.net import Net, OpNode

#: Steps of an int16 logit in one of the quantiser's: its numbers reach twice as far, since what
#: it saturates is one of them now.
FINER = 128


def unquantize_logits(net: Net) -> Net:
    """The network whose results are what its last quantisers read, where a dense layer makes that.

    Changes the results: they are not rounded, or saturated, to 8 bits any more.
    """
    makers = {name: node for node in net.nodes for name in node.outputs}
    before: dict[str, str] = {}
    scales = logit_scales(net.metadata)
    for name in net.results:
        pair = _quantizer(net, name, makers)
        if pair is not None:
            before[name] = pair.inputs[0]
            scale = float(net.constants[pair.inputs[1]].reshape(())) / FINER
            scales[pair.inputs[0]] = max(scale, scales.get(pair.inputs[0], 0.0))
    if not before:
        return net
    tails = tuple(
        dataclasses.replace(
            tail,
            source=before.get(tail.source, tail.source),
            result=before.get(tail.result, tail.result) if not tail.nodes else tail.result,
            nodes=tuple(
                dataclasses.replace(node, inputs=tuple(before.get(n, n) for n in node.inputs))
                for node in tail.nodes
            ),
        )
        for tail in net.tails
    )
    return net.with_results(
        [before.get(name, name) for name in net.results],
        tails=tails,
        metadata={**net.metadata, **scale_properties(scales)},
    )


def _quantizer(net: Net, name: str, makers: Mapping[str, OpNode]) -> OpNode | None:
    """The quantiser behind a dense layer of which nothing but a result is made."""
    last = makers.get(name)
    node = makers.get(last.inputs[0]) if last and last.op == "DequantizeLinear" else None
    if last is None or node is None or node.op != "QuantizeLinear":
        return None
    if any({name, node.output}.intersection(n.inputs) for n in net.nodes if n is not last):
        return None
    scale = net.constants.get(node.inputs[1])
    if scale is None or scale.size != 1 or dense_behind(net, node.inputs[0], makers) is None:
        return None
    return node
