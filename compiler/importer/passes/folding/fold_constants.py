"""Evaluate what depends on constants alone: shapes of reshapes, quantised float weights."""

import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.onnx_file.to_onnx import to_proto

#: Folding never builds anything larger than this (elements).
MAX_ELEMENTS = 1 << 24
#: What exporters compute of constants, each in time proportional to its operands.  Nothing else
#: is evaluated: a Loop need not end, a Conv can take hours.  DequantizeLinear is not among them:
#: its integers are the weights.
# fmt: off
FOLDED = frozenset([
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Div", "Equal",
    "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less",
    "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow",
    "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "Relu", "Reshape", "Round", "Sigmoid", "Sign", "Slice", "Split", "Sqrt", "Squeeze",
    "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
])
# fmt: on


def fold_constants(net: Net) -> Net:
    """Replace nodes with constant inputs by their value.  Legal where the output's size is known
    and moderate; preserves every remaining value."""
    constants = dict(net.constants)
    kept: list[OpNode] = []
    for node in net.nodes:
        values = _evaluate(node, constants, net)
        if values is None:
            kept.append(node)
        else:
            constants.update(zip(node.outputs, values, strict=True))
    shapes = {**net.shapes, **{name: array.shape for name, array in constants.items()}}
    types = {**net.types, **{name: array.dtype.name for name, array in constants.items()}}
    return net.replace(nodes=tuple(kept), constants=constants, shapes=shapes, types=types)


def _evaluate(node: OpNode, constants: dict[str, Array], net: Net) -> list[Array] | None:
    """The values of a node's outputs, None where they are not known or not worth it."""
    if node.op == "Constant":
        return [_constant(node)]
    if node.op in ("Shape", "Size") and node.inputs[0] in net.shapes:
        sizes = np.array(net.shapes[node.inputs[0]], dtype=np.int64)
        if node.op == "Size":
            return [np.asarray(sizes.prod())]
        return [sizes[slice(node.attrs.get("start", 0), node.attrs.get("end"))]]
    inputs = [name for name in node.inputs if name]
    plain = node.op in FOLDED and all(node.outputs)
    if not plain or not inputs or not all(name in constants for name in inputs):
        return None
    if any(math.prod(net.shapes.get(name, (math.inf,))) > MAX_ELEMENTS for name in node.outputs):
        return None
    if node.op == "QuantizeLinear" and not np.isfinite(constants[inputs[0]]).all():
        raise node.error(f"quantises '{inputs[0]}', which holds infinity")
    return run_node(node, {name: constants[name] for name in inputs}, net.opset)


def run_node(node: OpNode, inputs: dict[str, Array], opset: int) -> list[Array]:
    """The node's values by ONNX's own reference implementation."""
    graph = onnx.helper.make_graph(
        [to_proto(node)],
        "constant",
        [onnx.helper.make_empty_tensor_value_info(name) for name in inputs],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.outputs],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    try:
        values = ReferenceEvaluator(model).run(None, inputs)
    except Exception as error:  # the reference implementation raises whatever it meets
        raise node.error(
            "depends on constants alone, but ONNX's reference implementation cannot evaluate it: "
            + " ".join(str(error).split())[:200],
            "let the exporter fold constants, or simplify the file before (onnxslim)",
        ) from error
    return [np.asarray(value) for value in values]


def _constant(node: OpNode) -> Array:
    for key, value in node.attrs.items():
        if key == "value":
            return np.asarray(value)
        if key in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise node.error("has no numeric value")
