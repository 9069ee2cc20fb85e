"""Fold constants and infer shapes in turn: what one finds out the other may need."""

import onnx

from penstock.compiler.importer.net import Net
from penstock.compiler.importer.onnx_file.load import infer, static_shape, type_name
from penstock.compiler.importer.onnx_file.to_onnx import to_onnx
from penstock.compiler.importer.passes.drop_identities import drop_identities
from penstock.compiler.importer.passes.folding.fold_constants import fold_constants


def fold_to_fixpoint(net: Net) -> Net:
    """Fold constants and infer shapes in turn, until no shape is found any more.

    Exporters compute the operands of a Slice or a Reshape from the shape of a tensor: its size is
    known only when they are constants, and may be what the next one is computed from.  Preserves
    every remaining value.

    Raises:
        CompileError: shapes that do not fit.
    """
    while True:
        net = fold_constants(drop_identities(net))
        missing = [name for node in net.nodes for name in node.outputs if name not in net.shapes]
        if not any(missing) or any("." in node.op for node in net.nodes):  # of a foreign domain
            return net
        shapes, types = _inferred(net)
        if not any(name in shapes for name in missing):
            return net
        net = net.replace(shapes={**shapes, **net.shapes}, types={**types, **net.types})


def _inferred(net: Net) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """What ONNX's shape inference makes of the network as it is."""
    model = to_onnx(net)
    for output in model.graph.output:
        if output.name not in net.types:
            output.ClearField("type")
    graph = infer(model).graph
    infos = [*graph.value_info, *graph.output]
    shapes = {info.name: shape for info in infos if (shape := static_shape(info)) is not None}
    return shapes, {info.name: type_name(info) for info in infos if _typed(info)}


def _typed(info: onnx.ValueInfoProto) -> bool:
    return bool(info.type.tensor_type.elem_type)
