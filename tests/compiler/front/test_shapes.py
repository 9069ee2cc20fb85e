"""What lowering makes of a tensor has the shape that ONNX infers, weights their map's channels."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler.errors import CompileError

Y, P = 0.04, 0.02


@pytest.fixture
def cube(new_net: Any) -> Any:
    """A network with an image of 4 channels of 4 x 4."""
    return new_net("N", 4, 4, 4)


def pooled(net: Any, **attrs: Any) -> str:
    return str(net.qdq(net.node("GlobalAveragePool", net.image()), P))


def refused(load: Any, net: Any, output: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        load(net, output)


@pytest.mark.parametrize("shape", [[-1, 1], [1, -1, 1], [1, 4, 1], [1, 4, 1, 1]])
def test_a_vector_along_another_axis_is_no_row(cube: Any, load: Any, shape: list[int]) -> None:
    """(4, 1) @ (1, 3) is an outer product, (1, 4, 1, 1) @ (1, 3) a product for each channel."""
    vector = cube.node("Reshape", pooled(cube), cube.const(shape, np.int64))
    y = cube.node("MatMul", vector, cube.weight((1, 3), axis=1), name="m")
    refused(load, cube, cube.qdq(y, Y), r"node 'm' \(MatMul\): its input has shape .*last axis")


@pytest.mark.parametrize("shape", [[1, 4], [1, 1, 4], [1, 1, 1, 4]])
def test_a_vector_along_the_last_axis(cube: Any, check: Any, shape: list[int]) -> None:
    vector = cube.node("Reshape", pooled(cube), cube.const(shape, np.int64))
    check(cube, cube.qdq(cube.node("MatMul", vector, cube.weight((4, 3), axis=1)), 0.01))


@pytest.mark.parametrize("shape", [[1, 1, 4, 1], [1, 1, 1, 4]])
def test_a_convolution_of_a_vector_that_is_a_map(cube: Any, load: Any, shape: list[int]) -> None:
    vector = cube.node("Reshape", pooled(cube), cube.const(shape, np.int64))
    y = cube.node("Conv", vector, cube.weight((2, 1, 1, 1)), name="c")
    refused(load, cube, cube.qdq(y, Y), r"node 'c' \(Conv\): its input has shape .*along axis 1")


@pytest.mark.parametrize(
    "attrs",
    [{"pads": [1] * 4}, {"pads": [0, 1, 0, 1]}, {"pads": [1, 1, 0, 0], "strides": [2, 2]}],
)
def test_attributes_of_a_convolution_of_a_vector(cube: Any, load: Any, attrs: Any) -> None:
    y = cube.node("Conv", pooled(cube), cube.weight((2, 4, 1, 1)), name="c", **attrs)
    refused(load, cube, cube.qdq(y, Y), r"node 'c' \(Conv\): has pads")


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("per_channel", [False, True])
def test_leading_dimensions_of_a_matrix(
    cube: Any, check: Any, extra: int, per_channel: bool
) -> None:
    """(1, 4, 3) is the matrix (4, 3)."""
    shape = (1,) * extra + (4, 3)
    scale = cube.rng.uniform(0.5, 1.5, 3) / 300 if per_channel else np.float32(0.003)
    integers = cube.const(cube.rng.integers(-127, 128, shape), np.int8)
    weight = cube.dequantize(integers, scale, axis=extra + 1)
    y = cube.node("MatMul", cube.node("Flatten", pooled(cube)), weight)
    check(cube, cube.qdq(y, 0.01))


def test_several_matrices_are_refused(cube: Any, load: Any) -> None:
    weight = cube.dequantize(cube.const(np.ones((2, 4, 3)), np.int8), 0.003)
    y = cube.node("MatMul", cube.node("Flatten", pooled(cube)), weight, name="m")
    refused(load, cube, cube.qdq(y, Y), r"node 'm' \(MatMul\): its weight has shape \(2, 4, 3\)")


@pytest.mark.parametrize(
    "attrs",
    [
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"pads": [1, 1, 2, 2], "strides": [2, 2]},
        {"pads": [3, 3, 3, 3]},
        {"pads": [2, 2, 2, 2], "strides": [4, 4]},
    ],
)
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_an_average_whose_kernel_is_the_map(
    cube: Any, load: Any, check: Any, attrs: Any, count_include_pad: int
) -> None:
    """With padding it makes a map, not the global average."""
    attrs = {"kernel_shape": [4, 4], "count_include_pad": count_include_pad, "name": "a"} | attrs
    y = cube.qdq(cube.node("AveragePool", cube.image(), **attrs), 0.031)  # no ties
    y = cube.node("Conv", y, cube.weight((2, 4, 1, 1)))
    if count_include_pad:
        check(cube, cube.qdq(y, Y))
    else:
        refused(load, cube, cube.qdq(y, Y), r"node 'a' \(AveragePool\): averages over fewer pix")


@pytest.mark.parametrize(
    "attrs", [{}, {"auto_pad": "VALID"}, {"strides": [3, 3]}, {"ceil_mode": 1}, {"pads": [0] * 4},
              {"auto_pad": "SAME_UPPER", "strides": [4, 4]}]
)  # fmt: skip
def test_the_global_average_by_its_kernel(cube: Any, check: Any, attrs: Any) -> None:
    y = cube.qdq(cube.node("AveragePool", cube.image(), kernel_shape=[4, 4], **attrs), P)
    y = cube.node("Conv", y, cube.weight((2, 4, 1, 1)))
    check(cube, cube.qdq(y, 0.01))


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("scale", [0.05, 0.03])
def test_a_window_of_one_pixel(cube: Any, check: Any, kind: str, stride: int, scale: float) -> None:
    """The core has no average of one pixel: it is a convolution of every channel by itself."""
    if kind == "MaxPool" and scale != 0.05:
        pytest.skip("a maximum keeps its scale")
    y = cube.node(kind, cube.image(), kernel_shape=[1, 1], strides=[stride] * 2)
    cube.channels[y] = 4
    check(cube, cube.qdq(cube.conv(cube.qdq(y, scale), 2), Y))


def test_a_window_larger_than_its_map_is_refused(cube: Any, load: Any) -> None:
    """ONNX's shape inference ends the process at a Slice behind it."""
    y = cube.node("MaxPool", cube.image(), kernel_shape=[6, 6], name="pool")
    starts, ends, axes = (cube.const([i], np.int64) for i in (0, 2, 2))
    y = cube.node("Slice", y, starts, ends, axes)
    model = cube.untyped(y)
    with pytest.raises(
        CompileError, match=r"node 'pool' \(MaxPool\): makes '.*' of size 1 x 4 x -1"
    ):
        load(model)


def test_a_second_output_is_refused(cube: Any, load: Any) -> None:
    """The indices of a MaxPool."""
    y = cube.node("MaxPool", cube.image(), kernel_shape=[2, 2], name="pool")
    cube.nodes[-1].output.append("where")
    z = cube.node("Cast", "where", to=1)
    refused(
        load, cube, cube.node("Add", y, z), r"node 'pool' \(MaxPool\): its output 'where' is re"
    )
