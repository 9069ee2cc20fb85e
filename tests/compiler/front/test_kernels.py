"""Kernels of any shape: exact inside a kernel that the core has."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir

Y = 0.04

#: (kernel, attributes, largest kernel of the core)
KERNELS: list[tuple[tuple[int, int], dict[str, Any], int]] = [
    ((3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}, 5),  # Keras' SAME on even maps
    ((3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, 5),
    ((3, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, 5),
    ((2, 2), {"pads": [0] * 4, "strides": [2, 2]}, 3),  # patches
    ((2, 2), {"pads": [0, 0, 1, 1]}, 3),
    ((2, 2), {"pads": [1, 1, 0, 0]}, 3),
    ((4, 4), {"pads": [1] * 4, "strides": [2, 2]}, 5),
    ((4, 4), {"pads": [0, 0, 2, 2], "strides": [2, 2]}, 7),
    ((6, 6), {"auto_pad": "SAME_UPPER"}, 7),
    ((1, 7), {"pads": [0, 3, 0, 3]}, 7),
    ((3, 1), {"pads": [1, 0, 1, 0]}, 3),
    ((5, 2), {"pads": [2, 0, 2, 1]}, 5),
    ((3, 3), {"pads": [2] * 4, "dilations": [2, 2]}, 5),
    ((3, 3), {"pads": [3] * 4, "dilations": [3, 3], "strides": [2, 2]}, 7),
    ((2, 3), {"pads": [1, 2, 1, 2], "dilations": [2, 2]}, 5),
    ((1, 1), {"pads": [0] * 4, "dilations": [2, 3]}, 1),
    ((1, 1), {"pads": [1, 1, 0, 0], "strides": [2, 2]}, 3),  # its odd rows and columns
]


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 6)])
@pytest.mark.parametrize(("kernel", "attrs", "core"), KERNELS)
def test_every_layer_as_onnxruntime_has_it(
    new_net: Any, check: Any, shape: tuple[int, int], kernel: Any, attrs: Any, core: int
) -> None:
    net = new_net("N", 3, *shape)
    if not fits(shape, kernel, attrs):
        pytest.skip("the result has another size")
    weight = net.weight((4, 3, *kernel))
    bias = net.const(np.array([-0.49, -0.1, 0.21, 0.47]))
    y = net.node("Conv", net.image(), weight, bias, name="c", **attrs)
    graph = check(net, net.qdq(net.node("Relu", y), Y, signed=False))
    (conv,) = (node for node in graph.nodes if isinstance(node, ir.Conv))
    assert max(kernel) <= conv.weight.shape[2] <= core


def fits(shape: tuple[int, int], kernel: tuple[int, int], attrs: dict[str, Any]) -> bool:
    """Whether the result has a pixel for every `stride` pixels of the map."""
    if "auto_pad" in attrs:
        return True
    pads, stride = attrs["pads"], attrs.get("strides", [1, 1])[0]
    for axis, side in enumerate(shape):
        span = (kernel[axis] - 1) * attrs.get("dilations", [1, 1])[axis] + 1
        if (side + pads[axis] + pads[axis + 2] - span) // stride + 1 != -(-side // stride):
            return False
    return True


def test_depthwise_and_groups(new_net: Any, check: Any) -> None:
    for groups in (4, 2):
        net = new_net("N", 3, 8, 8)
        x = net.stem()
        weight = net.weight((4, 4 // groups, 3, 3))
        y = net.node("Conv", x, weight, pads=[0, 0, 1, 1], strides=[2, 2], group=groups, name="c")
        graph = check(net, net.qdq(y, Y))
        conv = [node for node in graph.nodes if isinstance(node, ir.Conv)][-1]
        assert conv.groups == groups and conv.weight.shape[2] in (3, 5)


def test_a_gated_convolution(new_net: Any, check: Any) -> None:
    net = new_net("N", 3, 8, 8)
    x = net.stem()
    y = net.node("Conv", x, net.weight((4, 4, 2, 2)), pads=[0, 0, 1, 1], name="c")
    y = net.node("Mul", y, net.gate(net.pool(x), 4))
    graph = check(net, net.qdq(y, Y))
    assert graph.nodes[-1].fold is not None
