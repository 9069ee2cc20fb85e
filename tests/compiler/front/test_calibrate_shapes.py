"""Shapes that exporters compute: folded and inferred in turn, until every one is known."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from penstock.compiler.calibration.run import quantize_float
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.onnx_file.load import load_model, to_net
from penstock.compiler.importer.pipeline import simplify
from tests.compiler.front.floats import Floats, check_float, save, some_images


def int64(net: Floats, *numbers: int) -> str:
    return net.const(list(numbers), np.int64)


@pytest.mark.parametrize("batch", [1, "N"])
def test_view_of_opset_13(batch: Any, tmp_path: Path) -> None:
    """x.view(x.size(0), -1): Shape, Gather, Unsqueeze, Concat, Reshape."""
    net = Floats(1, (batch, 4, 4, 4))
    x = net.node("GlobalAveragePool", net.relu(net.conv("image")))
    size = net.node("Gather", net.node("Shape", x), net.const(0, np.int64), axis=0)
    shape = net.node("Concat", net.node("Unsqueeze", size, int64(net, 0)), int64(net, -1), axis=0)
    model = net.model(net.gemm(net.node("Reshape", x, shape)), opset=13)
    check_float(model, tmp_path, some_images(2))


def chunk(net: Floats, x: str) -> list[str]:
    """x.chunk(2, 1) as torch's legacy exporter writes it: sizes are halved with a Div."""
    size = net.node("Gather", net.node("Shape", x), int64(net, 1), axis=0)
    half = net.node("Div", net.node("Add", size, int64(net, 1)), int64(net, 2))
    bounds = [net.node("Mul", half, int64(net, n)) for n in (0, 1, 2)]
    return [
        net.node("Slice", x, *pair, int64(net, 1), name=f"slice{n}")
        for n, pair in enumerate(itertools.pairwise(bounds))
    ]


def test_chunk_of_a_vector(tmp_path: Path) -> None:
    """Each half of a dense layer's outputs is a gate; what is behind has known shapes too."""
    net = Floats(3)
    x = net.relu(net.conv("image"))
    for score in chunk(net, net.gemm(net.pooled(x), 8)):
        score = net.node("Clip", score, net.const(0.0), net.const(1.0))
        rank = net.node("Concat", net.node("Shape", score), int64(net, 1, 1), axis=0)
        x = net.relu(net.node("Mul", net.conv(x), net.node("Reshape", score, rank)))
    check_float(net.model(net.head(x)), tmp_path, some_images(4))


def test_chunk_of_a_map(tmp_path: Path) -> None:
    net = Floats(5)
    left, right = chunk(net, net.relu(net.conv("image")))
    x = net.node("Concat", left, net.conv(right, 2, 2), axis=1)
    check_float(net.model(net.head(x)), tmp_path, some_images(6))


@pytest.mark.parametrize("value", [None, 0.25])
@pytest.mark.parametrize("computed", [False, True])
def test_constant_of_shape(value: float | None, computed: bool, tmp_path: Path) -> None:
    """With and without its attribute, of a constant and of a computed shape, as a bias."""
    net = Floats(7)
    attrs = {}
    if value is not None:
        attrs["value"] = helper.make_tensor("v", TensorProto.FLOAT, [1], [value])
    shape = int64(net, 4)
    if computed:
        x = net.relu(net.conv("image"))
        shape = net.node("Slice", net.node("Shape", x), *(int64(net, n) for n in (1, 2)))
    bias = net.node("ConstantOfShape", shape, **attrs)
    x = net.node("Conv", "image", net.normal(4, 4, 3, 3), bias, pads=[1] * 4)
    check_float(net.model(net.head(net.relu(x))), tmp_path, some_images(8))


def test_constant_of_shape_without_an_input(tmp_path: Path) -> None:
    """Constant nodes in place of initialisers."""
    net = Floats(9)
    shape = net.node("Constant", value=helper.make_tensor("s", TensorProto.INT64, [1], [4]))
    bias = net.node("ConstantOfShape", shape)
    x = net.node("Conv", "image", net.normal(4, 4, 3, 3), bias, pads=[1] * 4)
    check_float(net.model(net.head(net.relu(x))), tmp_path, some_images(10))


def test_split_of_constants(tmp_path: Path) -> None:
    """One tensor holds the biases of two layers."""
    net = Floats(11)
    halves = [f"half{n}" for n in (0, 1)]
    both = [net.normal(8), int64(net, 4, 4)]
    net.nodes.append(helper.make_node("Split", both, halves, axis=0))
    x = "image"
    for bias in halves:
        x = net.relu(net.node("Conv", x, net.normal(4, 4, 3, 3), bias, pads=[1] * 4))
    check_float(net.model(net.head(x)), tmp_path, some_images(12))


def test_size_of_a_tensor(tmp_path: Path) -> None:
    net = Floats(13)
    x = net.node("GlobalAveragePool", net.relu(net.conv("image")))
    size = net.node("Unsqueeze", net.node("Size", x), int64(net, 0))
    shape = net.node("Concat", int64(net, 1), size, axis=0)
    check_float(net.model(net.gemm(net.node("Reshape", x, shape))), tmp_path, some_images(14))


def test_fifty_reshapes_each_of_the_shape_before(tmp_path: Path) -> None:
    """Each is known after the one before it is."""
    net = Floats(15)
    x = net.node("GlobalAveragePool", net.relu(net.conv("image")))
    for _ in range(50):
        size = net.node("ReduceProd", net.node("Shape", x), keepdims=1)
        half = net.node("Div", net.node("Mul", size, int64(net, 3)), int64(net, 3))
        x = net.node("Reshape", x, net.node("Concat", int64(net, 1), half, axis=0))
    path = save(net.model(net.gemm(x)), tmp_path)
    names = [node.op for node in simplify(to_net(load_model(path))).nodes]
    assert names == ["Conv", "Relu", "GlobalAveragePool", *["Reshape"] * 50, "Gemm"]


def test_a_shape_that_depends_on_the_image(tmp_path: Path) -> None:
    """That, and nothing else, is dynamic: the message names what it depends on."""
    net = Floats(17)
    pooled = net.pooled("image")
    first = net.node("Gather", pooled, net.const(0, np.int64), axis=1)
    end = net.node(
        "Cast", net.node("Add", first, net.const([5.0])), to=TensorProto.INT64, out="end"
    )
    scores = net.node("Slice", net.gemm(pooled, 8), int64(net, 0), end, int64(net, 1), name="slice")
    x = net.node("Mul", net.conv("image"), scores)
    with pytest.raises(
        CompileError,
        match=r"node 'slice' \(Slice\): its output has a dynamic shape: it depends on 'end', "
        "which is computed from the image",
    ):
        quantize_float(save(net.model(x), tmp_path), some_images(18))


def test_an_operator_without_inference(tmp_path: Path) -> None:
    """An unknown operator is what is wrong, not the shape behind it."""
    net = Floats(19)
    x = net.node("Swirl", net.conv("image"), domain="own", name="swirl")
    with pytest.raises(CompileError, match=r"node 'swirl' \(own.Swirl\): .*not supported"):
        quantize_float(save(net.model(net.head(net.relu(x))), tmp_path), some_images(20))
