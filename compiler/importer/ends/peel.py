"""Pass: what the core cannot do at either end of the network becomes the host's.

A head reaches from the image to one tensor that all the rest is computed from; a tail from one
tensor to an output.  Nothing is taken that the core does itself: an end begins or ends with a node
that it cannot do there.  What cannot be cut off at one tensor stays, and is refused by name.
"""

import math
from collections.abc import Iterable

from penstock.compiler.importer.axes import axes_of
from penstock.compiler.importer.ends.float_last import HOST_DENSE, float_last, float_logits
from penstock.compiler.importer.ends.image import move_codes, quantize_last
from penstock.compiler.importer.ends.steps import VIEWS, to_steps
from penstock.compiler.importer.ends.unquantize import unquantize_logits
from penstock.compiler.importer.logits import logit_bits
from penstock.compiler.importer.net import EndNodes, Net, OpNode

LAYERS = frozenset(["Conv", "Gemm", "MatMul", "BatchNormalization"])
POOLS = frozenset(["AveragePool", "GlobalAveragePool", "MaxPool"])
#: What the core's layers take with them: clips and quantisers behind a layer, rows of it.
CLIPS = frozenset(["Clip", "Max", "Min", "Relu"])
QUANTIZERS = frozenset(["DequantizeLinear", "QuantizeLinear"])
ROWS = frozenset(["Gather", "Slice", "Split"])


def peel(net: Net) -> Net:
    """The network without its head and tails, which it then holds by themselves.

    Preserves every tensor that is left.
    """
    if net.ends or not net.nodes:
        return net
    net = quantize_last(move_codes(net))
    peeled = _peel_tails(_peel_head(float_last(net)))
    if any(node.op in HOST_DENSE.values() for node in peeled.nodes):
        peeled = _peel_tails(_peel_head(net))
    return unquantize_logits(peeled) if logit_bits(peeled.metadata) == 16 else peeled


def _peel_head(net: Net) -> Net:
    """Cut off what is computed of the image alone before the first node of the core."""
    made: set[str] = {net.input}
    codes: set[str] = set()  # what the image's quantiser made: the core begins there
    region: list[OpNode] = []
    for node in net.nodes:
        computed = [name for name in node.inputs if name and not net.is_constant(name)]
        if not computed or not made.issuperset(computed) or to_steps(net, node) is None:
            continue
        if node.op == "DequantizeLinear" and codes.issuperset(computed):
            continue
        region.append(node)
        made.update(node.outputs)
        if node.op == "QuantizeLinear" or codes.issuperset(computed):
            codes.update(node.outputs)
    foreign = [node for node in region if not _core_begins(net, node)]
    if not foreign:
        return net
    kept = _upstream(region, foreign)
    head = [node for node in region if node in kept]
    cut = _crossing(net, head)
    if len(cut) != 1 or net.input in cut or _outputs(head).intersection(net.results):
        return net
    (result,) = cut
    return net.replace(
        nodes=tuple(node for node in net.nodes if node not in kept),
        input=result,
        head=EndNodes(nodes=tuple(head), source=net.input, result=result),
    )


def _core_begins(net: Net, node: OpNode) -> bool:
    """Whether the core, or the quantiser before it, does a node of the image itself."""
    shape = net.shapes[node.inputs[0]]
    if node.op == "Gather":  # of channels: its weights go along
        return len(shape) == 4 and net.types[node.inputs[0]] == "float32"
    if node.op == "ReduceMean":
        return len(shape) == 4 and sorted(axes_of(net, node) or ()) == [2, 3]
    return node.op in QUANTIZERS


def _upstream(region: list[OpNode], last: Iterable[OpNode]) -> set[OpNode]:
    """Nodes of the region that `last` depend on, these included."""
    kept = set(last)
    needed = {name for node in kept for name in node.inputs}
    for node in reversed(region):
        if needed.intersection(node.outputs):
            kept.add(node)
            needed.update(node.inputs)
    return kept


def _peel_tails(net: Net) -> Net:
    """Cut off what is computed of the logits, for every output or for none."""
    ends = [_tail(net, output) for output in net.results]
    if not any(end is not None for end in ends):
        return net
    tails = []
    for output, end in zip(net.results, ends, strict=True):
        tails.append(end or EndNodes(nodes=(), source=output, result=output))
    taken = {node for end in tails for node in end.nodes}
    if sum(len(end.nodes) for end in tails) != len(taken):
        return net
    return net.with_results(
        [end.source for end in tails],
        nodes=tuple(node for node in net.nodes if node not in taken),
        tails=tuple(tails),
    )


