"""What is said about operators the core does not have: what to do instead, by where they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, defs

from penstock.compiler.calibration.run import quantize_float
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.lower.curves import lower_function
from penstock.compiler.importer.lower.network import HANDLERS
from penstock.compiler.importer.passes.folding.fold_constants import FOLDED
from penstock.compiler.importer.refusals.operator_hints import HINTS, IN_A_GATE
from tests.compiler.front.floats import Floats, save, some_images

Score = Callable[[Floats, str], str]


def refused(net: Floats, output: str, tmp_path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        quantize_float(save(net.model(output), tmp_path), some_images(1))
    assert "\n" not in str(caught.value) and "BatchNormalization, Cast" not in str(caught.value)
    return str(caught.value)


def three_logits(op: str) -> Score:
    """(N, 12) -> (N, 4, 3) -> a decision between three logits."""

    def score(net: Floats, z: str) -> str:
        z = net.node("Reshape", z, net.const([-1, 4, 3], np.int64))
        if op == "ArgMax":
            z = net.node("ArgMax", z, axis=2, keepdims=0, name="gate")
            return net.node("Cast", z, to=TensorProto.FLOAT)
        z = net.node("Softmax", z, axis=2, name="gate")
        z = net.node("Gather", z, net.const(1, np.int64), axis=2)
        return net.node("Cast", net.node("Greater", z, net.const(0.5)), to=TensorProto.FLOAT)

    return score


def one_logit(op: str) -> Score:
    def score(net: Floats, z: str) -> str:
        z = net.node("Slice", z, *(net.const([n], np.int64) for n in (0, 4, 1)))
        return net.node(op, z, name="gate")

    return score


@pytest.mark.parametrize(
    ("op", "score", "hint"),
    [
        *((op, three_logits(op), "one score, the difference of the two logits, and compare it")
          for op in ("ArgMax", "Softmax")),
        ("Tanh", one_logit("Tanh"), "a gate's score is Clip(0, 1), Sigmoid, or Greater"),
        ("Softplus", one_logit("Softplus"), "a gate's score is Clip(0, 1), Sigmoid, or Greater"),
        ("Round", one_logit("Round"), "let the gate be Greater(score, constant) and a Cast"),
    ],
)  # fmt: skip
def test_in_a_gate(op: str, score: Score, hint: str, tmp_path: Path) -> None:
    net = Floats(2)
    x = net.relu(net.conv("image"))
    scores = score(net, net.gemm(net.pooled(x), 12))
    scores = net.node("Reshape", scores, net.const([-1, 4, 1, 1], np.int64))
    text = refused(net, net.head(net.node("Mul", net.conv(x), scores)), tmp_path)
    assert text.startswith(f"node 'gate' ({op}): the operator is not supported; ")
    assert hint in text and "logits;" not in text


@pytest.mark.parametrize(
    ("op", "what"),
    [("Softmax", "softmax"), ("LogSoftmax", "softmax"), ("ArgMax", "label")],
)
def test_behind_the_logits(op: str, what: str, tmp_path: Path) -> None:
    net = Floats(3)
    y = net.node(op, net.head(net.relu(net.conv("image"))), axis=1, name="last")
    if op == "ArgMax":
        y = net.node("Cast", y, to=TensorProto.FLOAT)
    y = net.node("Mod", y, net.const(2.0), fmod=1)  # which the host does not know
    hint = f"end the network at its logits; the {what} is computed on the host"
    assert refused(net, y, tmp_path) == f"node 'last' ({op}): the operator is not supported; {hint}"


def test_behind_logits_that_a_gate_made(tmp_path: Path) -> None:
    """A gate before it makes no gate of the classifier's softmax."""
    net = Floats(4)
    x = net.relu(net.conv("image"))
    score = net.node("Clip", net.gemm(net.pooled(x)), net.const(0.0), net.const(1.0))
    score = net.node("Reshape", score, net.const([-1, 4, 1, 1], np.int64))
    x = net.node("Mul", net.conv(x), score)
    y = net.node("Mod", net.node("Softmax", net.head(x), name="last"), net.const(2.0), fmod=1)
    assert "end the network at its logits; the softmax" in refused(net, y, tmp_path)


def test_attention(tmp_path: Path) -> None:
    net = Floats(5)
    rows = net.node("Reshape", net.conv("image"), net.const([1, 4, 16], np.int64))
    columns = net.node("Transpose", rows, perm=[0, 2, 1])
    weights = net.node("Softmax", net.node("MatMul", rows, columns), name="attention")
    y = net.node("Reshape", net.node("MatMul", weights, rows), net.const([1, 4, 4, 4], np.int64))
    assert "attention is not" in refused(net, net.head(y), tmp_path)


def test_hints_are_of_operators_that_are_refused() -> None:
    for op in (*HINTS, *IN_A_GATE):
        assert HANDLERS.get(op, lower_function) is lower_function
        assert op == "Mish" or op == "Gelu" or defs.has(op) or op == "Swish"
    assert all(HINTS.values()) and not any("\n" in hint for hint in HINTS.values())


def test_every_operator_that_exporters_fold_has_a_hint_or_a_handler() -> None:
    """What may stay behind because it is computed from the image."""
    known = {*HANDLERS, *HINTS, *IN_A_GATE, "Identity"}
    assert FOLDED - known <= {"Abs", "Ceil", "Log", "Mod", "Range", "Reciprocal", "ReduceMin",
                              "ReduceProd", "Tile"}  # fmt: skip
