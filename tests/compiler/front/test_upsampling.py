"""Resize, Upsample, DepthToSpace and ConvTranspose: against onnxruntime, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import CONFIGS
from penstock.program.core.descriptor import Op
from tests.compiler.front.floats import Floats, check_float, save, some_images


def finish(net: Floats, x: str, opset: int = 18) -> Any:
    """The network that ends with a map."""
    return net.model(net.relu(net.conv(x)), opset=opset)


def moved(graph: ir.Graph) -> list[ir.Interleave]:
    return [node for node in graph.nodes if isinstance(node, ir.Interleave)]


def resize(net: Floats, x: str, scale: float = 2.0, sizes: bool = False, **attrs: Any) -> str:
    """Resize of opset 11 and later, by scales or by sizes."""
    if sizes:
        wanted = net.const([1, 4, round(4 * scale), round(4 * scale)], np.int64)
        return net.node("Resize", x, net.const([]), net.const([]), wanted, **attrs)
    return net.node("Resize", x, net.const([]), net.const([1, 1, scale, scale]), **attrs)


NEAREST = [
    {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "round_prefer_floor"},
    {"coordinate_transformation_mode": "half_pixel"},
    {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
    {"coordinate_transformation_mode": "pytorch_half_pixel", "mode": "nearest"},
    {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"},
]


@pytest.mark.parametrize("attrs", NEAREST)
@pytest.mark.parametrize("sizes", [False, True])
@pytest.mark.parametrize("opset", [11, 13, 18, 19])
def test_nearest(attrs: dict[str, Any], sizes: bool, opset: int, tmp_path: Path) -> None:
    net = Floats(1)
    x = resize(net, net.relu(net.conv("image")), sizes=sizes, **attrs)
    graph = check_float(finish(net, x, opset), tmp_path, some_images(1))
    assert [item.phase for item in moved(graph)] == [0]


@pytest.mark.parametrize(("op", "opset"), [("Upsample", 9), ("Resize", 10), ("Upsample", 8)])
def test_nearest_as_it_was_once_written(op: str, opset: int, tmp_path: Path) -> None:
    net, scales = Floats(2), [1.0, 1.0, 2.0, 2.0]
    x = net.relu(net.conv("image"))
    if opset < 9:
        x = net.node(op, x, scales=scales, mode="nearest")
    else:
        x = net.node(op, x, net.const(scales), mode="nearest")
    check_float(finish(net, x, opset), tmp_path, some_images(2))


@pytest.mark.parametrize("times", [1, 4, 8])
def test_other_powers_of_two(times: int, tmp_path: Path) -> None:
    net = Floats(3)
    x = resize(net, net.relu(net.conv("image")), float(times))
    graph = check_float(finish(net, x), tmp_path, some_images(3))
    assert len(moved(graph)) == times.bit_length() - 1


def test_clipped_behind_it(tmp_path: Path) -> None:
    """An activation behind a Resize is one before it."""
    net = Floats(4)
    x = net.relu(resize(net, net.conv("image")))
    check_float(finish(net, x), tmp_path, some_images(4))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str, tmp_path: Path) -> None:
    net = Floats(5)
    x = net.node("DepthToSpace", net.relu(net.conv("image", 16)), blocksize=2, mode=mode)
    graph = check_float(finish(net, x), tmp_path, some_images(5))
    found = moved(graph)[0]
    assert (found.channel, found.phase) == ((1, 4) if mode == "DCR" else (4, 1))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_as_it_is_decomposed(mode: str, tmp_path: Path) -> None:
    net = Floats(6)
    x = net.conv("image", 16)
    dcr = mode == "DCR"
    split = [1, 2, 2, 4, 4, 4] if dcr else [1, 4, 2, 2, 4, 4]
    x = net.node("Reshape", x, net.const(split, np.int64))
    x = net.node("Transpose", x, perm=[0, 3, 4, 1, 5, 2] if dcr else [0, 1, 4, 2, 5, 3])
    x = net.node("Reshape", x, net.const([1, 4, 8, 8], np.int64))
    graph = check_float(finish(net, x), tmp_path, some_images(6))
    assert len(moved(graph)) == 1


TRANSPOSED = [
    {"kernel": 2},
    {"kernel": 3, "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    {"kernel": 4, "pads": [1, 1, 1, 1]},
    {"kernel": 3, "pads": [1, 1, 1, 1]},
    {"kernel": 3},
    {"kernel": 3, "pads": [0, 0, 1, 1]},
    {"kernel": 2, "auto_pad": "SAME_UPPER"},
    {"kernel": 3, "auto_pad": "SAME_UPPER"},
    {"kernel": 4, "auto_pad": "SAME_LOWER"},
    {"kernel": 3, "output_shape": [8, 8]},
    {"kernel": 4, "output_shape": [8, 8], "auto_pad": "SAME_UPPER"},
    {"kernel": 2, "pads": [1, 1, 1, 1]},
    {"kernel": 5, "pads": [2, 2, 2, 2], "output_padding": [1, 1]},
]


def transposed(net: Floats, x: str, kernel: int, group: int = 1, **attrs: Any) -> str:
    weight = net.normal(4, 4 // group, kernel, kernel, spread=0.3)
    attrs = {"strides": [2, 2], "group": group} | attrs
    return net.node("ConvTranspose", x, weight, net.normal(4), name="up", **attrs)


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("attrs", TRANSPOSED, ids=str)
def test_transposed(attrs: dict[str, Any], group: int, tmp_path: Path) -> None:
    net = Floats(7)
    x = net.relu(transposed(net, net.relu(net.conv("image")), group=group, **attrs))
    graph = check_float(finish(net, x), tmp_path, some_images(7))
    assert len(moved(graph)) == 1


def test_odd_sides_are_made_at_once(tmp_path: Path) -> None:
    """Of a result of 7 x 7 no row is made to be left out."""
    net = Floats(12)
    x = net.relu(transposed(net, net.relu(net.conv("image")), 3, pads=[1, 1, 1, 1]))
    graph = check_float(finish(net, x), tmp_path, some_images(12))
    program = decode(compile_graph(graph, CONFIGS["tiny"]))
    assert [(d.height, d.width) for d in program if d.interleaves] == [(7, 7)]
    assert not any(d.op == Op.POOL for d in program)


def test_transposed_with_batch_norm(tmp_path: Path) -> None:
    """It is folded into each of the four convolutions."""
    net = Floats(8)
    x = transposed(net, net.relu(net.conv("image")), 2)
    rng = np.random.default_rng(8)
    numbers = [net.const(rng.uniform(0.5, 1.5, 4)) for _ in range(4)]
    x = net.relu(net.node("BatchNormalization", x, *numbers))
    graph = check_float(finish(net, x), tmp_path, some_images(8))
    assert sum(isinstance(node, ir.Conv) for node in graph.nodes) == 6


def test_transposed_and_added(tmp_path: Path) -> None:
    net = Floats(9)
    x = net.relu(net.conv("image"))
    up = transposed(net, x, 2)
    other = resize(net, x)
    check_float(finish(net, net.relu(net.node("Add", up, other))), tmp_path, some_images(9))


def test_joined(tmp_path: Path) -> None:
    """Two maps of twice the size beside each other, and a third one."""
    net = Floats(10)
    x = net.relu(net.conv("image"))
    up = net.relu(transposed(net, x, 4, pads=[1, 1, 1, 1]))
    both = net.node("Concat", up, resize(net, x), axis=1)
    y = net.relu(net.conv(both, inputs=8, strides=[2, 2]))
    both = net.node("Concat", y, x, axis=1)
    model = net.model(net.conv(both, inputs=8))
    check_float(model, tmp_path, some_images(10))


def linear(net: Floats, x: str) -> str:
    return resize(net, x, mode="linear")


def cubic(net: Floats, x: str) -> str:
    return resize(net, x, mode="cubic")


def by_half_more(net: Floats, x: str) -> str:
    return resize(net, x, 1.5)


def one_axis(net: Floats, x: str) -> str:
    return net.node("Resize", x, "", net.const([1.0, 1.0, 2.0, 1.0]))


def upwards(net: Floats, x: str) -> str:
    return resize(net, x, coordinate_transformation_mode="asymmetric", nearest_mode="ceil")


def blocks_of_four(net: Floats, x: str) -> str:
    return net.node("DepthToSpace", net.conv(x, 64), blocksize=4, name="up")


def dilated(net: Floats, x: str) -> str:
    return transposed(net, x, 2, dilations=[2, 2])


def by_three(net: Floats, x: str) -> str:
    return transposed(net, x, 3, strides=[3, 3])


def padded_twice(net: Floats, x: str) -> str:
    return transposed(net, x, 3, auto_pad="SAME_UPPER", output_padding=[1, 1])


def padded_by_two(net: Floats, x: str) -> str:
    return transposed(net, x, 3, output_padding=[2, 2])


REFUSED = [
    (padded_twice, "runtimes disagree", "pads"),
    (padded_by_two, r"has output_padding \[2, 2\]", "less than the stride"),
    (linear, "resizes by mode 'linear'", "nearest"),
    (cubic, "resizes by mode 'cubic'", "nearest"),
    (by_half_more, "scales rows by 1.5 and columns by 1.5", "doubled"),
    (one_axis, "scales rows by 2 and columns by 1", "doubled"),
    (upwards, "takes other pixels", "half_pixel"),
    (blocks_of_four, "has blocks of 4 x 4 pixels", "PixelShuffle"),
    (dilated, r"has dilations \[2, 2\]", "stride=2"),
    (by_three, r"has strides \[3, 3\]", "stride=2"),
]


@pytest.mark.parametrize(("make", "reason", "hint"), REFUSED)
def test_refused(make: Any, reason: str, hint: str, tmp_path: Path) -> None:
    net = Floats(11)
    x = make(net, net.relu(net.conv("image")))
    path = save(net.model(net.head(x)), tmp_path)
    with pytest.raises(CompileError, match=reason) as caught:
        import_float(path, some_images(11))
    assert hint in caught.value.hint and caught.value.node
