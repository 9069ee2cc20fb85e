"""Gates and pooled vectors: what cannot be represented is refused by name, reason and hint."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

Y = 0.04
SCORE = 1 / 128
Case = Callable[[Any], str]


def score_scale(net: Any) -> str:
    x = net.stem()
    score = net.qdq(net.gemm(net.pool(x), 4), 1 / 64, name="score")
    return net.qdq(net.node("Mul", net.conv(x, 4), net.map_shape(score)), Y)


def score_limited_from_below(net: Any) -> str:
    """Closed where its dense layer is low, if only the upper limit counted."""
    x = net.stem()
    codes = net.quantize(net.node("Relu", net.gemm(net.pool(x), 4)), SCORE, False, name="score")
    limits = (net.const(13, np.uint8), net.const(94, np.uint8))
    score = net.dequantize(net.node("Clip", codes, *limits), SCORE, np.uint8)
    return net.qdq(net.node("Mul", net.conv(x, 4), net.map_shape(score), name="mul"), Y)


def unlimited_score(net: Any) -> str:
    x = net.stem()
    score = net.map_shape(net.gemm(net.pool(x), 4))
    return net.qdq(net.node("Mul", net.conv(x, 4), score, name="mul"), Y)


def sigmoid_of_a_map(net: Any) -> str:
    score = net.node("Sigmoid", net.conv(net.stem(), 4), name="sigmoid")
    return net.qdq(net.node("Mul", net.conv(net.stem(), 4), score, name="mul"), SCORE)


def sigmoid_at_another_scale(net: Any) -> str:
    x = net.stem()
    score = net.node("Sigmoid", net.qdq(net.gemm(net.pool(x), 4), 0.05), name="sigmoid")
    return net.qdq(net.node("Mul", x, net.map_shape(score)), Y)


def clipped_sigmoid(net: Any) -> str:
    x = net.stem()
    z = net.qdq(net.node("Relu", net.gemm(net.pool(x), 4)), 1 / 16)
    return net.qdq(net.node("Mul", x, net.map_shape(net.node("Sigmoid", z, name="sigmoid"))), Y)


def sigmoid_as_int8(net: Any) -> str:
    x = net.stem()
    score = net.qdq(net.node("Sigmoid", net.gemm(net.pool(x), 4)), SCORE, name="score")
    return net.qdq(net.node("Mul", x, net.map_shape(score)), Y)


def rounded_threshold(net: Any) -> str:
    x = net.stem()
    score = net.node("Sigmoid", net.qdq(net.gemm(net.pool(x), 4), 1 / 16))
    score = net.node("Greater", score, net.const(0.5), name="greater")
    score = net.map_shape(net.node("Cast", score, to=TensorProto.FLOAT))
    return net.qdq(net.node("Mul", net.conv(x, 4), score), Y)


def two_scores(net: Any) -> str:
    x = net.stem()
    y = net.node("Mul", net.conv(x, 4), net.gate(net.pool(x), 4))
    return net.qdq(net.node("Mul", y, net.gate(net.pool(x), 1), name="mul"), Y)


def score_on_columns(net: Any) -> str:
    x = net.stem()
    score = net.qdq(net.clip(net.gemm(net.pool(x), 5)), SCORE, signed=False)
    return net.qdq(net.node("Mul", net.conv(x, 5), score, name="mul"), Y)


def clipped_before_score(net: Any) -> str:
    x = net.stem()
    y = net.clip(net.conv(x, 4), 0.0, 6.0)
    return net.qdq(net.node("Mul", y, net.gate(net.pool(x), 4), name="mul"), Y)


def times_constant(net: Any) -> str:
    numbers = net.const(np.linspace(1, 2, 4).reshape(4, 1, 1))
    return net.qdq(net.node("Mul", net.conv(net.image(), 4), numbers, name="mul"), Y)


def flattened_map(net: Any) -> str:
    x = net.node("Flatten", net.stem(), name="flatten")
    x = net.node("Reshape", x, net.const([1, 4, 6, 5], np.int64))
    net.channels[x] = 4
    return net.qdq(net.conv(x, 4), Y)


def mean_over_channels(net: Any) -> str:
    x = net.node("ReduceMean", net.stem(), net.const([1], np.int64), name="mean")
    net.channels[x] = 1
    return net.qdq(net.conv(x, 4), Y)


def mean_not_quantized(net: Any) -> str:
    y = net.node("Flatten", net.node("GlobalAveragePool", net.stem()))
    return net.qdq(net.gemm(y, 4, "fc"), Y)


def sigmoid_threshold(net: Any) -> str:
    x = net.stem()
    z = net.node("Sigmoid", net.gemm(net.pool(x), 4))
    score = net.node("Greater", z, net.const(1.5), name="greater")
    score = net.map_shape(net.node("Cast", score, to=TensorProto.FLOAT))
    return net.qdq(net.node("Mul", net.conv(x, 4), score), Y)


def conv_on_scores(net: Any) -> str:
    score = net.gate(net.pool(net.stem()), 4)
    return net.qdq(net.conv(score, 4, 1, name="c"), Y)


def threshold_per_column(net: Any) -> str:
    x = net.stem()
    z = net.qdq(net.node("GlobalAveragePool", x), 0.02, signed=False)
    z = net.node("Conv", z, net.weight((5, 4, 1, 1)))
    z = net.node("Greater", z, net.const(np.zeros(5)), name="greater")
    score = net.node("Cast", z, to=TensorProto.FLOAT)
    return net.qdq(net.node("Mul", net.conv(x, 5), score), Y)


def gathered_images(net: Any) -> str:
    z = net.gemm(net.pool(net.stem()), 4)
    return net.node("Gather", z, net.const([0], np.int64), axis=0, name="gather")


def nothing_left(net: Any) -> str:
    bounds = [net.const([i], np.int64) for i in (2, 2, 1)]
    return net.node("Slice", net.gemm(net.pool(net.stem()), 4), *bounds, name="slice")


def sliced_logits(net: Any) -> str:
    bounds = [net.const([i], np.int64) for i in (0, 2, 1)]
    return net.node("Slice", net.classifier(net.stem()), *bounds, name="slice")


def one_weight_for_all(op: str, *shape: int) -> Case:
    """(channels, 1) times (1, 1): as many numbers as channels, all of one row of weights."""

    def build(net: Any) -> str:
        x = net.stem()
        z = net.node("Reshape", net.pool(x), net.const(shape, np.int64))
        z = net.node(op, z, net.weight((1, 1)), name="gate")
        z = net.clip(net.node("Sub", net.const(1.0), z))
        z = net.node("Reshape", z, net.const([1, 4, 1, 1], np.int64))
        return net.qdq(net.node("Mul", net.conv(x, 4), z), Y)

    return build


CASES: list[tuple[Case, str]] = [
    (
        score_scale,
        "node 'mul*' (Mul): its score 'score*' is quantised as int8 with scale 0.0156*; scores",
    ),
    (
        score_limited_from_below,
        "node 'mul' (Mul): its score '*' is limited to codes from 13 on; scores begin at 0: leave*",
    ),
    (unlimited_score, "node 'mul' (Mul): 'reshape*' is multiplied without * [0, 1]; put Clip"),
    (sigmoid_of_a_map, "node 'mul' (Mul): is not a convolution times a gate score"),
    (sigmoid_at_another_scale, "node 'sigmoid' (Sigmoid): its input has scale 0.05*1/16 (0.0625)"),
    (clipped_sigmoid, "node 'sigmoid' (Sigmoid): its input is clipped"),
    (sigmoid_as_int8, "node 'score' (Quant*): quantises a gate score as int8 with scale 0.0078"),
    (rounded_threshold, "node 'greater' (Greater): compares a sigmoid that was quantised"),
    (two_scores, "node 'mul' (Mul): the convolution has a score already"),
    (score_on_columns, "node 'mul' (Mul): scores of shape (1, 5) do not match 5 channels"),
    (clipped_before_score, "node 'mul' (Mul): a clipped activation before the score"),
    (times_constant, "node 'mul' (Mul): is not a convolution times a gate score"),
    (flattened_map, "node 'flatten' (Flatten): reshapes (1, 4, 6, 5) to (1, 120)"),
    (mean_over_channels, "node 'mean' (ReduceMean): averages over other axes than (2, 3)"),
    (mean_not_quantized, "node 'fc' (Gemm): its input 'flatten*' is not quantised"),
    (sigmoid_threshold, "node 'greater' (Greater): the threshold of a sigmoid gate must lie"),
    (conv_on_scores, "node 'c' (Conv): its input 'quantizelinear*' is not a map"),
    (gathered_images, "node 'gather' (Gather): takes nothing of a gate's outputs; outp"),
    (nothing_left, "node 'slice' (Slice): takes nothing"),
    (sliced_logits, "node 'slice' (Slice): '*' is not the output of a gate's dense layer"),
    (threshold_per_column, "node 'greater' (Greater): its threshold has shape (5,) for 5 outputs"),
]


@pytest.mark.parametrize(
    ("op", "shape"), [("MatMul", (1, 4, 1, 1)), ("MatMul", (1, 4, 1)), ("Gemm", (4, 1))]
)
def test_one_weight_for_all(refuse: Any, op: str, shape: tuple[int, ...]) -> None:
    refuse(one_weight_for_all(op, *shape), "*")


@pytest.mark.parametrize(("build", "message"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_refused(refuse: Any, build: Case, message: str) -> None:
    refuse(build, message)
