"""Gates in every spelling: the scores at every input of a small gate, ties included."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from penstock.compiler import ir
from penstock.compiler.calibration.run import quantize_float
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from penstock.compiler.importer.onnx_file.load import infer, load_model, to_net
from penstock.compiler.importer.onnx_file.to_onnx import to_onnx
from penstock.compiler.importer.pipeline import import_model, simplify_float
from penstock.compiler.importer.scores import curve as curves
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import SCORE_ONE
from penstock.program.core.descriptor import GateKind
from tests.compiler.front import spellings
from tests.compiler.front.floats import Floats, save, some_images
from tests.compiler.front.qdq import Array, Qdq
from tests.compiler.front.spellings import RAMPS, SIGMOIDS, STEPS, Spelling

STEP = 1 / 16  # of a logit: a power of two, so that float32 sums are exact and ties are ties
#: Weights and biases of logits, in steps; two a score use rows 0 and 1, 2 and 3, ...
WEIGHT = np.array([[1], [-1], [2], [1], [0], [3]], np.int8)
BIAS = np.array([0, 4, -4, 16, 0, -6], np.int32)


def gate(spelling: Spelling, quantized: bool) -> tuple[Qdq, str]:
    """A network of one pixel whose 1x1 convolution is gated: its output, and the score's name."""
    net = Qdq(np.random.default_rng(0), ("N", 1, 1, 1))
    net.image_type = TensorProto.INT8 if quantized else TensorProto.FLOAT
    if quantized:
        x = net.dequantize("image", STEP)
        pooled = net.qdq(net.node("GlobalAveragePool", x), STEP)
        weight = net.dequantize(net.const(WEIGHT, np.int8), np.ones(len(WEIGHT)), axis=0)
        bias = net.dequantize(net.const(BIAS, np.int32), STEP, np.int32)
    else:
        x, pooled = "image", net.node("GlobalAveragePool", "image")
        weight, bias = net.const(WEIGHT), net.const(BIAS * STEP)
    z = net.node("Gemm", net.node("Flatten", pooled), weight, bias, name="gate", transB=1)
    score = spelling(net, z)
    count = len(WEIGHT) // {**STEPS, **RAMPS, **SIGMOIDS}[spelling]
    net.channels[x] = 1
    kernel = net.weight((count, 1, 1, 1)) if quantized else net.const(np.ones((count, 1, 1, 1)))
    y = net.node("Conv", x, kernel, name="conv")
    y = net.node("Mul", y, net.node("Reshape", score, net.const([-1, count, 1, 1], np.int64)))
    return net, net.qdq(y, STEP) if quantized else y, score


def run(model: onnx.ModelProto, name: str, images: Array) -> Array:
    """One tensor of a model in onnxruntime, for all images at once."""
    session = pytest.importorskip("onnxruntime")
    wide = onnx.ModelProto.FromString(model.SerializeToString())
    del wide.graph.output[:]
    wide.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = session.SessionOptions()
    options.graph_optimization_level = session.GraphOptimizationLevel.ORT_DISABLE_ALL
    made = session.InferenceSession(wide.SerializeToString(), options)
    return np.asarray(made.run([name], {"image": images})[0])


def scores(tmp_path: Path, spelling: Spelling) -> tuple[ir.Gate, Array, Array]:
    """(the gate, its scores, onnxruntime's) for every int8 the gate can read."""
    net, output, score = gate(spelling, quantized=True)
    model = net.model(output)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    graph = import_onnx(path)
    (node,) = (node for node in graph.nodes if isinstance(node, ir.Gate))
    images = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 1, 1)
    return node, run_graph(graph, images)[node.output], run(model, score, images)


@pytest.mark.parametrize("spelling", STEPS, ids=lambda each: each.__name__)
def test_steps_at_every_input(tmp_path: Path, spelling: Spelling) -> None:
    node, ours, theirs = scores(tmp_path, spelling)
    assert np.array_equal(ours, theirs.reshape(ours.shape) * SCORE_ONE)
    assert node.decides and (ours == 0).any() and (ours == SCORE_ONE).any()


