"""Files as other tools write them, brought to ONNX's own operators in an order that it accepts.

Nodes out of order are sorted, com.microsoft's QuantizeLinear and DequantizeLinear are ONNX's own
(they were there first), and older operator sets are converted by onnx's own converter.
"""

import heapq

import onnx
import onnx.version_converter

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.onnx_file.qonnx import from_qonnx

OLDEST, OLDEST_READ, NEWEST = 7, 13, 23
#: What an older operator set is converted to.
CONVERTED = 18
MICROSOFT = "com.microsoft"
#: Operators of that domain that ONNX has under the same name, with the same meaning for 8 bits.
ADOPTED = frozenset(["QuantizeLinear", "DequantizeLinear"])


def standardize(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model with the same outputs and tensor names (itself, if there is nothing to do).

    Raises:
        CompileError: onnx cannot convert its operator set.
    """
    sorted_nodes = _sorted(model.graph)
    foreign = [n for n in model.graph.node if n.domain == MICROSOFT and n.op_type in ADOPTED]
    if sorted_nodes is None and not foreign:
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    if sorted_nodes is not None:
        del made.graph.node[:]
        made.graph.node.extend(sorted_nodes)
    for node in made.graph.node:
        if node.domain == MICROSOFT and node.op_type in ADOPTED:
            node.domain = ""
    return made


def convert_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model (valid) in an operator set that is read, QONNX's quantisers as ONNX's.

    Raises:
        CompileError: onnx cannot convert it, or a quantiser is none of 8 bits.
    """
    return from_qonnx(_converted(model))


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    versions = [e.version for e in model.opset_import if e.domain in ("", "ai.onnx")]
    if not versions or versions[0] >= OLDEST_READ:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, CONVERTED)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise CompileError(
            f"onnx cannot convert opset {versions[0]} to {CONVERTED}: {text}",
            hint="export with opset_version=18",
        ) from None
    onnx.helper.set_model_props(
        converted, {entry.key: entry.value for entry in model.metadata_props}
    )
    return converted


def _sorted(graph: onnx.GraphProto) -> list[onnx.NodeProto] | None:
    """The nodes in an order in which each comes behind what it reads, as near to theirs as can be.

    None if they are in order, or if there is none (onnx's checker says so).
    """
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    readers: dict[int, list[int]] = {}
    missing = []
    for index, node in enumerate(graph.node):
        needed = {makers[name] for name in node.input if name in makers}
        missing.append(len(needed))
        for maker in needed:
            readers.setdefault(maker, []).append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(graph.node) or order == sorted(order):
        return None
    return [graph.node[index] for index in order]
