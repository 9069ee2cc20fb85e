"""Biases and thresholds beside coarse accumulators: kept exact, or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.errors import CompileError
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.program.core.config import get_config
from tests.compiler.front.conftest import run_onnxruntime
from tests.compiler.front.qdq import Array

Y = 0.04


@pytest.fixture
def cube(new_net: Any) -> Any:
    """A network with an image of 4 channels of 4 x 4."""
    return new_net("N", 4, 4, 4)


def coarse(net: Any, shape: tuple[int, ...], scale: float, most: int = 1) -> str:
    """Weights of few, wide steps."""
    integers = net.rng.integers(-most, most + 1, shape)
    return str(net.dequantize(net.const(integers, np.int8), scale))


def compared(net: Any, load: Any, output: str, images: Array) -> tuple[ir.Graph, Array, Array]:
    """(graph, its result, onnxruntime's), integers of the output."""
    graph = load(net, output)
    image, value = graph.values[graph.input], graph.values[graph.output]
    own = run_graph(graph, quantize(images, image.scale, image.signed))[graph.output]
    real = run_onnxruntime(net.model(output), [output], images)[output]
    return graph, own, quantize(real.reshape(own.shape), value.scale, value.signed)


@pytest.fixture
def images(rng: np.random.Generator) -> Array:
    return rng.normal(0, 2, (40, 4, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("form", ["conv", "add", "gemm"])
@pytest.mark.parametrize("step", [0.07, 0.03])
def test_a_bias_below_a_step_of_the_accumulator(
    cube: Any, load: Any, differences: Any, images: Array, form: str, step: float
) -> None:
    """Weights of one step, 0.5, on an image in whole numbers; results in much finer steps."""
    x, bias = cube.qdq("image", 1.0), np.array([0.24, -0.2, 0.1])
    if form == "conv":
        y = cube.node("Conv", x, coarse(cube, (3, 4, 1, 1), 0.5), cube.const(bias))
    elif form == "add":
        y = cube.node("Conv", x, coarse(cube, (3, 4, 1, 1), 0.5))
        y = cube.node("Add", y, cube.const(bias.reshape(3, 1, 1)))
    else:
        x = cube.node("Flatten", cube.qdq(cube.node("GlobalAveragePool", x), 0.5))
        y = cube.node("Gemm", x, coarse(cube, (3, 4), 0.5), cube.const(bias), transB=1)
    output = cube.qdq(y, step)
    graph = load(cube, output)
    found = differences(graph, cube.model(output), images)[graph.output]
    assert found.max() <= 1 and found.mean() <= 0.02
    (rounding,) = [item for item in graph.rounding if item.finer_channels]
    assert rounding.error <= 1 / 32


def test_a_coarse_bias_that_no_accumulator_keeps_is_refused(cube: Any, load: Any) -> None:
    """Weights that fill their eight bits leave no room, and a step of the result is less."""
    weight = cube.dequantize(cube.const(np.full((1, 4, 1, 1), 127), np.int8), 0.5)
    y = cube.node("Conv", cube.qdq("image", 1.0), weight, cube.const([0.24]), name="c")
    message = r"node 'c' \(Conv\): the bias of channel 0 lies 24 steps of the result off the steps"
    with pytest.raises(CompileError, match=message):
        load(cube, cube.qdq(y, 0.01))


@pytest.mark.parametrize("bias", [1e18, 1e30, -1e38])
def test_a_bias_far_beyond_any_accumulator_is_refused(cube: Any, load: Any, bias: float) -> None:
    """Of weights that make a difference to the result."""
    weight = cube.dequantize(cube.const(np.full((1, 4, 1, 1), 127), np.int8), 0.5)
    y = cube.node("Conv", cube.qdq("image", 1.0), weight, cube.const([bias]), name="c")
    with pytest.raises(CompileError, match=r"node 'c' \(Conv\): accumulator could overflow"):
        load(cube, cube.qdq(y, 0.01))


def test_an_integer_bias_is_never_touched(cube: Any, load: Any) -> None:
    """int32 in steps of s_in * s_w, however coarse: exact as it is."""
    weight = coarse(cube, (3, 4, 1, 1), 0.5)
    bias = cube.dequantize(cube.const([3, -2, 1], np.int32), 0.5, np.int32)
    graph = load(cube, cube.qdq(cube.node("Conv", cube.qdq("image", 1.0), weight, bias), 0.01))
    assert graph.nodes[0].bias.tolist() == [3, -2, 1]
    assert graph.rounding[0].error == 0 and graph.rounding[0].finer_channels == 0


def test_the_report_says_what_rounding_costs(cube: Any, tmp_path: Path) -> None:
    """The layer, its worst bias in steps of the result, channels with a finer accumulator."""
    x = cube.qdq("image", 1.0)
    y = cube.node(
        "Conv", x, coarse(cube, (3, 4, 1, 1), 0.5), cube.const([0.24, 0.5, 0.0]), name="c"
    )
    z = cube.node("Conv", cube.qdq(y, 0.05), cube.weight((2, 3, 1, 1)), name="d")
    path = tmp_path / "net.onnx"
    path.write_bytes(cube.model(cube.qdq(z, Y)).SerializeToString())
    compile_onnx(path, get_config("tiny")).save(tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["biases"]
    (layer,) = figures["layers"]
    assert (layer["layer"], layer["finer_channels"]) == ("c", 1)
    assert 0 < layer["error"] == figures["worst_error"] <= 1 / 32


def test_a_bias_of_ordinary_weights_stays_in_their_steps(cube: Any, load: Any) -> None:
    graph = load(cube, cube.qdq(cube.conv(cube.image(), 5), Y))
    assert graph.rounding[0].finer_channels == 0 and 0 < graph.rounding[0].error < 1 / 32


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0])
@pytest.mark.parametrize("integers", [0, 1])
def test_a_dead_channel_is_its_bias(
    cube: Any, load: Any, images: Array, scale: float, integers: int
) -> None:
    """Weights that are zero, or make no difference, leave the scale of the accumulator open."""
    if integers and scale > 1e-12:
        pytest.skip("that channel is alive")
    weight = cube.dequantize(cube.const(np.full((3, 4), integers), np.int8), scale)
    x = cube.node("Flatten", cube.qdq(cube.node("GlobalAveragePool", cube.image()), 0.02))
    y = cube.node("MatMul", x, cube.node("Transpose", weight, perm=[1, 0]))
    y = cube.node("Add", y, cube.const([0.331, -1.7, 40.0]))
    _, got, expected = compared(cube, load, cube.qdq(y, 0.01), images)
    assert got.tolist() == expected.tolist() and got[0].tolist() == [33, -128, 127]


def gated(net: Any, score: str) -> str:
    score = net.node("Reshape", score, net.const([-1, 4, 1, 1], np.int64))
    return str(net.qdq(net.node("Mul", net.conv(net.image_tensor, 4, 1), score), Y))


@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("offset", [0.0, 0.25, -0.5, 0.1, -0.11])
@pytest.mark.parametrize("limit", ["", "Relu", "Clip"])
def test_every_reachable_sum_of_a_coarse_gate(
    cube: Any, load: Any, op: str, offset: float, limit: str
) -> None:
    """Decided as onnxruntime decides for every value of a pooled vector: the steps, 1/4, are
    powers of two, so onnxruntime is exact as well."""
    x = cube.image_tensor = cube.image()
    pooled = cube.node("Flatten", cube.qdq(cube.node("GlobalAveragePool", x), 0.25))
    bias = np.array([-0.12, -0.1, 0.1, 0.12]) + offset
    weight = cube.dequantize(cube.const(np.eye(4), np.int8), 1.0)
    z = cube.node("Gemm", pooled, weight, cube.const(bias), transB=1)
    threshold = np.array([0.0, 0.25, 0.5, -0.25]) + (0.3 if limit else 0.0)
    if limit == "Relu":
        z = cube.node("Relu", z)
        threshold = np.abs(threshold)
    elif limit:
        z = cube.clip(z, -1.0, 1.0)
    z = cube.node(op, z, cube.const(threshold))
    output = gated(cube, cube.node("Cast", z, to=TensorProto.FLOAT))
    graph = load(cube, output)
    (gate,) = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    steps = np.arange(-128, 128)
    images = np.repeat(steps / 4, 64).reshape(-1, 4, 4, 4).astype(np.float32)
    images = np.clip(images, -6.4, 6.35)  # what the image's steps, 0.05, hold
    values = run_graph(graph, quantize(images, 0.05, True))
    name = next(n.output[0] for n in cube.nodes if n.op_type == "Cast")
    (real,) = run_onnxruntime(cube.model(output), [name], images).values()
    assert ((values[gate.output] > 0) == (real > 0)).all()
    assert 0 < (real > 0).mean() < 1


@pytest.mark.parametrize(
    ("op", "limit", "threshold"),
    [("GreaterOrEqual", "Relu", 0.0), ("Greater", "Relu", -0.1), ("Greater", "Clip", 1.0)],
)
def test_a_threshold_at_a_bound_is_refused(
    cube: Any, load: Any, op: str, limit: str, threshold: float
) -> None:
    """Relu(z) >= 0 holds for every z: no threshold of z itself."""
    x = cube.image_tensor = cube.image()
    z = cube.gemm(cube.pool(x), 4)
    z = cube.node("Relu", z) if limit == "Relu" else cube.clip(z)
    z = cube.node(op, z, cube.const(threshold), name="g")
    with pytest.raises(CompileError, match=r"node 'g' .*outside the bounds of the activation"):
        load(cube, gated(cube, cube.node("Cast", z, to=TensorProto.FLOAT)))


@pytest.mark.parametrize("bias", [5.0, -5.0])
def test_a_gate_with_dead_weights_is_constant(cube: Any, load: Any, bias: float) -> None:
    x = cube.image_tensor = cube.image()
    weight = cube.dequantize(cube.const(np.zeros((4, 4)), np.int8), 1e-12)
    z = cube.node("Gemm", cube.pool(x), weight, cube.const(np.full(4, bias)), transB=1)
    z = cube.node("Cast", cube.node("Greater", z, cube.const(0.0)), to=TensorProto.FLOAT)
    graph = load(cube, gated(cube, z))
    (gate,) = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    values = run_graph(graph, np.zeros((1, 4, 4, 4), np.int8))
    assert (values[gate.output] == (128 if bias > 0 else 0)).all()
