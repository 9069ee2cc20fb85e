"""Global maxima, and averages as the network's output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler.errors import CompileError
from tests.compiler.front.floats import Floats
from tests.compiler.front.test_ends import compiled_float, images_of, same


@pytest.mark.parametrize("side", [1, 2, 3, 7, 8, 12])
@pytest.mark.parametrize("reduce", [False, True])
def test_global_maximum(side: int, reduce: bool, tmp_path: Path) -> None:
    net = Floats(41, ("N", 4, side, side))
    x = net.relu(net.conv("image"))
    if reduce:
        x = net.node("ReduceMax", x, net.const([2, -1], np.int64))
    else:
        x = net.node("GlobalMaxPool", x)
    images = images_of((4, side, side))
    network = compiled_float(net.model(net.gemm(net.node("Flatten", x))), tmp_path, images)
    assert network.tails == ()
    same(network, images)


@pytest.mark.parametrize("shape", [(9, 9), (6, 4)])
def test_other_global_maxima_are_refused(shape: Any, tmp_path: Path) -> None:
    net = Floats(42, ("N", 4, *shape))
    x = net.node("GlobalMaxPool", net.relu(net.conv("image")))
    with pytest.raises(CompileError, match="GlobalMaxPool"):
        compiled_float(
            net.model(net.gemm(net.node("Flatten", x))), tmp_path, images_of((4, *shape))
        )


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_average_as_output(tail: bool, gated: bool, tmp_path: Path) -> None:
    """SqueezeNet ends so; what else reads the average still does."""
    net = Floats(43, ("N", 4, 5, 5))
    x = net.relu(net.conv("image"))
    y = net.conv(x)
    if gated:
        score = net.node("Clip", net.gemm(net.pooled(x)), net.const(0.0), net.const(1.0))
        y = net.node("Mul", y, net.node("Unsqueeze", score, net.const([2, 3], np.int64)))
    y = net.node("GlobalAveragePool", net.relu(y))
    y = net.node("Softmax", net.node("Flatten", y)) if tail else net.node("Flatten", y)
    images = images_of((4, 5, 5))
    same(compiled_float(net.model(y), tmp_path, images), images)
