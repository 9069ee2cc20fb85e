"""What is pending of a term is carried out or refused, never forgotten; equal means all equal."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.keys import frozen
from penstock.compiler.numerics import SCORE_SCALE

Y = 0.04


@pytest.fixture
def cube(new_net: Any) -> Any:
    """A network with an image of 4 channels of 4 x 4."""
    return new_net("N", 4, 4, 4)


def score(net: Any, x: str) -> str:
    """A quantised score of each channel, (N, 4)."""
    return str(net.qdq(net.clip(net.gemm(net.pool(x), 4)), SCORE_SCALE, signed=False))


def limited(net: Any, z: str, low: float | None, high: float | None) -> str:
    """Clip, or the Max or Min that does the same."""
    if low is None:
        return str(net.node("Min", z, net.const(high)))
    if high is None:
        return str(net.node("Max", net.const(low), z))
    return str(net.clip(z, low, high))


def multiplied(net: Any, x: str, z: str) -> str:
    z = net.node("Reshape", z, net.const([-1, 4, 1, 1], np.int64))
    return str(net.qdq(net.node("Mul", net.conv(x, 4, 1), z, name="mul"), Y))


LIMITS = [(None, 0.5), (0.5, None), (0.25, 0.75), (0.0, 0.3), (0.01, 1.0), (-1.0, 0.99)]


@pytest.mark.parametrize(("low", "high"), LIMITS)
@pytest.mark.parametrize("form", ["plain", "view", "rows", "again"])
def test_a_score_limited_again_is_refused(
    cube: Any, load: Any, low: float | None, high: float | None, form: str
) -> None:
    """Whatever lies between the limit and the multiplication."""
    x = cube.image()
    z = limited(cube, score(cube, x), low, high)
    if form == "view":
        z = cube.node("Unsqueeze", z, cube.const([2, 3], np.int64))
    elif form == "rows":
        z = cube.node("Gather", z, cube.const([2, 1, 0, 3], np.int64), axis=1)
    elif form == "again":
        z = cube.qdq(z, SCORE_SCALE, signed=False)
    with pytest.raises(CompileError, match=r"(is limited to|cannot be clipped to|is clipped at)"):
        load(cube, multiplied(cube, x, z))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (None, 1.0), (0.0, None), (-2.0, 3.0)])
def test_a_limit_that_no_score_reaches_changes_nothing(
    cube: Any, check: Any, low: float | None, high: float | None
) -> None:
    x = cube.image()
    check(cube, multiplied(cube, x, limited(cube, score(cube, x), low, high)), count=40)


def test_a_sigmoid_that_was_quantised_keeps_that_in_its_rows(cube: Any, load: Any) -> None:
    """Its threshold would not be that of the real sigmoid."""
    x = cube.image()
    z = cube.node("Sigmoid", cube.qdq(cube.gemm(cube.pool(x), 4), 1 / 16))
    z = cube.node("Gather", z, cube.const([1, 0, 2, 3], np.int64), axis=1)
    z = cube.node("Greater", z, cube.const(0.7), name="greater")
    z = cube.node("Cast", z, to=TensorProto.FLOAT)
    with pytest.raises(CompileError, match=r"node 'greater' .*a sigmoid that was quantised"):
        load(cube, multiplied(cube, x, z))


@pytest.mark.parametrize("form", ["split", "two layers"])
@pytest.mark.parametrize("kind", ["scale", "bias", "threshold"])
def test_gates_that_differ_in_one_thing_are_two(
    cube: Any, check: Any, form: str, kind: str
) -> None:
    """Equal integer rows under two scales, equal rows and scales with two biases, ..."""
    x = cube.image()
    pooled = cube.node("Flatten", cube.qdq(cube.node("GlobalAveragePool", x), 0.02))
    scales = np.array([0.0005, 0.01]) if kind == "scale" else np.array([0.01, 0.01])
    biases = np.array([0.1, 0.7]) if kind == "bias" else np.array([0.3, 0.3])
    rows = np.full((2, 4), 50)
    if form == "split":
        weight = cube.dequantize(cube.const(rows, np.int8), scales, axis=0)
        z = cube.node("Gemm", pooled, weight, cube.const(biases), transB=1)
        scores = ["first", "second"]
        cube.nodes.append(helper.make_node("Split", [z], scores, axis=1, num_outputs=2))
    else:
        scores = []
        for scale, bias in zip(scales, biases, strict=True):
            weight = cube.dequantize(cube.const(rows[:1], np.int8), scale)
            scores.append(cube.node("Gemm", pooled, weight, cube.const([bias]), transB=1))
    for index, z in enumerate(scores):
        if kind == "threshold":
            z = cube.node("Greater", z, cube.const([0.3, 0.31][index]))
            z = cube.node("Cast", z, to=TensorProto.FLOAT)
        else:
            z = cube.qdq(cube.clip(z), SCORE_SCALE, signed=False)
        z = cube.node("Reshape", z, cube.const([-1, 1, 1, 1], np.int64))
        x = cube.qdq(cube.node("Mul", cube.conv(x, 4, 1), z), Y)
    graph = check(cube, x, count=40)
    gates = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    assert len(gates) == 2 and len({gate.name for gate in gates}) == 2


def test_a_key_is_everything_in_an_object() -> None:
    row = np.arange(4, dtype=np.int8)
    factors = ir.Requantize(multiplier=row, shift=row)
    assert frozen(factors) == frozen(ir.Requantize(multiplier=row.copy(), shift=row))
    for other in (row[:3], row.astype(np.int32), row.reshape(2, 2), row + 1):
        assert frozen(factors) != frozen(ir.Requantize(multiplier=other, shift=row))
    assert frozen({"a": [1, row]}) == frozen({"a": [1, row.copy()]}) != frozen({"a": [True, row]})


def clipped_between_layers(net: Any, low: float, high: float, kind: str) -> str:
    """A map or vector behind ReLU (0..255 in steps of 1/32), clipped, and the layer after it."""
    x = net.image()
    if kind == "map":
        y = net.qdq(net.node("Relu", net.conv(x, 4, 1)), 1 / 32, signed=False)
        return str(net.qdq(net.conv(net.clip(y, low, high), 4, 1, name="next"), Y))
    pooled = net.node("Flatten", net.qdq(net.node("GlobalAveragePool", x), 0.02))
    y = net.qdq(net.node("Relu", net.gemm(pooled, 4)), 1 / 32, signed=False)
    z = net.qdq(net.clip(net.gemm(net.clip(y, low, high), 4)), SCORE_SCALE, signed=False)
    return multiplied(net, x, z)


@pytest.mark.parametrize("kind", ["map", "vector"])
@pytest.mark.parametrize(("low", "high"), [(-0.48, -0.44), (-1.0, -0.03), (8.0, 9.0), (9.0, 9.0)])
def test_a_limit_beyond_the_values_is_refused(
    cube: Any, load: Any, low: float, high: float, kind: str
) -> None:
    """The result is a constant that the quantised value cannot have."""
    output = clipped_between_layers(cube, low, high, kind)
    with pytest.raises(
        CompileError, match=r"is clipped at .* not among its values 0\.\.7\.96875 in"
    ):
        load(cube, output)


@pytest.mark.parametrize("kind", ["map", "vector"])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.0), (7.96875, 9.0), (0.25, 0.25), (-3.0, 9.0)])
def test_a_limit_among_the_values_is_carried_out(
    cube: Any, check: Any, low: float, high: float, kind: str
) -> None:
    check(cube, clipped_between_layers(cube, low, high, kind), count=20)
