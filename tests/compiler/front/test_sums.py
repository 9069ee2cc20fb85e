"""ONNX's Sum, which older exporters write at the end of a residual block."""

from pathlib import Path

import numpy as np
import pytest

from tests.compiler.front.floats import Floats
from tests.compiler.front.test_ends import compiled_float, images_of, same


@pytest.mark.parametrize("operands", [1, 2, 3, 4])
@pytest.mark.parametrize("shortcut", [False, True])
def test_a_sum_is_what_adds_are(operands: int, shortcut: bool, tmp_path: Path) -> None:
    """Of layers alone, or with a map that is stored; the Program is that of Adds, byte for byte."""
    programs = []
    for spelling in ("Sum", "Add"):
        net = Floats(44, ("N", 4, 8, 8))
        x = net.relu(net.conv("image"))
        parts = [net.conv(x) for _ in range(operands - shortcut)] + [x] * shortcut
        if spelling == "Sum":
            y = net.node("Sum", *parts)
        else:
            y, *others = parts
            for part in others:
                y = net.node("Add", y, part)
        model = net.model(net.gemm(net.pooled(net.relu(y))))
        images = images_of((4, 8, 8))
        network = compiled_float(model, tmp_path, images)
        same(network, images)
        programs.append(network.package)
    assert programs[0].descriptors == programs[1].descriptors
    assert programs[0].weights == programs[1].weights


def test_a_sum_in_a_gate_and_on_the_host(tmp_path: Path) -> None:
    """Of two dense layers, a score; of the image and a constant, and of the logits, the host's."""
    net = Floats(45, ("N", 4, 8, 8))
    x = net.relu(net.conv(net.node("Sum", "image", net.normal(1, 4, 1, 1))))
    a = net.pooled(x)
    z = net.node("Sum", net.gemm(a), net.const(np.full(4, 0.1)), net.const(0.2))
    score = net.node("Clip", z, net.const(0.0), net.const(1.0))
    score = net.node("Reshape", score, net.const([0, 4, 1, 1], np.int64))
    y = net.node("Mul", net.relu(net.conv(x)), score)
    logits = net.gemm(net.pooled(y))
    images = images_of((4, 8, 8))
    network = compiled_float(net.model(net.node("Sum", logits)), tmp_path, images)
    same(network, images)
    assert len(network.package.meta["gates"]) == 1
