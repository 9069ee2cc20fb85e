"""The standing check on small networks: what it compares, what it allows, what it finds."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler import ir
from penstock.compiler.check import CheckError, CheckResult, check_graph, prepare
from penstock.compiler.importer.pipeline import import_model
from tests.compiler.front.qdq import Qdq

Y = 0.04


def checked(model: onnx.ModelProto, change: Any = None, count: int = 16) -> CheckResult:
    """The check of what the importer makes of a model, perhaps after a change of the graph."""
    prepared = prepare(model)
    graph = import_model(prepared)
    shape = tuple(dim.dim_value for dim in prepared.graph.input[0].type.tensor_type.shape.dim)
    images = np.random.default_rng(3).normal(0, 1.5, (count, *shape[1:])).astype(np.float32)
    return check_graph(change(graph) if change else graph, prepared, images)


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """The model with other names of tensors."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    return model


def gated(net: Qdq, kind: str) -> onnx.ModelProto:
    """A convolution whose channels have scores that the file does not quantise."""
    x = net.stem()
    z = net.gemm(net.pool(x), 4, "gate")
    if kind == "binary":
        score = net.node("Cast", net.node("Greater", z, net.const(0.5)), to=1)
    elif kind == "sigmoid":
        score = net.node("Sigmoid", z)
    else:
        score = net.clip(z)
    y = net.node("Mul", net.conv(x, 4), net.map_shape(score))
    return net.model(net.classifier(net.qdq(net.node("Relu", y), Y, signed=False)))


def shift_bias(graph: ir.Graph, name: str, steps: int) -> ir.Graph:
    """Another bias in one layer."""
    nodes = []
    for node in graph.nodes:
        if node.name == name and isinstance(node, ir.Gate | ir.Conv | ir.Dense):
            node = dataclasses.replace(node, bias=node.bias + np.int32(steps))
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize("kind", ["soft", "binary", "sigmoid"])
def test_scores_that_the_file_does_not_quantise(net: Qdq, kind: str) -> None:
    result = checked(gated(net, kind))
    result.require()
    assert not result.unnamed and len(result.layers) == 6
    assert [gate.decisions for gate in result.gates] == [64]


def test_a_binary_gate_that_decides_otherwise_is_found(net: Qdq) -> None:
    model = gated(net, "binary")
    result = checked(model, lambda graph: shift_bias(graph, "gate", -(1 << 20)))
    wrong = result.first_wrong
    assert wrong is not None and (wrong.layer, wrong.op) == ("gate", "Gate")
    assert result.flips > 0
    with pytest.raises(CheckError, match=r"node 'gate' \(Gate\): differs .* by 128 steps"):
        result.require()


def test_a_threshold_next_to_the_sums_is_a_tie(net: Qdq) -> None:
    """The gate compares its bias with a threshold that is the same: either decision is right."""
    x = net.stem()
    weight = net.dequantize(net.const(np.zeros((4, 4)), np.int8), 0.01)
    z = net.node("Gemm", net.pool(x), weight, net.const(np.full(4, 0.25)), name="gate", transB=1)
    score = net.node("Cast", net.node("Greater", z, net.const(0.25)), to=1)
    y = net.node("Mul", net.conv(x, 4), net.map_shape(score))
    model = net.model(net.qdq(net.node("Relu", y), Y, signed=False))
    result = checked(model, lambda graph: shift_bias(graph, "gate", 1 << 20))
    assert result.flips == 64 and result.first_wrong is None


def test_a_layer_of_another_shape_is_found(net: Qdq) -> None:
    model = net.model(net.qdq(net.conv(net.stem(), 4, name="last"), Y))

    def strided(graph: ir.Graph) -> ir.Graph:
        nodes = [
            dataclasses.replace(node, stride=2) if node.name == "last" else node
            for node in graph.nodes
        ]
        value = dataclasses.replace(graph.values[graph.output], shape=(4, 3, 3))
        values = graph.values | {graph.output: value}
        return dataclasses.replace(graph, nodes=tuple(nodes), values=values)

    result = checked(model, strided)
    assert result.describe_wrong().startswith("makes 1 x 4 x 3 x 3, '")
    assert result.describe_wrong().endswith("is 1 x 4 x 6 x 5 in onnxruntime")


def test_values_that_the_importer_renames_are_compared(net: Qdq, tmp_path: Path) -> None:
    """Names that end as those of copies and images do, the network's input among them."""
    model = net.model(net.classifier(net.qdq(net.node("Relu", net.conv(net.stem(), 4)), Y, False)))
    made = [node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    endings = (".copy", "#1", "[0:4]", "+2", ".sums")
    names = {name: f"t{index}{endings[index % 5]}" for index, name in enumerate(made)}
    result = checked(renamed(model, names | {"image": "image#1"}))
    result.require()
    assert not result.unnamed
    assert {layer.tensor for layer in result.layers} <= set(names.values())


def test_a_limit_before_a_shuffle_is_not_compared_with_the_shuffled_tensor(net: Qdq) -> None:
    """The value behind the limit has its channels as they were."""
    x = net.qdq(net.conv(net.image(), 4), Y)
    y = net.node("Gather", net.node("Relu", x), net.const([2, 0, 3, 1], np.int64), axis=1)
    weight = net.weight((4, 4, 3, 3))
    checked(net.model(net.qdq(net.node("Conv", y, weight, pads=[1] * 4), Y))).require()
