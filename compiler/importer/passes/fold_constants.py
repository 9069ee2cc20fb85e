"""Evaluate what depends on constants alone: shapes of reshapes, quantised float weights."""

import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from penstock.compiler.importer.net import Array, Net, OpNode

#: Folding never builds anything larger than this (elements).
MAX_ELEMENTS = 1 << 24
#: What exporters compute of constants, each in time proportional to its operands.  Nothing else
#: is evaluated: a Loop need not end, a Conv can take hours.  DequantizeLinear is not among them:
#: its integers are the weights.
# fmt: off
FOLDED = frozenset([
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Div", "Equal",
    "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater", "Identity", "Less", "Log", "Max",
    "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Range", "Reciprocal",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round",
    "Sigmoid", "Slice", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
])
# fmt: on


def fold_constants(net: Net) -> Net:
    """Replace nodes with constant inputs by their value.  Legal where the output's size is known
    and moderate; preserves every remaining value."""
    constants = dict(net.constants)
    kept: list[OpNode] = []
    for node in net.nodes:
        value = _evaluate(node, constants, net)
        if value is None:
            kept.append(node)
        else:
            constants[node.output] = value
    return net.replace(nodes=tuple(kept), constants=constants)


def _evaluate(node: OpNode, constants: dict[str, Array], net: Net) -> Array | None:
    if node.op == "Constant":
        return _constant(node)
    if node.op == "Shape" and node.inputs[0] in net.shapes:
        span = slice(node.attrs.get("start", 0), node.attrs.get("end"))
        return np.array(net.shapes[node.inputs[0]], dtype=np.int64)[span]
    inputs = [name for name in node.inputs if name]
    plain = node.op in FOLDED and len(node.outputs) == 1
    if not plain or not inputs or not all(name in constants for name in inputs):
        return None
    if node.output not in net.shapes or math.prod(net.shapes[node.output]) > MAX_ELEMENTS:
        return None
    if node.op == "QuantizeLinear" and not np.isfinite(constants[inputs[0]]).all():
        raise node.error(f"quantises '{inputs[0]}', which holds infinity")
    return _run(node, {name: constants[name] for name in inputs}, net.opset)


def _run(node: OpNode, inputs: dict[str, Array], opset: int) -> Array:
    """The node's value by ONNX's own reference implementation."""
    proto = onnx.helper.make_node(node.op, list(node.inputs), list(node.outputs), **node.attrs)
    graph = onnx.helper.make_graph(
        [proto],
        "constant",
        [onnx.helper.make_empty_tensor_value_info(name) for name in inputs],
        [onnx.helper.make_empty_tensor_value_info(node.output)],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    try:
        (value,) = ReferenceEvaluator(model).run(None, inputs)
    except Exception as error:  # the reference implementation raises whatever it meets
        raise node.error(f"cannot be evaluated: {' '.join(str(error).split())[:200]}") from error
    return np.asarray(value)


def _constant(node: OpNode) -> Array:
    for key, value in node.attrs.items():
        if key == "value":
            return np.asarray(value)
        if key in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise node.error("has no numeric value")