@pytest.mark.parametrize("spelling", RAMPS, ids=lambda each: each.__name__)
def test_ramps_at_every_input(tmp_path: Path, spelling: Spelling) -> None:
    node, ours, theirs = scores(tmp_path, spelling)
    assert node.kind == GateKind.RELU1
    assert np.abs(ours - theirs.reshape(ours.shape) * SCORE_ONE).max() <= 0.5


@pytest.mark.parametrize("spelling", SIGMOIDS, ids=lambda each: each.__name__)
def test_sigmoids_at_every_input(tmp_path: Path, spelling: Spelling) -> None:
    node, ours, theirs = scores(tmp_path, spelling)
    assert node.kind == GateKind.SIGMOID
    assert np.abs(ours - theirs.reshape(ours.shape) * SCORE_ONE).max() <= 1


def test_ties_of_the_sign_are_a_half(tmp_path: Path) -> None:
    _, ours, _ = scores(tmp_path, spellings.sign)
    assert set(np.unique(ours)) == {0, SCORE_ONE // 2, SCORE_ONE}


@pytest.mark.parametrize("spelling", [*STEPS, *RAMPS, *SIGMOIDS], ids=lambda each: each.__name__)
def test_float_networks_keep_their_scores(tmp_path: Path, spelling: Spelling) -> None:
    """What is calibrated has the scores of what was given."""
    net, output, _ = gate(spelling, quantized=False)
    model = net.model(output)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    images = (np.arange(-128, 128) * STEP).astype(np.float32).reshape(-1, 1, 1, 1)
    before = run(model, output, images)
    rewritten = to_onnx(simplify_float(to_net(load_model(path))))
    after = np.concatenate([run(rewritten, output, image[None]) for image in images])
    assert np.abs(before - after).max() <= 2e-6
    ops = [node.op_type for node in rewritten.graph.node]
    assert not {"ArgMax", "Softmax", "Where", "Less", "Round", "Equal", "Sub"} & set(ops)


def test_two_scales_are_refused(tmp_path: Path) -> None:
    net, output, _ = gate(spellings.two_logits, quantized=True)
    model = net.model(output)
    for tensor in model.graph.initializer:
        if list(tensor.dims) == [len(WEIGHT)] and tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(np.arange(1.0, 7, dtype=np.float32), tensor.name)
            )
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CompileError, match=r"two scales; let the dense layer make one logit"):
        import_onnx(path)


def test_curves_at_ties() -> None:
    """max(x, 0) - max(x - 1, 0) is clip(x, 0, 1), and a comparison knows its tie."""
    line = curves.identity()
    relu: Callable[[Any], Any] = lambda c: curves.greater(c, curves.level(0))  # noqa: E731
    ramp = curves.subtract(relu(line), relu(curves.subtract(line, curves.level(1))))
    assert ramp == curves.less(relu(line), curves.level(1))
    assert ramp.breaks == (0, 1)
    tie = curves.compare(curves.scaled(line, 3), curves.level(1), [0, 1])
    assert tie.breaks == (Fraction(1, 3),) and tie.values == (1,)
    assert curves.compare(line, curves.level(0), [1]).mirrored().lines[0][1] == 1
    bounded = curves.stairs(curves.identity(0, 1), round)
    assert bounded.breaks == (Fraction(1, 2),) and bounded.values == (0,)
    with pytest.raises(curves.NoCurveError):
        curves.multiply(line, line)


@pytest.mark.parametrize("op", ["Softmax", "ArgMax"])
def test_two_classes_are_no_gate(tmp_path: Path, op: str) -> None:
    """What ends a network of two classes is its tail, as for any other."""
    net = Floats(1)
    y = net.gemm(net.pooled(net.relu(net.conv("image"))), 2)
    y = net.node(op, y, axis=1, name="last")
    y = net.node("Cast", y, to=TensorProto.FLOAT) if op == "ArgMax" else y
    graph = import_model(infer(quantize_float(save(net.model(y), tmp_path), some_images(1))))
    assert graph.tails[0].operators.startswith(op)
    assert isinstance(graph.nodes[-1], ir.Dense)
