"""Every accepted form of a gate: its structure, and its arithmetic against onnxruntime."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from penstock.compiler import ir
from penstock.program.core.descriptor import GateKind

Y = 0.04
SCORE = 1 / 128


def nodes_of(graph: ir.Graph, kind: type) -> list[Any]:
    return [node for node in graph.nodes if isinstance(node, kind)]


@pytest.mark.parametrize("gated_first", [True, False])
def test_both_operands_quantized(net: Any, check: Any, gated_first: bool) -> None:
    x = net.stem()
    score = net.gate(net.pool(x), 1)
    shortcut = net.conv(x, 4, 1, name="shortcut")
    gated = net.node("Mul", net.conv(x, 4, name="gated"), score)
    pair = [net.qdq(gated, Y), net.qdq(shortcut, Y)]
    pair = pair if gated_first else pair[::-1]
    graph = check(net, net.qdq(net.node("Add", *pair), Y))
    last = graph.nodes[-1]
    assert last.name == "gated" and last.saturate_before_add


def test_lcnet_block_shares_one_pool(net: Any, check: Any) -> None:
    x = net.stem()
    channel = net.gate(net.pool(x), 6, "cnet")
    block = net.gate(net.pool(x), 1, "lnet")
    y = net.node("Mul", net.node("Relu", net.conv(x, 6)), channel)
    y = net.qdq(y, Y, signed=False)
    y = net.node("Mul", block, net.conv(y, 4))
    y = net.qdq(net.node("Relu", net.node("Add", y, x)), Y, signed=False)
    net.metadata = {"penstock.schedule": "parallel", "other": "x"}
    graph = check(net, net.classifier(y))
    assert [type(node).__name__ for node in graph.nodes] == [
        *["Conv", "Pool", "Gate", "Gate", "Conv", "Conv", "Pool", "Dense"]
    ]
    cnet, lnet = nodes_of(graph, ir.Gate)
    assert (cnet.name, lnet.name) == ("cnet", "lnet")
    inner, outer = nodes_of(graph, ir.Conv)[1:]
    assert inner.fold == ir.Fold(scores=cnet.output, per_channel=True)
    assert outer.fold == ir.Fold(scores=lnet.output, per_channel=False)
    assert graph.metadata == {"schedule": "parallel"}


def test_relu_after_the_score(net: Any, check: Any) -> None:
    x = net.stem()
    y = net.node("Mul", net.conv(x, 6), net.gate(net.pool(x), 6))
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert graph.nodes[-1].fold.per_channel and graph.nodes[-1].clamp == (0, 255)


def test_score_without_quantizer_gets_the_fixed_format(net: Any, load: Any) -> None:
    x = net.stem()
    score = net.map_shape(net.clip(net.gemm(net.pool(x), 6)))
    y = net.node("Mul", net.conv(x, 6), score)
    graph = load(net, net.qdq(y, Y))
    (gate,) = nodes_of(graph, ir.Gate)
    assert graph.values[gate.output].scale == SCORE and not graph.values[gate.output].signed


@pytest.mark.parametrize("form", ["matmul", "transposed", "gemm", "conv", "relu_min"])
def test_forms_of_the_gate(net: Any, check: Any, form: str) -> None:
    x = net.stem()
    pooled = net.node("GlobalAveragePool", x) if form == "conv" else None
    pooled = net.qdq(pooled, 0.02, signed=False) if pooled else net.pool(x)
    bias = net.const(np.linspace(0, 1, 6))
    if form == "matmul":
        z = net.node("Add", bias, net.node("MatMul", pooled, net.weight((4, 6), axis=1)))
    elif form == "transposed":
        weight = net.node("Transpose", net.weight((6, 4)), perm=[1, 0])
        z = net.node("Add", net.node("MatMul", pooled, weight), bias)
    elif form == "conv":
        z = net.node("Conv", pooled, net.weight((6, 4, 1, 1)), bias)
    else:
        z = net.node("Gemm", pooled, net.weight((4, 6), axis=1), bias)
    net.channels[z] = 6
    if form == "relu_min":
        z = net.node("Min", net.node("Relu", z), net.const(1.0))
    else:
        z = net.clip(z)
    score = net.map_shape(net.qdq(z, SCORE, signed=False))
    graph = check(net, net.qdq(net.node("Mul", score, net.conv(x, 6)), Y))
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.weight.shape == (6, 4)


@pytest.mark.parametrize("form", ["greater", "equal", "sigmoid", "clipped", "quantized", "conv"])
def test_binary_gates(net: Any, check: Any, form: str) -> None:
    x = net.stem()
    threshold = np.linspace(0.3, 0.7, 6)
    if form == "conv":
        pooled = net.qdq(net.node("GlobalAveragePool", x), 0.02, signed=False)
        z = net.node("Conv", pooled, net.weight((6, 4, 1, 1)))
        z = net.node("Add", z, net.const(np.full((6, 1, 1), 0.5)))
        threshold = threshold.reshape(6, 1, 1)
        net.channels[z] = 6
    else:
        z = net.gemm(net.pool(x), 6)
    if form == "sigmoid":
        z = net.node("Sigmoid", z)
    if form == "clipped":
        z = net.clip(z)
    op = "GreaterOrEqual" if form == "equal" else "Greater"
    score = net.node("Cast", net.node(op, z, net.const(threshold)), to=TensorProto.FLOAT)
    if form == "quantized":
        score = net.qdq(score, SCORE, signed=False)
    y = net.node("Mul", net.conv(x, 6), net.map_shape(score))
    graph = check(net, net.qdq(y, Y), count=40)
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.binary


STEP = 1 / 16


def excited(net: Any, x: str, form: str) -> str:
    """Squeeze-and-excite of a map, its scores [N, C, 1, 1]."""
    channels = net.channels[x]
    if form == "conv":
        y = net.qdq(net.node("GlobalAveragePool", x), 0.02, signed=False)
        y = net.node("Conv", y, net.weight((3, channels, 1, 1)), net.const(np.ones(3)))
        net.channels[y] = 3
    else:
        y = net.gemm(net.pool(x), channels if form == "one" else 3, "squeeze")
    if form != "one":
        y = net.qdq(net.node("Relu", y), 0.02, signed=False)
        if form == "conv":
            y = net.node("Conv", y, net.weight((channels, 3, 1, 1)))
            net.channels[y] = channels
        else:
            y = net.gemm(y, channels, "excite", bias=0.0)
    if form != "float":
        y = net.qdq(y, STEP)
    score = net.node("Sigmoid", y)
    if form != "bare":
        score = net.qdq(score, SCORE, signed=False)
    return score if form == "conv" else net.map_shape(score)


@pytest.mark.parametrize("form", ["gemm", "conv", "bare", "residual"])
def test_squeeze_and_excite(net: Any, check: Any, form: str) -> None:
    """The scores of a sigmoid times the map that they were made from, quantised before."""
    x = net.stem()
    factors = [x, excited(net, x, form)]
    y = net.node("Mul", *(factors[::-1] if form == "bare" else factors))
    if form == "residual":
        y = net.node("Add", y, x)
    graph = check(net, net.classifier(net.qdq(y, Y, signed=False)), count=40)
    names = [type(node).__name__ for node in graph.nodes]
    assert names == ["Conv", "Pool", "Dense", "Gate", "Conv", "Pool", "Dense"]
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.kind == GateKind.SIGMOID and not gate.decides
    scaled = nodes_of(graph, ir.Conv)[-1]
    assert scaled.depthwise and (scaled.weight == 1).all() and not scaled.bias.any()
    assert scaled.fold == ir.Fold(scores=gate.output, per_channel=True)
    assert (scaled.residual is not None) == (form == "residual")


def test_a_sigmoid_that_is_not_quantised_before(
    net: Any, load: Any, differences: Any, rng: np.random.Generator
) -> None:
    """The gate rounds its input to 1/16, so a score may be one step off."""
    x = net.stem()
    out = net.qdq(net.node("Mul", x, excited(net, x, "float")), Y, signed=False)
    graph = load(net, out)
    (gate,) = nodes_of(graph, ir.Gate)
    assert gate.kind == GateKind.SIGMOID
    found = differences(graph, net.model(out), rng.normal(0, 2, (40, 3, 6, 5)).astype(np.float32))
    assert found[gate.output].max() == 1


def test_a_sigmoid_scales_a_convolution_on_another_map(net: Any, check: Any) -> None:
    """Scores that do not depend on the map fold into its own convolution."""
    x = net.stem()
    y = net.node("Mul", net.conv(x, 4), excited(net, x, "one"))
    graph = check(net, net.qdq(y, Y), count=40)
    assert [type(node).__name__ for node in graph.nodes] == ["Conv", "Pool", "Gate", "Conv"]
    assert graph.nodes[-1].fold is not None and not graph.nodes[-1].depthwise


def test_dense_layers_in_a_row(net: Any, check: Any) -> None:
    """A classifier of two layers."""
    y = net.qdq(net.node("Relu", net.gemm(net.pool(net.stem()), 7, "hidden")), Y, signed=False)
    graph = check(net, net.qdq(net.gemm(y, 4, "classifier"), 0.03), count=40)
    first, last = nodes_of(graph, ir.Dense)
    assert last.input == first.output and first.clamp == (0, 255)


def one_output_gate(net: Any, threshold: tuple[str, float] | None) -> str:
    """A gate of one output whose accumulator steps are 2^-7: pooled steps 2^-1, weights 2^-6."""
    x = net.stem()
    pooled = net.node("Flatten", net.qdq(net.node("GlobalAveragePool", x), 0.5, signed=False))
    weight = net.dequantize(net.const(np.ones((1, 4)), np.int8), 2.0**-6)
    score = net.node("Gemm", pooled, weight, transB=1)
    if threshold is None:
        score = net.clip(score)
    else:
        score = net.node(threshold[0], score, net.const(threshold[1] * 2.0**-7))
        score = net.node("Cast", score, to=TensorProto.FLOAT)
    net.channels[score] = 1
    return str(net.qdq(net.node("Mul", net.conv(x, 4), net.map_shape(score)), Y))


@pytest.mark.parametrize(
    ("op", "steps", "bias"),
    [
        *[("Greater", 3.0, -3), ("Greater", 3.5, -3), ("Greater", -3.5, 4)],
        *[("GreaterOrEqual", 3.0, -2), ("GreaterOrEqual", 3.5, -3), ("GreaterOrEqual", 0.0, 1)],
    ],
)
def test_binary_threshold_is_exact(net: Any, load: Any, op: str, steps: float, bias: int) -> None:
    """acc + bias > 0 exactly when acc is above (or at) `steps`; a tie of Greater is skipped."""
    (gate,) = nodes_of(load(net, one_output_gate(net, (op, steps))), ir.Gate)
    assert gate.bias.tolist() == [bias]


def test_score_multiplier_is_exact(net: Any, load: Any) -> None:
    """One step of the accumulator is one step of the score: the factor is 1."""
    (gate,) = nodes_of(load(net, one_output_gate(net, None)), ir.Gate)
    assert (int(gate.requantize.multiplier[0]), int(gate.requantize.shift[0])) == (1 << 15, 15)


@pytest.mark.parametrize("form", ["slice", "gather", "index", "split", "stored", "before"])
def test_a_policy_is_taken_apart(net: Any, check: Any, form: str) -> None:
    """One dense layer, a score a block: each block's gate is its row."""
    x = net.stem()
    scores = net.gemm(
        net.pool(net.qdq(net.node("Relu", net.conv(x, 4)), Y, signed=False)), 2, "policy"
    )
    if form != "before":
        scores = net.node("Greater", net.node("Sigmoid", scores), net.const(0.5))
        scores = net.node("Cast", scores, to=TensorProto.FLOAT)
    if form == "stored":
        scores = net.qdq(scores, SCORE, signed=False)
    for block, part in enumerate(parts_of(net, scores, form)):
        if form == "before":
            part = net.node("Cast", net.node("Greater", part, net.const(0.0)), to=TensorProto.FLOAT)
        part = net.node("Reshape", part, net.const([-1, 1, 1, 1], np.int64))
        y = net.node("Add", net.node("Mul", net.conv(x, 4, name=f"block{block}"), part), x)
        x = net.qdq(net.node("Relu", y), Y, signed=False)
    graph = check(net, net.classifier(x), count=40)
    gates = nodes_of(graph, ir.Gate)
    assert [gate.weight.shape for gate in gates] == [(1, 4), (1, 4)]
    assert (gates[0].weight != gates[1].weight).any()
    assert {gate.input for gate in gates} == {gates[0].input}
    folded = [node.fold.scores for node in graph.nodes if isinstance(node, ir.Conv) and node.fold]
    assert folded == [gate.output for gate in gates]


def parts_of(net: Any, scores: str, form: str) -> list[str]:
    """The two outputs of a layer, one tensor each."""
    if form == "split":
        parts = ["part0", "part1"]
        net.nodes.append(helper.make_node("Split", [scores], parts, axis=1, num_outputs=2))
        return parts
    if form in ("gather", "index"):
        indices = [[0], [-1]] if form == "gather" else [0, 1]
        return [net.node("Gather", scores, net.const(i, np.int64), axis=1) for i in indices]
    bounds = [[net.const([i], np.int64) for i in (b, b + 1, 1)] for b in range(2)]
    return [net.node("Slice", scores, *ends) for ends in bounds]
