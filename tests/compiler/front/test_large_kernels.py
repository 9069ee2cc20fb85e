"""Kernels and dilations beyond the core's: convolutions of copies of the map, each moved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from tests.compiler.back.test_bit_exact import assert_exact
from tests.compiler.front.floats import Floats
from tests.compiler.front.test_ends import compiled_float, images_of, same

Y = 0.04

#: (kernel, attributes) of convolutions of a map of 13 x 12.
LARGE: list[tuple[tuple[int, int], dict[str, Any]]] = [
    ((10, 1), {"pads": [4, 0, 5, 0]}),
    ((1, 9), {"pads": [0] * 4}),
    ((15, 1), {"pads": [7, 0, 7, 0]}),
    ((9, 9), {"pads": [4] * 4}),
    ((8, 8), {"pads": [0] * 4, "strides": [2, 2]}),
    ((3, 3), {"pads": [4] * 4, "dilations": [4, 4]}),
    ((3, 3), {"pads": [6, 0, 6, 0], "dilations": [6, 1]}),
    ((2, 2), {"pads": [0] * 4, "dilations": [7, 8]}),
    ((3, 3), {"pads": [4] * 4, "dilations": [4, 4], "strides": [2, 1]}),
    ((8, 3), {"pads": [2, 0, 3, 2], "strides": [3, 3]}),
    ((9, 2), {"auto_pad": "SAME_UPPER", "strides": [1, 2]}),
]


@pytest.mark.parametrize(("kernel", "attrs"), LARGE)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions(new_net: Any, check: Any, kernel: Any, attrs: Any, groups: int) -> None:
    net = new_net("N", 3, 13, 12)
    x = net.stem()
    weight = net.weight((4, 4 // groups, *kernel))
    y = net.node("Conv", x, weight, net.const(np.arange(4) / 9), group=groups, **attrs)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    assert any(isinstance(node, ir.Concat) for node in graph.nodes)
    assert_exact(graph, "z7020")


@pytest.mark.parametrize(("kernel", "attrs"), LARGE[:7:2])
def test_of_the_image(kernel: Any, attrs: Any, tmp_path: Path) -> None:
    net = Floats(71, ("N", 2, 13, 12))
    y = net.relu(net.node("Conv", "image", net.normal(3, 2, *kernel), net.normal(3), **attrs))
    images = images_of((2, 13, 12))
    same(compiled_float(net.model(net.head(y, 3)), tmp_path, images), images)


def test_a_shuffle_and_a_zero_point(new_net: Any, check: Any) -> None:
    """Off the map there is the zero point; the copies are those of channels in another order."""
    net = new_net("N", 3, 13, 12)
    zero = net.const(17, np.uint8)
    y = net.node("QuantizeLinear", net.conv(net.image(), 4), net.const(Y), zero)
    x = net.node("DequantizeLinear", y, net.const(Y), zero)
    x = net.node("Gather", x, net.const([2, 0, 3, 1], np.int64), axis=1)
    net.channels[x] = 4
    y = net.node("Conv", x, net.weight((4, 2, 3, 9)), group=2, pads=[1, 4, 1, 4])
    assert_exact(check(net, net.qdq(y, Y)), "z7020")


def test_in_a_residual_block_with_gates(new_net: Any, check: Any) -> None:
    net = new_net("N", 3, 13, 12)
    x = net.stem()
    score = net.gate(net.pool(x), 1)
    y = net.node("Conv", x, net.weight((4, 4, 1, 11)), pads=[0, 5, 0, 5])
    net.channels[y] = 4
    y = net.qdq(net.node("Relu", net.node("Add", net.node("Mul", y, score), x)), Y, signed=False)
    assert_exact(check(net, net.classifier(y)), "z7020")


def test_two_readers_of_the_same_copies(new_net: Any, check: Any) -> None:
    net = new_net("N", 3, 13, 12)
    x = net.stem()
    parts = []
    for _ in range(2):
        y = net.node("Conv", x, net.weight((4, 4, 9, 1)), pads=[4, 0, 4, 0])
        net.channels[y] = 4
        parts.append(net.qdq(y, Y))
    graph = check(net, net.qdq(net.node("Add", *parts), Y))
    assert sum(node.output.endswith(".stack") for node in graph.nodes) == 1
    assert_exact(graph, "z7020")


def test_more_copies_than_channels(new_net: Any, check: Any) -> None:
    net = new_net("N", 3, 2, 2)
    x = net.qdq(net.node("Relu", net.conv(net.image(), 600)), Y, signed=False)
    weight = net.weight((4, 600, 9, 9))
    y = net.node("Conv", x, weight, pads=[4] * 4, name="c")
    with pytest.raises(CompileError, match=r"'c' .*9x9 pixels, dilation included; .* 2048 at most"):
        check(net, net.qdq(y, Y))
