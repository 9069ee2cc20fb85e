"""The import, step by step: ONNX file -> Net -> integer graph."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

from penstock.compiler import ir
from penstock.compiler.importer.graph.check_accumulators import check_accumulators
from penstock.compiler.importer.graph.prune import prune_graph
from penstock.compiler.importer.graph.unique_names import unique_names
from penstock.compiler.importer.load import load_model, to_net
from penstock.compiler.importer.lower.network import lower
from penstock.compiler.importer.net import Net
from penstock.compiler.importer.passes.check_attributes import check_attributes
from penstock.compiler.importer.passes.check_operators import check_operators
from penstock.compiler.importer.passes.fold_to_fixpoint import fold_to_fixpoint
from penstock.compiler.importer.passes.prune import prune

NET_PASSES: tuple[Callable[[Net], Net], ...] = (
    fold_to_fixpoint,
    prune,
    check_operators,
    check_attributes,
)

GRAPH_PASSES: tuple[Callable[[ir.Graph], ir.Graph], ...] = (
    prune_graph,
    unique_names,
    check_accumulators,
)


def import_onnx(path: Path, properties: Mapping[str, str] | None = None) -> ir.Graph:
    """The integer graph of an ONNX QDQ network (opset 13-21, batch 1 or symbolic).

    `properties`: metadata beside the file's (as in `set_properties`).

    Raises:
        CompileError: the network has no exact integer form; names the node, reason and hint.
    """
    return import_model(load_model(path, properties))


def import_model(model: onnx.ModelProto) -> ir.Graph:
    """The same for a model that `load_model` checked."""
    graph = lower(simplify(to_net(model)))
    for graph_pass in GRAPH_PASSES:
        graph = graph_pass(graph)
    return graph


def simplify(net: Net) -> Net:
    """The float-side passes."""
    for net_pass in NET_PASSES:
        net = net_pass(net)
    return net
