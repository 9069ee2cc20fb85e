"""Slices, splits, shuffles and selections of maps, and sums of maps that are there already."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from tests.compiler.front.floats import Floats, check_float, some_images
from tests.compiler.front.test_borders import engines_agree

Y = 0.04


def sliced(net: Any, x: str, start: int, end: int, axis: int, step: int = 1) -> str:
    numbers = [net.const([n], np.int64) for n in (start, end, axis, step)]
    return str(net.node("Slice", x, *numbers))


@pytest.mark.parametrize(
    "bounds", [(0, 2, 1), (2, 4, 1), (0, 4, 1, 3), (3, -9, 1, -2), (1, 5, 2), (0, 99, -1, 2)]
)
def test_slices(net: Any, check: Any, bounds: tuple[int, ...]) -> None:
    x = sliced(net, net.stem(), *bounds)
    channels = len(range(4)[slice(bounds[0], bounds[1], *bounds[3:])]) if bounds[2] == 1 else 4
    net.channels[x] = channels
    engines_agree(check(net, net.qdq(net.conv(x, 3), Y)))


def test_rows_backwards_are_refused(net: Any, refuse: Any) -> None:
    def build(net: Any) -> str:
        return str(net.qdq(net.conv(sliced(net, net.stem(), 5, -9, 2, -1), 4), Y))

    refuse(build, "node 'slice*' (Slice): takes * or backwards")


@pytest.mark.parametrize("channels", [[2, 0, 0, 3], [1], [3, 2, 1, 0], [0, 2]])
@pytest.mark.parametrize("reader", ["Conv", "MaxPool", "GlobalAveragePool"])
def test_gathers(net: Any, check: Any, channels: list[int], reader: str) -> None:
    x = net.node("Gather", net.stem(), net.const(channels, np.int64), axis=1)
    net.channels[x] = len(channels)
    if reader == "GlobalAveragePool":
        engines_agree(check(net, net.classifier(x)))
        return
    y = net.conv(x, 4) if reader == "Conv" else net.node("MaxPool", x, kernel_shape=[2, 2])
    engines_agree(check(net, net.qdq(y, Y, signed=reader == "Conv")))


@pytest.mark.parametrize("quantized", [False, True])
def test_a_shuffle_of_reshapes(net: Any, check: Any, quantized: bool) -> None:
    """As ShuffleNet's exporters write it, with a quantiser between at times; then halves of it."""
    x = net.stem()
    y = net.node("Reshape", x, net.const([1, 2, 2, 6, 5], np.int64))
    y = net.qdq(y, Y, signed=False) if quantized else y
    y = net.node("Transpose", y, perm=[0, 2, 1, 3, 4])
    y = net.node("Reshape", y, net.const([1, -1, 6, 5], np.int64))
    net.channels[y] = 4
    left, right = sliced(net, y, 0, 2, 1), sliced(net, y, 2, 4, 1)
    net.channels[left] = net.channels[right] = 2
    y = net.node("Concat", left, net.qdq(net.node("Relu", net.conv(right, 2)), Y, False), axis=1)
    net.channels[y] = 4
    graph = check(net, net.classifier(y))
    engines_agree(graph)
    assert any(isinstance(node, ir.Frame) and node.channels for node in graph.nodes)


@pytest.mark.parametrize("reader", ["Relu", "Identity", "Transpose"])
def test_reshapes_that_are_no_shuffle(net: Any, refuse: Any, reader: str) -> None:
    """Whatever follows them."""

    def build(net: Any) -> str:
        y = net.node("Reshape", net.stem(), net.const([1, 2, 2, 6, 5], np.int64), name="r")
        y = net.node("Reshape", net.node(reader, y), net.const([1, -1, 5, 6], np.int64))
        net.channels[y] = 4
        return str(net.qdq(net.conv(net.qdq(y, Y), 4), Y))

    refuse(build, "node 'r' (Reshape): reshapes (1, 4, 6, 5) to (1, 2, 2, 6, 5)")


def test_the_sum_of_maps_that_are_there(net: Any, check: Any) -> None:
    """Neither is a convolution that could take the other along."""
    x = net.stem()
    other = net.qdq(net.node("Relu", net.conv(x, 4)), Y, signed=False)
    y = net.qdq(net.node("Add", x, other), Y, signed=False)
    engines_agree(check(net, net.classifier(y)))


def test_a_map_plus_a_constant(net: Any, check: Any) -> None:
    x = net.node("Add", net.stem(), net.const(np.arange(4).reshape(4, 1, 1) / 7))
    net.channels[x] = 4
    engines_agree(check(net, net.qdq(x, Y)))


def test_a_sum_plus_a_constant(net: Any, check: Any) -> None:
    x = net.stem()
    y = net.node("Add", net.node("Add", net.conv(x, 4), x), net.const([[[[0.3]]]]))
    engines_agree(check(net, net.qdq(y, Y)))


def test_a_quantised_map_times_its_score(net: Any, check: Any) -> None:
    x = net.stem()
    y = net.node("Mul", net.qdq(net.conv(x, 4), Y), net.gate(net.pool(x), 4), name="mul")
    engines_agree(check(net, net.classifier(net.qdq(y, Y))))


def test_float_networks(tmp_path: Any) -> None:
    """A ghost module's slice, a sum times a score, a sum of three with a constant."""
    net = Floats(11, (1, 4, 8, 8))
    x = net.relu(net.conv("image"))
    bounds = [net.const([i], np.int64) for i in (0, 3, 1)]
    part = net.node("Slice", net.node("Concat", x, net.relu(net.conv(x)), axis=1), *bounds)
    y = net.relu(net.conv(part, 4, 3))
    total = net.relu(net.node("Add", net.conv(y), x))
    score = net.node("HardSigmoid", net.gemm(net.pooled(total)))
    score = net.node("Reshape", score, net.const([1, 4, 1, 1], np.int64))
    y = net.node("Mul", total, score)
    y = net.node("Add", net.node("Add", net.conv(y), net.conv(y)), net.const([[[[0.2]]]]))
    model = net.model(net.head(net.relu(y)))
    engines_agree(check_float(model, tmp_path, some_images(12, shape=(4, 8, 8))))
