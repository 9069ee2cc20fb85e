"""The import, step by step: ONNX file -> Net -> integer graph."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx

import penstock.compiler.importer.exits as names
from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.ends.mirror import mirror
from penstock.compiler.importer.ends.parts import host_part, shape_of_one
from penstock.compiler.importer.ends.peel import peel
from penstock.compiler.importer.graph.check_accumulators import check_accumulators
from penstock.compiler.importer.graph.prune import prune_graph
from penstock.compiler.importer.graph.unique_names import unique_names
from penstock.compiler.importer.lower.network import lower
from penstock.compiler.importer.net import Net
from penstock.compiler.importer.onnx_file.load import load_model, to_net
from penstock.compiler.importer.passes.canonical_blends import canonical_blends
from penstock.compiler.importer.passes.canonical_scores import canonical_scores
from penstock.compiler.importer.passes.channel_shuffles import channel_shuffles
from penstock.compiler.importer.passes.dense_as_conv import dense_as_conv
from penstock.compiler.importer.passes.drop_expands import drop_expands
from penstock.compiler.importer.passes.folding.float_weights import float_weights
from penstock.compiler.importer.passes.folding.fold_batch_norm import fold_batch_norm
from penstock.compiler.importer.passes.folding.fold_bias import fold_bias
from penstock.compiler.importer.passes.folding.fold_constants import fold_constants
from penstock.compiler.importer.passes.folding.fold_to_fixpoint import fold_to_fixpoint
from penstock.compiler.importer.passes.folding.merge_equal import merge_equal
from penstock.compiler.importer.passes.global_max import global_max
from penstock.compiler.importer.passes.image_phases import image_phases
from penstock.compiler.importer.passes.prune import prune
from penstock.compiler.importer.passes.sums import sums
from penstock.compiler.importer.refusals.check_attributes import check_attributes
from penstock.compiler.importer.refusals.check_image import check_image
from penstock.compiler.importer.refusals.check_operators import check_operators
from penstock.program.network.ends import HostPart

Passes = tuple[Callable[[Net], Net], ...]

READ_PASSES: Passes = (fold_to_fixpoint, sums, prune)
#: Of a network that is still to be quantised: its weights are constants.
FLOAT_PASSES: Passes = (
    float_weights,
    fold_constants,
    merge_equal,
    fold_bias,
    fold_batch_norm,
    fold_bias,
)
END_PASSES: Passes = (
    channel_shuffles,
    global_max,
    image_phases,
    dense_as_conv,
    peel,
    prune,
    mirror,
)
CANONICAL_PASSES: Passes = (drop_expands, canonical_blends, canonical_scores, prune)
CHECK_PASSES: Passes = (check_image, check_operators, check_attributes)

GRAPH_PASSES: tuple[Callable[[ir.Graph], ir.Graph], ...] = (
    prune_graph,
    unique_names,
    check_accumulators,
)


def import_onnx(path: Path, properties: Mapping[str, str] | None = None) -> ir.Graph:
    """The integer graph of an ONNX QDQ network (opset 7-23, batch 1 or symbolic).

    `properties`: metadata beside the file's (as in `set_properties`).

    Raises:
        CompileError: the network has no exact integer form; names the node, reason and hint.
    """
    return import_model(load_model(path, properties))


def import_model(model: onnx.ModelProto) -> ir.Graph:
    """The same for a model that `load_model` checked."""
    read = to_net(model)
    net = simplify(read)
    graph = lower(net)
    ends = tuple(host_part(net, end) for end in net.tails)
    first = len(net.exits) + 1
    tails = ends[:first] if any(end.steps for end in ends[:first]) else ()
    _check_results(tails)
    graph = dataclasses.replace(
        graph,
        head=host_part(net, net.head) if net.head else None,
        tails=tails,
        other_tails=ends[first:],
        output_names=names.output_names(read),
        output_shapes=tuple(shape_of_one(net.shapes[name]) for name in (net.output, *net.others)),
    )
    for graph_pass in GRAPH_PASSES:
        graph = graph_pass(graph)
    return graph


def _check_results(ends: Sequence[HostPart]) -> None:
    """CompileError unless the ends of the exits and of the network make equal arrays: whichever an
    image takes, its result is one."""
    for end in ends[:-1]:
        early, last = end.result, ends[-1].result
        if (early.shape, early.type) != (last.shape, last.type):
            raise CompileError(
                f"the early exit '{early.name}' makes {early.type} of shape {early.shape}, the "
                f"network's output '{last.name}' {last.type} of {last.shape}",
                hint="end every exit as the network itself",
            )


def simplify(net: Net, before: Passes = ()) -> Net:
    """The float-side passes; `before` what is brought into its canonical form."""
    passes = (*READ_PASSES, *before, *END_PASSES, *CANONICAL_PASSES, *CHECK_PASSES)
    for net_pass in passes:
        net = net_pass(net)
    return net


def simplify_float(net: Net) -> Net:
    """The same of a network that is still to be quantised."""
    return simplify(net, FLOAT_PASSES)
