"""Sums whose operands and result have scales and zero points of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compiler import ir
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.lower.pair import ratio
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import images_of, same
from tests.compiler.front.test_zero_points import compiled, pair

IMAGES = images_of((3, 6, 5))


def finished(net: Qdq, total: str, folder: Path) -> CompiledNetwork:
    """A network of a quantised sum of four channels, compared with onnxruntime and golden."""
    net.channels[total] = 4
    y = net.qdq(net.node("Relu", net.conv(total, 4)), 0.04, signed=False)
    network = compiled(net, net.qdq(net.gemm(net.pool(y), 5), 0.03), folder)
    same(network, IMAGES)
    codes = network.quantize_input(IMAGES)
    graph = network.run_graph(codes)
    np.testing.assert_array_equal(
        golden.run(network.package, codes)[:, COUNTER_BYTES:], graph[:, COUNTER_BYTES:]
    )
    return network


def layer(network: CompiledNetwork, name: str) -> Any:
    """What the standing check says of the layer that writes a tensor."""
    checked = network.check(IMAGES).checked
    assert checked is not None
    return next(found for found in checked.layers if found.tensor == name)


FORMS = {
    "symmetric": ((0.04, 0, "int8"), (0.07, 0, "int8"), (0.09, 0, "int8")),
    "asymmetric": ((0.04, 100, "uint8"), (0.07, 140, "uint8"), (0.09, 120, "uint8")),
    "int8 asymmetric": ((0.04, -20, "int8"), (0.07, 30, "int8"), (0.09, 5, "int8")),
    "of both types": ((0.04, 0, "int8"), (0.07, 0, "uint8"), (0.09, 0, "int8")),
    "a zero point that saturates": ((0.04, 0, "uint8"), (0.07, -60, "int8"), (0.05, 0, "uint8")),
    "two scales": ((0.04, 0, "int8"), (0.04, 0, "int8"), (0.09, 0, "int8")),
    "one scale, three zero points": ((0.05, 9, "int8"), (0.05, 0, "int8"), (0.05, -9, "int8")),
    "far apart": ((0.04, 0, "int8"), (0.0004, 0, "int8"), (0.04, 0, "int8")),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_two_convolutions(form: str, relu: bool, tmp_path: Path, rng: Any) -> None:
    """The sum is onnxruntime's but for ties: at most 1 % of it a step away."""
    net = Qdq(rng)
    left, right, result = FORMS[form]
    x = net.image()
    operands = [pair(net, net.conv(x, 4), *codes) for codes in (left, right)]
    y = net.node("Add", *operands)
    total = pair(net, net.node("Relu", y) if relu else y, *result)
    tensor = net.nodes[-1].input[0]
    found = layer(finished(net, total, tmp_path), tensor)
    assert found.maximum <= 1 and found.share <= 0.01


@pytest.mark.parametrize("form", FORMS)
def test_a_block_and_its_input(form: str, tmp_path: Path, rng: Any) -> None:
    """The input is read by the block as well, whose last convolution is what is made anew."""
    net = Qdq(rng)
    left, right, result = FORMS[form]
    x = net.stem()
    inner = net.qdq(net.node("Relu", net.conv(x, 4)), 0.03, signed=False)
    total = pair(net, net.node("Add", pair(net, net.conv(inner, 4), *left), x), *result)
    net.channels[total] = 4
    again = pair(net, net.node("Add", pair(net, net.conv(total, 4), *right), total), *result)
    finished(net, again, tmp_path)


@pytest.mark.parametrize("form", ["symmetric", "asymmetric"])
def test_a_map_and_itself(form: str, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng)
    left, _, result = FORMS[form]
    x = pair(net, net.conv(net.image(), 4), *left)
    finished(net, pair(net, net.node("Add", x, x), *result), tmp_path)


@pytest.mark.parametrize("codes", [(0.06, 0, "int8"), (0.06, 3, "uint8")])
def test_an_accumulator_and_a_map(codes: Any, tmp_path: Path, rng: Any) -> None:
    """Files that quantise only the shortcut: it is rescaled, and added in place."""
    net = Qdq(rng)
    x = net.stem()
    network = finished(net, pair(net, net.node("Add", net.conv(x, 4), x), *codes), tmp_path)
    assert network.graph is not None
    assert any(isinstance(n, ir.Conv) and n.residual for n in network.graph.nodes)