def _tail(net: Net, output: str) -> EndNodes | None:
    """The nodes behind the core that lead to one output; None if it does all itself."""
    others = set(net.results) - {output}
    needed, region = {output}, []
    readers: dict[str, set[OpNode]] = {}
    for node in net.nodes:
        for name in node.inputs:
            readers.setdefault(name, set()).add(node)
    inside: set[OpNode] = set()
    for node in reversed(net.nodes):
        free = all(readers.get(name, set()) <= inside for name in node.outputs)
        if needed.intersection(node.outputs) and free and to_steps(net, node) is not None:
            if others.intersection(node.outputs):
                continue
            region.append(node)
            inside.add(node)
            needed.update(name for name in node.inputs if not net.is_constant(name))
    region.reverse()
    makers = {name: node for node in net.nodes for name in node.outputs}
    reached: set[str] = set()
    tail = []
    for node in region:
        if reached.intersection(node.inputs) or not _core_ends(net, node, makers):
            tail.append(node)
            reached.update(node.outputs)
    cut = {
        name
        for node in tail
        for name in node.inputs
        if name and not net.is_constant(name) and name not in reached
    }
    if len(cut) != 1:
        return None
    source = cut.pop()
    if not _is_result(net, source, makers):
        return None
    return EndNodes(nodes=tuple(tail), source=source, result=output)


def _is_result(net: Net, name: str, makers: dict[str, OpNode]) -> bool:
    """Whether a tensor can be what the core makes: a layer is behind it, and in a quantised network
    a quantiser."""
    node = makers.get(name)
    if _is_quantized(net) and not float_logits(net, name, makers):
        while node is not None and node.op in CLIPS | ROWS | {*VIEWS, "MaxPool"}:
            node = makers.get(node.inputs[0])
        if node is None or node.op not in QUANTIZERS:
            return False
    seen, waiting = {name}, [name]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if node.op in LAYERS | POOLS:
            return True
        waiting += [each for each in node.inputs if each not in seen]
        seen.update(node.inputs)
    return False


def _is_quantized(net: Net) -> bool:
    return any(node.op == "QuantizeLinear" for node in net.nodes)


def _core_ends(net: Net, node: OpNode, makers: dict[str, OpNode]) -> bool:
    """Whether the core does a node that nothing of it follows."""
    source = node.inputs[0]
    if node.op in CLIPS | QUANTIZERS:
        return True
    if node.op == "GlobalAveragePool":
        return not _is_quantized(net) or any(
            other.op == "QuantizeLinear" for other in net.nodes if node.output in other.inputs
        )
    if node.op in VIEWS:
        return _long(net.shapes[source]) == _long(net.shapes[node.output])
    if node.op in ROWS:
        return len(net.shapes[source]) == 2
    if node.op in ("Add", "Mul"):
        computed = [name for name in node.inputs if not net.is_constant(name)]
        return len(computed) == 2 or (node.op == "Add" and _is_layer(computed[0], makers))
    return False


def _is_layer(name: str, makers: dict[str, OpNode]) -> bool:
    """Whether a layer makes a tensor, perhaps reshaped: what is added to it is its bias."""
    node = makers.get(name)
    while node is not None and node.op in VIEWS:
        node = makers.get(node.inputs[0])
    return node is not None and node.op in LAYERS


def _long(shape: tuple[int, ...]) -> list[int]:
    """The dimensions other than 1, where they are one vector; a map's are its own."""
    if math.prod(shape) == max(shape, default=1):
        return [size for size in shape if size != 1]
    return list(shape)


def _crossing(net: Net, nodes: list[OpNode]) -> set[str]:
    """Tensors that `nodes`, or what they read, hand to the others."""
    inside = set(nodes)
    known = {net.input} | _outputs(nodes)
    return {
        name for node in net.nodes if node not in inside for name in node.inputs if name in known
    }


def _outputs(nodes: Iterable[OpNode]) -> set[str]:
    return {name for node in nodes for name in node.outputs}
