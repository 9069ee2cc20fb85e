"""QONNX's Quant of 8 bits and fewer as ONNX's quantisers: Clip, QuantizeLinear, DequantizeLinear.

Quant(x, scale, zero point, bits) is (clip(round(x / scale + zero), low, high) - zero) * scale in
floating point.  Rounding is monotone, so clipping x to the real numbers of low and high before is
the same; what fewer than 8 bits hold is a part of int8 or uint8.
"""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Array
from penstock.compiler.names import FreshNames

#: Domains under which tools write it.
DOMAINS = frozenset(["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"])
HINT = "quantise to 8 bits or fewer, with a constant scale and zero point and rounding to nearest"


def from_qonnx(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model (itself, if it has no Quant) with the same tensor names.  Opset 13 or later.

    Raises:
        CompileError: a Quant that 8-bit quantisers cannot say.
    """
    if not any(_is_quant(node) for node in model.graph.node):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    writer = _Writer(made.graph)
    nodes = [new for node in model.graph.node for new in writer.rewritten(node)]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    used = {node.domain for node in nodes} | {"", "ai.onnx"}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del made.opset_import[:]
    made.opset_import.extend(kept)
    return made


def _is_quant(node: onnx.NodeProto) -> bool:
    return node.op_type == "Quant" and node.domain in DOMAINS


class _Writer:
    """Rewrites nodes of one graph; new constants are its initialisers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    self.constants[node.output[0]] = attribute.t
        names = {name for node in graph.node for name in (*node.input, *node.output)}
        self.fresh = FreshNames(names | set(self.constants) | {i.name for i in graph.input})

    def rewritten(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes in place of one: itself, or three for a Quant."""
        if not _is_quant(node):
            return [node]
        scale, zero, bits = (self._array(node, index) for index in (1, 2, 3))
        low, high, kind = _range(node, bits)
        axis = self._axis(node, scale)
        point = zero.reshape(-1)
        if not point.size or (point != point[0]).any() or point[0] != round(float(point[0])):
            raise _error(node, "has zero points that are no single whole number")
        offset = int(point[0])
        info = np.iinfo(kind)
        if not info.min <= offset <= info.max:
            raise _error(node, f"has the zero point {offset}, beyond {np.dtype(kind).name}")
        source, nodes = node.input[0], []
        if (low, high) != (info.min, info.max):
            bounds = [(scale * np.float32(b - offset)).astype(np.float32) for b in (low, high)]
            for op, bound in zip(("Max", "Min"), bounds, strict=True):
                clipped = self.fresh(f"{node.output[0]}_{op.lower()}")
                inputs = [source, self._constant(node, op, bound)]
                nodes.append(helper.make_node(op, inputs, [clipped], name=clipped))
                source = clipped
        flat: Array = scale.astype(np.float32).reshape(() if axis is None else (-1,))
        points: Array = np.full(flat.shape, offset, kind)
        parameters = [self._constant(node, "scale", flat), self._constant(node, "zero", points)]
        codes = self.fresh(f"{node.output[0]}_codes")
        attrs = {} if axis is None else {"axis": axis}
        for op, data, output in (
            ("QuantizeLinear", source, codes),
            ("DequantizeLinear", codes, node.output[0]),
        ):
            name = node.name if op == "QuantizeLinear" else output
            nodes.append(helper.make_node(op, [data, *parameters], [output], name=name, **attrs))
        return nodes

    def _array(self, node: onnx.NodeProto, index: int) -> Array:
        tensor = self.constants.get(node.input[index]) if len(node.input) > index else None
        if tensor is None:
            raise _error(node, "has a scale, zero point or bit width that is no constant")
        array: Array = numpy_helper.to_array(tensor)
        if not np.isfinite(array.astype(np.float64)).all():
            raise _error(node, "has a scale, zero point or bit width that is not finite")
        return array

    def _axis(self, node: onnx.NodeProto, scale: Array) -> int | None:
        """The axis along which there are several scales; None for one scale."""
        wide = [axis for axis, side in enumerate(scale.shape) if side > 1]
        if len(wide) > 1 or not scale.size:
            raise _error(node, f"has scales of shape {scale.shape}")
        source = self.constants.get(node.input[0])
        if wide and source is not None and len(source.dims) >= scale.ndim:
            return wide[0] + len(source.dims) - scale.ndim
        return wide[0] if wide else None

    def _constant(self, node: onnx.NodeProto, what: str, array: Array) -> str:
        name = self.fresh(f"{node.output[0]}_{what}")
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name


def _range(node: onnx.NodeProto, bits: Array) -> tuple[int, int, type]:
    """Least and greatest integer, and the type that holds them."""
    width = float(bits.reshape(-1)[0]) if bits.size == 1 else math.nan
    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if width not in range(2, 9):
        raise _error(node, f"quantises to {bits.reshape(-1)[:3].tolist()} bits")
    mode = given.get("rounding_mode", b"ROUND")
    if mode not in (b"ROUND", b"HALF_EVEN"):
        raise _error(node, f"rounds by {mode.decode('ascii', 'replace')}")
    levels, narrow = 1 << int(width), bool(given.get("narrow", 0))
    if given.get("signed", 1):
        return -levels // 2 + narrow, levels // 2 - 1, np.int8
    return 0, levels - 1 - narrow, np.uint8


def _error(node: onnx.NodeProto, reason: str) -> CompileError:
    name = node.name or (node.output[0] if node.output else "")
    return CompileError(reason, node=name, op=node.op_type, hint=HINT)
