"""The vectorised interpreter against the definition, one element at a time."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.interpreter import run_graph

Array = ir.IntArray


def naive(node: ir.Conv, x: Array, scores: Array, residual: Array | None) -> Array:
    """One image, in Python integers."""
    outputs, channels, kernel, _ = node.weight.shape
    _, height, width = x.shape
    step, pad = node.stride, node.weight.shape[2] // 2
    y = np.zeros((outputs, -(-height // step), -(-width // step)), dtype=np.int64)
    for oc, row, column in np.ndindex(y.shape):
        acc = int(node.bias[oc])
        first = oc * node.groups // outputs * channels
        for ic, kh, kw in np.ndindex(channels, kernel, kernel):
            r, c = row * step + kh - pad, column * step + kw - pad
            if 0 <= r < height and 0 <= c < width:
                acc += int(node.weight[oc, ic, kh, kw]) * int(x[first + ic, r, c])
        m, r = int(node.requantize.multiplier[oc]), int(node.requantize.shift[oc])
        if node.fold:
            m = (m * int(scores[oc if node.fold.per_channel else 0]) + 64) >> 7
        value = (acc * m + (1 << (r - 1))) >> r
        if node.saturate_before_add:
            value = min(max(value, -128), 127)
        value += int(residual[oc, row, column]) if residual is not None else 0
        y[oc, row, column] = min(max(value, node.clamp[0]), node.clamp[1])
    return y


def factors(rng: np.random.Generator, count: int, shift: int) -> ir.Requantize:
    m = rng.integers(1 << 15, 1 << 16, count).astype(np.uint16)
    return ir.Requantize(multiplier=m, shift=np.full(count, shift, dtype=np.uint8))


def random_conv(
    rng: np.random.Generator, kernel: int, stride: int, output: str, **more: Any
) -> ir.Conv:
    return ir.Conv(
        name=output,
        input="x",
        output=output,
        weight=rng.integers(-128, 128, (4, more.pop("channels"), kernel, kernel)).astype(np.int8),
        bias=rng.integers(-9000, 9000, 4).astype(np.int32),
        requantize=factors(rng, 4, 24),
        stride=stride,
        **more,
    )


def gated_graph(
    rng: np.random.Generator, shape: tuple[int, int, int], kernel: int, stride: int
) -> ir.Graph:
    """image -> Pool -> Gate (4 scores); image -> Conv a; image -> gated Conv + a = y."""
    channels, height, width = shape
    small = (4, -(-height // stride), -(-width // stride))
    types = {"x": (shape, False), "p": ((channels,), False), "s": ((4,), False)}
    types |= {"a": (small, True), "y": (small, False)}
    average = round(65536 / (height * width)) if height * width > 1 else 65535
    pool = ir.Pool(name="p", input="x", output="p", multiplier=average, shift=16)
    gate = ir.Gate(
        name="s",
        input="p",
        output="s",
        weight=rng.integers(-128, 128, (4, channels)).astype(np.int8),
        bias=rng.integers(-9000, 9000, 4).astype(np.int32),
        requantize=factors(rng, 4, 23),
    )
    plain = random_conv(rng, kernel, stride, "a", channels=channels, clamp=(-128, 127))
    fold = ir.Fold(scores="s", per_channel=kernel != 3)
    more = {"fold": fold, "residual": "a", "saturate_before_add": True, "clamp": (0, 255)}
    gated = random_conv(rng, kernel, stride, "y", channels=channels, **more)
    return ir.Graph(
        name="gated",
        input="x",
        output="y",
        values={
            name: ir.Value(name=name, shape=size, signed=signed, scale=1.0)
            for name, (size, signed) in types.items()
        },
        nodes=(pool, gate, plain, gated),
        metadata={},
    )


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 4), (3, 4, 7)])
def test_gated_residual_conv(
    kernel: int, stride: int, shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    graph = gated_graph(rng, shape, kernel, stride)
    plain, gated = (node for node in graph.nodes if isinstance(node, ir.Conv))
    images = rng.integers(0, 256, (3, *shape))
    got = run_graph(graph, images)
    assert got["s"].max() <= 128
    for index in range(3):
        expected = naive(plain, images[index], got["s"][index], None)
        assert np.array_equal(got["a"][index], expected)
        expected = naive(gated, images[index], got["s"][index], got["a"][index])
        assert np.array_equal(got["y"][index], expected)


@pytest.mark.parametrize(("groups", "inputs"), [(2, 3), (4, 2), (4, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_groups(groups: int, inputs: int, stride: int, rng: np.random.Generator) -> None:
    more = {"channels": inputs, "clamp": (-128, 127), "groups": groups}
    node = random_conv(rng, 3, stride, "y", **more)
    assert node.depthwise == (inputs == 1)
    shapes = {"x": (groups * inputs, 5, 4), "y": (4, -(-5 // stride), 4 // stride)}
    values = {
        name: ir.Value(name=name, shape=shape, signed=name == "y", scale=1.0)
        for name, shape in shapes.items()
    }
    graph = ir.Graph(name="g", input="x", output="y", values=values, nodes=(node,), metadata={})
    images = rng.integers(0, 256, (2, *shapes["x"]))
    got = run_graph(graph, images)["y"]
    expected = [naive(node, image, np.zeros(0), None) for image in images]
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 2, 3, 3), dtype=np.int8), "shape"),
        (np.zeros((2, 3, 3), dtype=np.int8), "shape"),
        (np.zeros((1, 2, 3, 4)), "integers"),
        (np.full((1, 2, 3, 4), 256), "integers in 0..255"),
        (np.full((1, 2, 3, 4), -1), "integers in 0..255"),
    ],
)
def test_bad_images(images: Array, message: str) -> None:
    value = ir.Value(name="x", shape=(2, 3, 4), signed=False, scale=1.0)
    graph = ir.Graph(name="g", input="x", output="x", values={"x": value}, nodes=(), metadata={})
    with pytest.raises(ValueError, match=message):
        run_graph(graph, images)


def test_largest_accumulator_is_exact() -> None:
    """Sums beyond float32's integers: 64 channels of 7x7, all extreme, minus one."""
    weight = np.full((1, 64, 7, 7), 127, dtype=np.int8)
    weight[0, 0, 3, 3] = 126
    value = ir.Value(name="x", shape=(64, 7, 7), signed=False, scale=1.0)
    result = ir.Value(name="y", shape=(1, 7, 7), signed=False, scale=1.0)
    node = ir.Conv(
        name="c",
        input="x",
        output="y",
        weight=weight,
        bias=np.array([-(64 * 49 * 127 - 1) * 255 + 3], dtype=np.int32),
        requantize=ir.Requantize(
            multiplier=np.array([1 << 15], dtype=np.uint16), shift=np.array([15], dtype=np.uint8)
        ),
        stride=1,
        clamp=(0, 255),
    )
    graph = ir.Graph(
        name="g",
        input="x",
        output="y",
        values={"x": value, "y": result},
        nodes=(node,),
        metadata={},
    )
    got = run_graph(graph, np.full((1, 64, 7, 7), 255))["y"]
    assert got[0, 0, 3, 3] == 3
