"""Names of an ONNX file that are no text: protobuf hands those out as bytes."""

from collections.abc import Iterator
from typing import Any

import onnx

from penstock.compiler.errors import CompileError


def check_text(model: onnx.ModelProto, name: str) -> None:
    """CompileError if a name in the model (of file `name`) is not UTF-8."""
    for what, text in _names(model):
        if isinstance(text, bytes):
            raise CompileError(
                f"'{name}': the name of {what} is not UTF-8: {text[:40]!r}", hint="export it again"
            )


def _names(model: onnx.ModelProto) -> Iterator[tuple[str, Any]]:
    """Everything that names something, and what it is a name of."""
    graph = model.graph
    yield "the graph", graph.name
    for entry in model.metadata_props:
        yield from (("metadata", entry.key), ("metadata", entry.value))
    for function in model.functions:
        yield from (("a function", function.name), ("a function", function.domain))
        yield from (("a tensor", each) for each in (*function.input, *function.output))
    nodes = [*graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:
        yield from (("a node", each) for each in (node.name, node.op_type, node.domain))
        yield from (("a tensor", each) for each in (*node.input, *node.output))
        for attribute in node.attribute:
            yield "an attribute", attribute.name
            yield "an attribute", attribute.ref_attr_name
    for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield "a tensor", value.name
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            yield "a dimension", dim.dim_param
    for opset in model.opset_import:
        yield "an operator set", opset.domain