def test_a_shortcut_that_is_no_number_of_the_sum(tmp_path: Path, rng: Any) -> None:
    """Negative numbers of an int8 shortcut, and those above 127 steps, are no 8 bits of the sum."""
    net = Qdq(rng)
    x = pair(net, net.conv(net.image(), 4), 0.06, 0)
    net.channels[x] = 4
    y = net.qdq(net.node("Relu", net.node("Add", net.conv(x, 4), x)), 0.03, signed=False)
    with pytest.raises(CompileError, match=r"scale 0.06.*needs 0.03.*on both sides"):
        finished(net, y, tmp_path)


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_gated_block(per_channel: bool, tmp_path: Path, rng: Any) -> None:
    """Closed gates leave the rescaled input; what is skipped is the block."""
    net = Qdq(rng)
    x = net.stem()
    gate = net.gate(net.pool(x), 4 if per_channel else 1)
    y = net.qdq(net.node("Mul", net.conv(x, 4), gate), 0.05)
    total = net.qdq(net.node("Relu", net.node("Add", y, x)), 0.06, signed=False)
    finished(net, total, tmp_path)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("steps", [1 / 255, 1 / 127, 1 / 60, 1 / 300])
def test_scores_in_steps_of_their_own(steps: float, signed: bool, tmp_path: Path, rng: Any) -> None:
    """The convolution is quantised before the product, and the score as ranges have it."""
    net = Qdq(rng)
    x = net.stem()
    score = net.map_shape(net.qdq(net.clip(net.gemm(net.pool(x), 4)), steps, signed))
    y = net.node("Mul", net.qdq(net.conv(x, 4), 0.05), score)
    network = finished(net, net.qdq(net.node("Add", net.qdq(y, 0.04), x), 0.06), tmp_path)
    assert [gate["count"] for gate in network.package.meta["gates"]] == [4]


@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("limit", [0.0, 0.031, -0.06, 5.0, -5.0])
def test_a_quantised_layer_compared(op: str, limit: float, tmp_path: Path, rng: Any) -> None:
    """The codes decide: flips are ties of the accumulator alone, and there are none here."""
    net = Qdq(rng)
    x = net.stem()
    z = pair(net, net.gemm(net.pool(x), 4, bias=0.0), 0.02, 7)
    score = net.node("Cast", net.node(op, z, net.const(limit)), to=1)
    score = net.map_shape(pair(net, score, 1 / 255, 0, "uint8"))
    y = net.qdq(net.node("Mul", net.conv(x, 4), score), 0.05)
    network = finished(net, net.qdq(net.node("Add", y, x), 0.06), tmp_path)
    checked = network.check(IMAGES).checked
    assert checked is not None and not any(gate.flips for gate in checked.gates)


@pytest.mark.parametrize("wide", [False, True])
def test_a_constant_added_to_a_quantised_vector(wide: bool, tmp_path: Path, rng: Any) -> None:
    """`wide`: the constant's codes are more than int8 from their zero point."""
    net = Qdq(rng)
    x = pair(net, net.gemm(net.pool(net.stem()), 5), 0.03, 20)
    scale, zero = net.const(0.01), net.const(250 if wide else 100, np.uint8)
    codes = net.const([0, 90, 251, 255, 60], np.uint8)
    y = net.node("Add", x, net.node("DequantizeLinear", codes, scale, zero))
    network = compiled(net, pair(net, y, 0.04, -7), tmp_path)
    same(network, IMAGES)
    inputs = network.quantize_input(IMAGES)
    graph = network.run_graph(inputs)[:, COUNTER_BYTES:]
    np.testing.assert_array_equal(golden.run(network.package, inputs)[:, COUNTER_BYTES:], graph)


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_weights_say_the_ratio(left: float, right: float) -> None:
    """The larger within 2^-13, what the other may be off below a step of the larger's int8."""
    weights, step = ratio(left, right)
    assert all(0 <= weight <= 127 for weight in weights)
    errors = [abs(w * step - scale) for w, scale in zip(weights, (left, right), strict=True)]
    assert max(errors) * 128 <= max(left, right) * 0.51


def test_equal_scales_are_added_in_place_as_ever(tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng)
    x = net.stem()
    total = net.qdq(net.node("Add", net.qdq(net.conv(x, 4), 0.04), x), 0.04)
    network = finished(net, total, tmp_path)
    assert network.graph is not None
    assert not any(isinstance(node, ir.Concat) for node in network.graph.nodes)
