"""Axes, from the front and from the back, on networks whose channels, rows and columns are as many:
a wrong axis has the right size there."""

from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.numerics import SCORE_SCALE

Y, P = 0.04, 0.02
ORDER = [3, 0, 2, 1]


@pytest.fixture
def cube(new_net: Any) -> Any:
    """A network with an image of 4 channels of 4 x 4."""
    return new_net("N", 4, 4, 4)


def gathered(net: Any, x: str, axis: int) -> str:
    return str(
        net.node("Gather", x, net.const(ORDER, np.int64), axis=axis, name=f"g{len(net.nodes)}")
    )


@pytest.mark.parametrize("axis", [1, -3])
@pytest.mark.parametrize("groups", [1, 2])
def test_channels_of_a_map(cube: Any, check: Any, axis: int, groups: int) -> None:
    x = gathered(cube, cube.image(), axis)
    y = cube.node("Conv", x, cube.weight((4, 4 // groups, 1, 1)), group=groups)
    check(cube, cube.qdq(y, Y))


@pytest.mark.parametrize("axis", [0, 2, 3, -1, -2, -4])
def test_other_axes_of_a_map_are_refused(cube: Any, load: Any, axis: int) -> None:
    y = cube.node("Conv", gathered(cube, cube.image(), axis), cube.weight((4, 4, 1, 1)))
    with pytest.raises(Exception, match=r"node 'g\d+' \(Gather\): gathers"):
        load(cube, cube.qdq(y, Y))


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("reader", "axis"), [("Conv", 1), ("Conv", -3), ("Gemm", -1)])
def test_elements_of_a_pooled_vector(
    cube: Any, check: Any, reader: str, axis: int, twice: bool
) -> None:
    """The order of a vector is the order of its reader's weights, whichever that is."""
    x = cube.qdq(cube.node("GlobalAveragePool", cube.image()), P)
    x = x if reader == "Conv" else cube.node("Flatten", x)
    x = gathered(cube, x, axis)
    x = gathered(cube, x, axis) if twice else x
    weight = cube.weight((3, 4, 1, 1) if reader == "Conv" else (3, 4))
    attrs = {} if reader == "Conv" else {"transB": 1}
    graph = check(cube, cube.qdq(cube.node(reader, x, weight, **attrs), 0.01))
    assert isinstance(graph.nodes[-1], ir.Dense)


def test_an_order_is_flattened_with_its_vector(cube: Any, check: Any) -> None:
    x = gathered(cube, cube.qdq(cube.node("GlobalAveragePool", cube.image()), P), 1)
    y = cube.node("MatMul", cube.node("Flatten", x), cube.weight((4, 3), axis=1))
    check(cube, cube.qdq(y, 0.01))


@pytest.mark.parametrize("reader", ["MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Concat"])
def test_who_reads_maps_as_they_lie_reads_an_order_too(
    cube: Any, check: Any, load: Any, reader: str
) -> None:
    """The channels are moved; the image is never a part of a Concat."""
    x = gathered(cube, cube.image(), 1)
    if reader in ("Add", "Concat"):
        other = cube.qdq(cube.conv(cube.image(), 4), 0.05)
        attrs = {"axis": 1} if reader == "Concat" else {}
        y = cube.node(reader, other, x, name="r", **attrs)
    else:
        attrs = {} if reader == "GlobalAveragePool" else {"kernel_shape": [2, 2]}
        y = cube.node(reader, x, name="r", **attrs)
    if reader == "Concat":
        with pytest.raises(Exception, match=r"node 'r' .*is the network's input"):
            load(cube, cube.qdq(y, 0.05))
        return
    y = cube.qdq(y, 0.031 if "Average" in reader else 0.05)  # no ties
    if reader == "GlobalAveragePool":
        y = cube.qdq(cube.node("Conv", y, cube.weight((2, 4, 1, 1))), 0.01)
    check(cube, y)


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [3, -2]])
def test_mean_over_height_and_width(cube: Any, check: Any, axes: list[int]) -> None:
    y = cube.node("ReduceMean", cube.image(), cube.const(axes, np.int64), keepdims=0)
    y = cube.node("Gemm", cube.qdq(y, P), cube.weight((3, 4)), transB=1)
    check(cube, cube.qdq(y, 0.01))


@pytest.mark.parametrize("axes", [[1, 2], [-1, -3], [3], [-1], [1, 2, 3], [2, 3, 0]])
def test_mean_over_other_axes_is_refused(cube: Any, load: Any, axes: list[int]) -> None:
    y = cube.node("ReduceMean", cube.image(), cube.const(axes, np.int64), name="mean")
    with pytest.raises(Exception, match=r"node 'mean' \(ReduceMean\): averages over other axes"):
        load(cube, cube.qdq(y, P))


@pytest.mark.parametrize("axis", [1, -3])
def test_concat_of_channels(cube: Any, check: Any, axis: int) -> None:
    x = cube.image()
    parts = [cube.qdq(cube.conv(x, 4), Y) for _ in range(2)]
    joined = cube.node("Concat", *parts, axis=axis)
    cube.channels[joined] = 8
    check(cube, cube.qdq(cube.conv(joined, 4), Y))


@pytest.mark.parametrize("axis", [0, 2, -1, -2])
def test_concat_of_other_axes_is_refused(cube: Any, load: Any, axis: int) -> None:
    x = cube.image()
    parts = [cube.qdq(cube.conv(x, 4), Y) for _ in range(2)]
    joined = cube.node("Concat", *parts, axis=axis, name="cat")
    with pytest.raises(Exception, match=r"node 'cat' \(Concat\): joins axis"):
        load(cube, cube.qdq(joined, Y))


@pytest.mark.parametrize("axis", [0, -4, 1, -3])
def test_weight_scales_along_an_axis_from_the_back(
    cube: Any, load: Any, check: Any, axis: int
) -> None:
    weight = cube.dequantize(
        cube.const(cube.rng.integers(-127, 128, (4, 4, 1, 1)), np.int8),
        cube.rng.uniform(0.5, 1.5, 4) / 300,
        axis=axis,
    )
    y = cube.qdq(cube.node("Conv", cube.image(), weight, name="c"), Y)
    if axis in (0, -4):
        check(cube, y)
        return
    with pytest.raises(Exception, match=r"node 'c' \(Conv\): its weight scales are not per output"):
        load(cube, y)


@pytest.mark.parametrize("form", ["split", "gather", "slice", "backwards"])
def test_rows_of_a_gate_from_the_back(cube: Any, check: Any, form: str) -> None:
    """A policy's outputs along axis -1; Slice with a negative step takes them in reverse."""
    x = cube.image()
    z = cube.gemm(cube.pool(x), 4, "policy")
    z = cube.clip(z)
    if form == "split":
        z = cube.node("Gather", z, cube.const([2, 3, 0, 1], np.int64), axis=-1)
    elif form == "gather":
        z = cube.node("Gather", z, cube.const([-1, -4, 1, 2], np.int64), axis=-1)
    elif form == "slice":
        z = cube.node("Slice", z, *(cube.const([i], np.int64) for i in (-9, 9, -1)))
    else:
        ends = (-1, np.iinfo(np.int64).min, -1, -1)
        z = cube.node("Slice", z, *(cube.const([i], np.int64) for i in ends))
    z = cube.qdq(z, SCORE_SCALE, signed=False)
    score = cube.node("Reshape", z, cube.const([-1, 4, 1, 1], np.int64))
    y = cube.node("Mul", cube.conv(x, 4, 1), score)
    check(cube, cube.qdq(y, Y), count=40)
