"""Batch normalisations that training with fake quantisers left behind quantised layers."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from tests.compiler.back.test_bit_exact import assert_exact

Y = 0.04


def normalised(net: Any, x: str, gamma: Any = (0.9, -1.3, 0.0, 0.4), **attrs: Any) -> str:
    """With a negative, a zero and a small scale."""
    rows = [gamma, (0.1, 0.3, -0.2, 0.5), (0.2, -0.1, 0.4, 0.0), (0.5, 1.2, 0.8, 2.0)]
    return str(net.node("BatchNormalization", x, *map(net.const, rows), **attrs))


@pytest.mark.parametrize("attrs", [{}, {"epsilon": 0.1}])
@pytest.mark.parametrize("relu", [False, True])
def test_behind_a_convolution(net: Any, check: Any, attrs: Any, relu: bool) -> None:
    y = normalised(net, net.conv(net.stem(), 4), **attrs)
    y = net.node("Relu", y) if relu else y
    graph = check(net, net.qdq(y, Y, signed=not relu))
    assert [type(node) for node in graph.nodes] == [ir.Conv] * 2
    assert_exact(graph, "tiny")


def test_channel_by_channel_and_uneven_pads(net: Any, check: Any) -> None:
    y = net.node("Conv", net.stem(), net.weight((4, 1, 3, 3)), group=4, pads=[0, 1, 1, 0])
    assert_exact(check(net, net.qdq(normalised(net, y), Y)), "tiny")


def test_in_a_residual_block_with_a_gate(net: Any, check: Any) -> None:
    x = net.stem()
    y = normalised(net, net.conv(x, 4))
    y = net.node("Mul", y, net.gate(net.pool(x), 4))
    y = net.qdq(net.node("Relu", net.node("Add", y, x)), Y, signed=False)
    assert_exact(check(net, net.classifier(y)), "tiny")


def test_behind_a_dense_layer(net: Any, check: Any) -> None:
    y = normalised(net, net.gemm(net.pool(net.stem()), 4))
    assert_exact(check(net, net.qdq(y, 0.03)), "tiny")


def test_two_in_a_row(net: Any, check: Any) -> None:
    y = normalised(net, normalised(net, net.conv(net.stem(), 4)), (-0.7, -1.0, 2.0, 1.0))
    assert_exact(check(net, net.qdq(y, Y)), "tiny")


def lowest(net: Any) -> str:
    integers = net.const(np.full((4, 3, 1, 1), -128), np.int8)
    weight = net.dequantize(integers, np.full(4, 0.01), axis=0)
    y = net.node("Conv", net.image(), weight, name="conv")
    return str(net.qdq(normalised(net, y, name="bn"), Y))


def scored(net: Any) -> str:
    x = net.stem()
    y = net.node("Mul", net.conv(x, 4), net.gate(net.pool(x), 4))
    return str(net.qdq(normalised(net, y, name="bn"), Y))


def of_nothing(net: Any) -> str:
    rows = [net.const(value) for value in (np.ones(4), np.ones(4), np.ones(4), -np.ones(4))]
    y = net.node("BatchNormalization", net.conv(net.image(), 4), *rows, name="bn")
    return str(net.qdq(y, Y))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (lowest, "turns a weight of -128 round; quantise weights to -127"),
        (scored, "a batch normalisation in a quantised network; fold it"),
        (of_nothing, "its variance is negative"),
    ],
)
def test_refused(net: Any, check: Any, case: Any, message: str) -> None:
    with pytest.raises(CompileError, match=rf"node 'bn' \(BatchNormalization\): {message}"):
        check(net, case(net))
