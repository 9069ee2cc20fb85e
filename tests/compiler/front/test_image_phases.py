"""First convolutions with strides and kernels that the core has not: the image in phases."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.program.core.config import CONFIGS
from tests.compiler.front.floats import Floats
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import compiled_float, images_of, same

#: (image, kernel, attributes, kernel of the core)
CASES: list[tuple[tuple[int, int], tuple[int, int], dict[str, Any], int]] = [
    ((49, 10), (10, 4), {"strides": [2, 2], "pads": [4, 1, 5, 1]}, 5),  # keywords' first layer
    ((16, 12), (4, 4), {"strides": [4, 4]}, 1),  # patches
    ((12, 15), (3, 5), {"strides": [3, 3], "pads": [0, 1, 0, 1]}, 3),
    ((17, 9), (4, 3), {"strides": [4, 3], "pads": [0, 0, 1, 0]}, 1),
    ((16, 16), (11, 11), {"strides": [4, 4], "pads": [4, 4, 4, 4]}, 3),
    ((16, 16), (7, 7), {"strides": [4, 4], "pads": [3, 3, 2, 2]}, 3),
    ((22, 15), (11, 11), {"strides": [4, 4], "pads": [2, 2, 2, 2]}, 5),  # the last reaches further
    ((12, 12), (2, 2), {"strides": [3, 3]}, 1),  # of a third of the image
    ((13, 13), (2, 2), {"strides": [3, 3]}, 1),  # whose last row nothing reads
    ((12, 13), (8, 9), {"strides": [2, 1], "pads": [3, 4, 3, 4]}, 3),  # of copies
]


@pytest.mark.parametrize(("shape", "kernel", "attrs", "core"), CASES)
def test_float(shape: Any, kernel: Any, attrs: Any, core: int, tmp_path: Path) -> None:
    net = Floats(31, ("N", 2, *shape))
    y = net.node("Conv", "image", net.normal(4, 2, *kernel), net.normal(4), **attrs)
    model, images = net.model(net.gemm(net.pooled(net.relu(y)))), images_of((2, *shape))
    network = compiled_float(model, tmp_path, images)
    first = next(node for node in network.integer_graph().nodes if isinstance(node, ir.Conv))
    assert first.stride == 1 and first.weight.shape[2:] == (core, core)
    assert network.input_shape == (2, *shape)
    same(network, images)


@pytest.mark.parametrize(("shape", "kernel", "attrs", "core"), CASES[:9])
@pytest.mark.parametrize("codes", [False, True])
def test_quantised(
    shape: Any, kernel: Any, attrs: Any, core: int, codes: bool, tmp_path: Path, rng: Any
) -> None:
    net = Qdq(rng, ("N", 2, *shape))
    image = net.dequantize("image", 0.05) if codes else net.image()
    y = net.node(
        "Conv", image, net.weight((4, 2, *kernel)), net.const(rng.normal(0, 0.3, 4)), **attrs
    )
    net.channels[y] = 4
    x = net.qdq(net.node("Relu", y), 0.04, signed=False)
    model = net.model(net.qdq(net.gemm(net.pool(x), 5), 0.02))
    images = images_of((2, *shape))
    if codes:
        model.graph.input[0].type.tensor_type.elem_type = 3
        images = rng.integers(-128, 128, images.shape, dtype=np.int8)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    same(compile_onnx(path, CONFIGS["tiny"]), images)


def test_what_the_core_has_stays(tmp_path: Path) -> None:
    net = Floats(32, ("N", 2, 8, 8))
    y = net.node("Conv", "image", net.normal(4, 2, 7, 7), pads=[3] * 4, strides=[2, 2])
    network = compiled_float(net.model(net.gemm(net.pooled(y))), tmp_path, images_of((2, 8, 8)))
    assert network.head is None
