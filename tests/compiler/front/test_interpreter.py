"""The vectorised interpreter against the definition, one element at a time."""

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
        for ic, kh, kw in np.ndindex(channels, kernel, kernel):
            r, c = row * step + kh - pad, column * step + kw - pad
            if 0 <= r < height and 0 <= c < width:
                acc += int(node.weight[oc, ic, kh, kw]) * int(x[ic, r, c])
        m, r = int(node.requantize.multiplier[oc]), int(node.requantize.shift[oc])
        if node.fold:
            m = (m * int(scores[oc if node.fold.per_channel else 0]) + 64) >> 7
        value = (acc * m + (1 << (r - 1))) >> r
        if node.saturate_before_add:
            value = min(max(value, -128), 127)
        value += int(residual[oc, row, column]) if residual is not None else 0
        y[oc, row, column] = min(max(value, node.clamp[0]), node.clamp[1])
    return y


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 4), (3, 4, 7)])
def test_gated_residual_conv(
    kernel: int, stride: int, shape: tuple[int, int, int], rng: np.random.Generator
) -> None:
    outputs, (channels, height, width) = 4, shape
    small = (outputs, -(-height // stride), -(-width // stride))
    values = {
        "x": ir.Value(name="x", shape=shape, signed=False, scale=1.0),
        "p": ir.Value(name="p", shape=(channels,), signed=False, scale=1.0),
        "s": ir.Value(name="s", shape=(outputs,), signed=False, scale=1 / 128),
        "a": ir.Value(name="a", shape=small, signed=True, scale=1.0),
        "y": ir.Value(name="y", shape=small, signed=False, scale=1.0),
    }

    def factors(n: int, shift: int) -> ir.Requantize:
        m = rng.integers(1 << 15, 1 << 16, n).astype(np.uint16)
        return ir.Requantize(multiplier=m, shift=np.full(n, shift, dtype=np.uint8))

    def conv(name: str, output: str, **more: object) -> ir.Conv:
        return ir.Conv(
            name=name,
            input="x",
            output=output,
            weight=rng.integers(-128, 128, (outputs, channels, kernel, kernel)).astype(np.int8),
            bias=rng.integers(-9000, 9000, outputs).astype(np.int32),
            requantize=factors(outputs, 24),
            stride=stride,
            **({"clamp": (-128, 127)} | more),  # type: ignore[arg-type]
        )

    gate = ir.Gate(
        name="g",
        input="p",
        output="s",
        weight=rng.integers(-128, 128, (outputs, channels)).astype(np.int8),
        bias=rng.integers(-9000, 9000, outputs).astype(np.int32),
        requantize=factors(outputs, 23),
    )
    fold = ir.Fold(scores="s", per_channel=bool(kernel != 3))
    plain = conv("plain", "a")
    gated = conv("gated", "y", clamp=(0, 255), fold=fold, residual="a", saturate_before_add=True)
    pool = ir.Pool(
        name="p", input="x", output="p", multiplier=65536 // (height * width) or 1, shift=16
    )
    graph = ir.Graph(
        name="g",
        input="x",
        output="y",
        values=values,
        nodes=(pool, gate, plain, gated),
        metadata={},
    )
    images = rng.integers(0, 256, (3, *shape))
    got = run_graph(graph, images)
    assert got["s"].max() <= 128
    for index in range(3):
        expected = naive(plain, images[index], got["s"][index], None)
        assert np.array_equal(got["a"][index], expected)
        expected = naive(gated, images[index], got["s"][index], got["a"][index])
        assert np.array_equal(got["y"][index], expected)


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
