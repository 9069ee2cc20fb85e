"""The judge of random ONNX graphs notices what it is for."""

import dataclasses

import numpy as np
import onnx
import pytest

from tests.fuzz.onnx.draw import draw
from tests.fuzz.onnx.judge import Verdict, build, compare, judge, run_original


def accepted(quantized: bool) -> tuple[int, Verdict]:
    """The first seed that is accepted."""
    for seed in range(100):
        verdict = judge(draw(seed, quantized))
        if verdict.kind == "equal":
            return seed, verdict
    raise AssertionError("none of a hundred seeds is accepted")


@pytest.mark.parametrize("quantized", [True, False])
def test_the_judge_notices(quantized: bool) -> None:
    """Other logits in onnxruntime, and logits of another shape."""
    drawn = draw(accepted(quantized)[0], quantized)
    network, expected = build(drawn), run_original(drawn.model, drawn.images)
    assert compare(network, drawn, expected).kind == "equal"
    other = [array + np.abs(array).max() for array in expected]
    assert compare(network, drawn, other).kind != "equal"
    assert compare(network, drawn, [array[:, :, :1] for array in expected]).kind == "shape"


def test_nodes_may_come_before_what_they_read() -> None:
    """ONNX demands a topological order, and some exporters do not keep it: we sort."""
    drawn = draw(accepted(quantized=True)[0], quantized=True)
    model = onnx.ModelProto()
    model.CopyFrom(drawn.model)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])
    network = build(dataclasses.replace(drawn, model=model))
    assert compare(network, drawn, run_original(drawn.model, drawn.images)).kind == "equal"
