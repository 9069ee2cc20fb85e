"""Sizes that no tensor has: found node by node, before ONNX infers the shapes of a whole network.

ONNX's shape inference gives a window that is larger than its map a negative size, and ends the
process where another node works on it (Slice, in onnx 1.22).
"""

from typing import Any

import onnx
from onnx import shape_inference

from penstock.compiler.errors import CompileError

#: Operands that a size may depend on are small (elements).
MAX_OPERAND = 1 << 12

#: What inference of one node raises about operands that do not fit.
ONNX_ERRORS = (
    onnx.checker.ValidationError,
    onnx.defs.SchemaError,
    shape_inference.InferenceError,
)


def check_sizes(model: onnx.ModelProto) -> bool:
    """Whether the operand of every Slice has a shape that follows without values of tensors.

    Raises:
        CompileError: a tensor would have a negative size, or a node has a graph of its own.
    """
    types, data = _initialisers(model.graph)
    types |= {value.name: value.type for value in model.graph.input}
    known = True
    for node in model.graph.node:
        if any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute):
            raise _error(node, "the operator is not supported", "export without control flow")
        inputs = [name for name in node.input if name]
        if node.op_type == "Slice":
            known &= inputs[0] in types and _static(types[inputs[0]])
        if all(name in types for name in inputs):
            made = _outputs(model, node, {name: types[name] for name in inputs}, data)
            types |= made
            _refuse_negative(node, made)
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    data[node.output[0]] = attribute.t
    return known


def _initialisers(graph: onnx.GraphProto) -> tuple[dict[str, Any], dict[str, onnx.TensorProto]]:
    """Types of the constants, and the small ones themselves."""
    types, data = {}, {}
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        if len(tensor.dims) < 2 and sum(tensor.dims) <= MAX_OPERAND:
            data[tensor.name] = tensor
    return types, data


def _outputs(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    types: dict[str, Any],
    data: dict[str, onnx.TensorProto],
) -> dict[str, Any]:
    """Types of a node's outputs, as far as they follow from its operands."""
    if any(map(_long, types.values())):
        return {}  # a rank of thousands, if it is a shape
    domain = "" if node.domain == "ai.onnx" else node.domain
    versions = {"" if e.domain == "ai.onnx" else e.domain: e.version for e in model.opset_import}
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
        return dict(
            shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=list(model.opset_import)
            )
        )
    except (ValueError, RuntimeError, *ONNX_ERRORS):
        return {}  # what is wrong is said of the whole network


def _long(kind: onnx.TypeProto) -> bool:
    """Whether a tensor is a vector longer than any shape."""
    dims = kind.tensor_type.shape.dim
    return len(dims) == 1 and dims[0].dim_value > MAX_OPERAND


def _static(kind: onnx.TypeProto) -> bool:
    shape = kind.tensor_type.shape
    return kind.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in shape.dim)


def _refuse_negative(node: onnx.NodeProto, types: dict[str, Any]) -> None:
    for name, kind in types.items():
        sizes = [dim.dim_value for dim in kind.tensor_type.shape.dim]
        if any(size < 0 for size in sizes):
            raise _error(
                node,
                f"makes '{name}' of size {' x '.join(map(str, sizes))}",
                "its window is larger than the map that it reads",
            )


def _error(node: onnx.NodeProto, reason: str, hint: str) -> CompileError:
    name = node.name or (node.output[0] if node.output else "")
    return CompileError(reason, node=name, op=node.op_type, hint=hint)
