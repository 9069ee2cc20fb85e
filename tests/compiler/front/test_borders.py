"""Convolutions and pools whose borders, strides and sizes the core makes by moving pixels."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.interpreter import run_graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.sim import golden
from tests.compiler.back.graphs import random_inputs
from tests.compiler.back.test_bit_exact import assert_exact
from tests.compiler.front.qdq import Qdq

Y = 0.04

#: (kernel, attributes) of convolutions of a map of 9 x 8.
CONVS: list[tuple[tuple[int, int], dict[str, Any]]] = [
    ((3, 3), {"pads": [0] * 4}),  # VALID
    ((3, 3), {"pads": [0] * 4, "strides": [2, 2]}),
    ((5, 5), {"pads": [0] * 4}),
    ((3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),  # Keras
    ((3, 3), {"pads": [2, 0, 1, 0]}),
    ((3, 3), {"pads": [3, 3, 3, 3]}),  # more than the kernel reaches
    ((2, 2), {"pads": [0] * 4}),
    ((4, 4), {"pads": [1, 2, 1, 0], "strides": [2, 2]}),
    ((1, 7), {"pads": [0] * 4}),
    ((7, 3), {"pads": [0, 0, 2, 0]}),
    ((3, 1), {"strides": [2, 1], "pads": [1, 0, 0, 0]}),
    ((3, 3), {"strides": [1, 2], "pads": [1] * 4}),
    ((3, 3), {"strides": [3, 3], "pads": [1] * 4}),
    ((4, 4), {"strides": [4, 4], "pads": [0] * 4}),
    ((1, 1), {"strides": [2, 3], "pads": [0] * 4}),
    ((3, 3), {"dilations": [2, 2], "pads": [0] * 4}),
    ((3, 2), {"dilations": [3, 2], "pads": [1, 0, 2, 3]}),
    ((3, 3), {"auto_pad": "VALID", "strides": [2, 2]}),
]

POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [3, 3]},
    {"kernel_shape": [2, 2], "strides": [3, 2]},
    {"kernel_shape": [4, 4], "strides": [4, 4]},
    {"kernel_shape": [3, 3], "pads": [0, 1, 2, 0], "strides": [2, 1]},
    {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"kernel_shape": [5, 5], "pads": [3, 3, 3, 3]},
]


def engines_agree(graph: ir.Graph) -> None:
    """Golden, which reads the Program, makes what the graph makes."""
    assert_exact(graph, "tiny")


def small(new_net: Any) -> tuple[Qdq, str]:
    net = new_net("N", 3, 9, 8)
    return net, net.stem()


@pytest.mark.parametrize(("kernel", "attrs"), CONVS)
def test_convolutions(new_net: Any, check: Any, kernel: Any, attrs: Any) -> None:
    net, x = small(new_net)
    y = net.node("Conv", x, net.weight((5, 4, *kernel)), net.const(np.arange(5) / 9), **attrs)
    net.channels[y] = 5
    engines_agree(check(net, net.qdq(net.node("Relu", y), Y, signed=False)))


@pytest.mark.parametrize(("kernel", "attrs"), CONVS[:6])
def test_of_every_channel_by_itself(new_net: Any, check: Any, kernel: Any, attrs: Any) -> None:
    net, x = small(new_net)
    y = net.node("Conv", x, net.weight((4, 1, *kernel)), group=4, **attrs)
    engines_agree(check(net, net.qdq(y, Y)))


@pytest.mark.parametrize(("kernel", "attrs"), CONVS[:5])
def test_of_the_image_and_an_average_behind(
    new_net: Any, check: Any, kernel: Any, attrs: Any
) -> None:
    """Sums are those of what is kept alone."""
    net = new_net("N", 3, 9, 8)
    y = net.node("Conv", net.image(), net.weight((4, 3, *kernel)), **attrs)
    net.channels[y] = 4
    y = net.qdq(net.node("Relu", y), Y, signed=False)
    engines_agree(check(net, net.classifier(y)))


@pytest.mark.parametrize("gated", [False, True])
def test_residuals(new_net: Any, check: Any, gated: bool) -> None:
    """What is added lies beside rows and columns that are left out."""
    net, x = small(new_net)
    shortcut = net.qdq(net.conv(x, 4, pads=[0] * 4), Y)
    y = net.conv(x, 4, pads=[0, 1, 0, 0], kernel=3)
    y = net.node("Conv", net.qdq(y, Y), net.weight((4, 4, 1, 2)), pads=[0] * 4)
    net.channels[y] = 4
    if gated:
        y = net.node("Mul", y, net.gate(net.pool(x), 1))
    y = net.qdq(net.node("Relu", net.node("Add", y, shortcut)), Y, signed=False)
    engines_agree(check(net, net.classifier(y)))


@pytest.mark.parametrize("attrs", POOLS)
@pytest.mark.parametrize("signed", [False, True])
def test_maxima(new_net: Any, check: Any, attrs: Any, signed: bool) -> None:
    net, x = small(new_net)
    if signed:
        x = net.qdq(net.conv(x, 4), Y)
    engines_agree(check(net, net.qdq(net.node("MaxPool", x, **attrs), Y, signed=signed)))


@pytest.mark.parametrize("attrs", POOLS[2:])
def test_averages(new_net: Any, check: Any, attrs: Any) -> None:
    net, x = small(new_net)
    y = net.node("AveragePool", x, count_include_pad=1, **attrs)
    engines_agree(check(net, net.qdq(y, 0.033)))  # at the same scale many sums lie on ties


def test_a_clip_behind_a_part(new_net: Any, check: Any) -> None:
    """It is carried out before pixels are moved."""
    net, x = small(new_net)
    y = net.qdq(net.conv(x, 4, pads=[0] * 4), Y)
    y = net.node("Relu", net.node("MaxPool", y, kernel_shape=[2, 2], strides=[3, 3]))
    engines_agree(check(net, net.qdq(net.conv(net.qdq(y, Y, signed=False), 4), Y)))


@pytest.mark.parametrize("channels", [8, 232])
def test_a_kernel_as_large_as_its_map(new_net: Any, check: Any, channels: int) -> None:
    """It is a dense layer, unless that would have more inputs than a core has channels."""
    net = new_net("N", 3, 3, 3)
    x = net.qdq(net.node("Relu", net.conv(net.image(), channels)), Y, signed=False)
    graph = check(net, net.qdq(net.conv(x, 4, pads=[0] * 4), Y))
    convs = [node for node in graph.nodes if isinstance(node, ir.Conv)]
    assert convs[-1].pixels == (9 if channels == 8 else 1)
    assert_exact(graph, "z7020")


def test_two_readers_of_a_clipped_maximum(new_net: Any, check: Any) -> None:
    net, x = small(new_net)
    y = net.node("MaxPool", net.qdq(net.conv(x, 4), Y), kernel_shape=[2, 2], strides=[3, 2])
    y = net.node("Relu", y)
    z = net.node("Mul", net.conv(y, 4), net.gate(net.pool(y), 4))
    engines_agree(check(net, net.qdq(z, Y)))


@pytest.mark.parametrize("images", [2, 3])
def test_several_images_a_run(new_net: Any, load: Any, images: int) -> None:
    net = new_net("N", 3, 4, 4)
    y = net.qdq(net.conv(net.stem(), 32, pads=[0] * 4), Y)
    for _ in range(3):
        y = net.qdq(net.conv(y, 32, 1), Y)
    graph = load(net, net.classifier(y))
    package = compile_graph(graph, get_config("z7020"), images=images)
    inputs, codes = random_inputs(package, 2, np.random.default_rng(7))
    made = run_graph(graph, codes)[graph.output]
    records, output = golden.run(package, inputs), package.meta["output"]
    pitch = -(-output["classes"] // 8) * 8
    for index, logits in enumerate(made):
        at = output["offset"] + index % images * pitch
        got = records[index // images, at : at + output["classes"]]
        assert (got.view(np.int8) == logits).all()


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_pixels_left_over_by_a_stride(new_net: Any, check: Any, refuse: Any, mode: str) -> None:
    """One pixel is left out at the end; of more, onnxruntime leaves half out at the beginning."""

    def strided(step: int) -> Any:
        def build(net: Qdq) -> str:
            x, weight = net.stem(), net.weight((4, 4, 1, 1))
            return net.qdq(net.node("Conv", x, weight, auto_pad=mode, strides=[step, step]), Y)

        return build

    net = new_net("N", 3, 8, 8)
    engines_agree(check(net, strided(2)(net)))
    refuse(strided(3), "node '*' (Conv): has auto_pad SAME_*: runtimes disagree where it begins*")
