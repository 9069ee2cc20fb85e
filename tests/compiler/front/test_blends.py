"""Skipped blocks as their authors write them: m * y + (1 - m) * x and its kin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.compiler.onnx_session import open_session
from tests.compiler.front.floats import Floats, check_float, save, some_images

IMAGES = some_images(0)
Blend = Callable[[Floats, str, str, str], str]


def opposite(net: Floats, mask: str) -> str:
    return net.node("Sub", net.const(1.0), mask)


def weighed(net: Floats, mask: str, y: str, x: str) -> str:
    """SkipNet, BlockDrop."""
    kept = net.node("Mul", opposite(net, mask), x)
    return net.node("Add", net.node("Mul", mask, y), kept)


def expanded(net: Floats, mask: str, y: str, x: str) -> str:
    """mask.expand_as(y) * y + (1 - mask).expand_as(x) * x."""
    sizes = net.const([1, 4, 4, 4], np.int64)
    kept = net.node("Mul", net.node("Expand", opposite(net, mask), sizes), x)
    return net.node("Add", net.node("Mul", net.node("Expand", mask, sizes), y), kept)


def expanded_first(net: Floats, mask: str, y: str, x: str) -> str:
    whole = net.node("Expand", mask, net.const([1, 4, 4, 4], np.int64))
    return weighed(net, whole, y, x)


def kept_first(net: Floats, mask: str, y: str, x: str) -> str:
    kept = net.node("Mul", x, opposite(net, mask))
    return net.node("Add", kept, net.node("Mul", y, mask))


def change(net: Floats, mask: str, y: str, x: str) -> str:
    return net.node("Add", x, net.node("Mul", mask, net.node("Sub", y, x)))


def where(net: Floats, mask: str, y: str, x: str) -> str:
    return net.node("Where", net.node("Cast", mask, to=TensorProto.BOOL), y, x)


def where_not(net: Floats, mask: str, y: str, x: str) -> str:
    shut = net.node("Equal", mask, net.const(0.0))
    return net.node("Where", shut, x, y)


def network(blend: Blend, relu: bool = True) -> Any:
    """A gated block: its gate is open for some of the images."""
    net = Floats(3)
    x = net.relu(net.conv("image"), name="stem")
    z = net.gemm(net.pooled(x), 1, bias=0.0, name="gate")
    mask = net.node("Cast", net.node("Greater", z, net.const(-0.02)), to=TensorProto.FLOAT)
    mask = net.node("Reshape", mask, net.const([1, 1, 1, 1], np.int64))
    y = net.node("Add", net.conv(x, name="branch"), x)
    y = blend(net, mask, net.relu(y) if relu else y, x)
    return net.model(net.head(net.relu(y)))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    "blend", [weighed, expanded, expanded_first, kept_first, change, where, where_not]
)
def test_the_branch_gets_the_score(tmp_path: Path, blend: Blend, relu: bool) -> None:
    graph = check_float(network(blend, relu), tmp_path, IMAGES)
    (gate,) = (node for node in graph.nodes if isinstance(node, ir.Gate))
    (branch,) = (n for n in graph.nodes if isinstance(n, ir.Conv) and n.fold is not None)
    assert gate.decides and branch.residual is not None
    assert len([n for n in graph.nodes if isinstance(n, ir.Conv)]) == 2


def test_a_masked_map(tmp_path: Path) -> None:
    """Where(m, y, 0) and Where(m, 0, y)."""
    for swapped in (False, True):
        net = Floats(5)
        x = net.relu(net.conv("image"))
        z = net.gemm(net.pooled(x), 4, bias=0.0)
        mask = net.node(
            "Greater", net.node("Reshape", z, net.const([1, 4, 1, 1], np.int64)), net.const(0.0)
        )
        operands = [net.relu(net.conv(x)), net.const(0.0)]
        y = net.node("Where", mask, *(operands[::-1] if swapped else operands))
        graph = check_float(net.model(net.head(net.conv(y))), tmp_path, IMAGES)
        (masked,) = (n for n in graph.nodes if isinstance(n, ir.Conv) and n.fold is not None)
        assert masked.fold.per_channel


def test_a_shortcut_written_twice(tmp_path: Path) -> None:
    """The block's own shortcut and the one that stands in for the block are one map."""
    net = Floats(7)
    x = net.relu(net.conv("image"))
    weight, bias = net.normal(4, 4, 1, 1), net.const(np.full(4, 0.2))
    inside, outside = (net.relu(net.node("Conv", x, weight, bias)) for _ in range(2))
    z = net.gemm(net.pooled(x), 1, bias=0.0)
    mask = net.node("Cast", net.node("Greater", z, net.const(0.0)), to=TensorProto.FLOAT)
    mask = net.node("Reshape", mask, net.const([1, 1, 1, 1], np.int64))
    y = weighed(net, mask, net.relu(net.node("Add", net.conv(x), inside)), outside)
    graph = check_float(net.model(net.head(y)), tmp_path, IMAGES)
    assert len([n for n in graph.nodes if isinstance(n, ir.Conv)]) == 3


def test_squeeze_keeps_an_open_batch(tmp_path: Path) -> None:
    """x.squeeze() of a gate's 1 x 1 map, exported with a batch of any size."""
    net = Floats(9, ("N", 4, 4, 4))
    x = net.relu(net.conv("image"))
    pooled = net.node("GlobalAveragePool", x)
    z = net.node("Conv", pooled, net.normal(2, 4, 1, 1), net.const([0.1, 0.0]), name="gate")
    z = net.node("Squeeze", z)  # (N, 2)
    p = net.node("Softmax", z, axis=1)
    p = net.node("Gather", p, net.const(1, np.int64), axis=1)
    hard = net.node("Cast", net.node("Greater", p, net.const(0.5)), to=TensorProto.FLOAT)
    mask = net.node("Add", net.node("Sub", hard, p), p)
    mask = net.node("Reshape", mask, net.const([-1, 1, 1, 1], np.int64))
    y = weighed(net, mask, net.relu(net.node("Add", net.conv(x), x)), x)
    model = net.model(net.head(y))
    graph = import_float(save(model, tmp_path), IMAGES)
    (gate,) = (node for node in graph.nodes if isinstance(node, ir.Gate))
    assert gate.binary and gate.weight.shape == (1, 4)
    source, result = graph.values[graph.input], graph.values[graph.output]
    got = run_graph(graph, quantize(IMAGES, source.scale, source.signed))[graph.output]
    expected = open_session(model).run(None, {"image": IMAGES})[0]  # one image alone fails there
    assert np.abs(got * result.scale - expected).max() <= 0.08 * np.abs(expected).max()
