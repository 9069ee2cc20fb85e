"""Sums at three scales in one descriptor: which maps lie in turn, and the bytes."""

import numpy as np
import pytest

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph, plan_graph
from penstock.compiler.plan.pairs import is_pair, taps
from penstock.program.core.config import CONFIGS, HwConfig
from penstock.program.core.descriptor import Descriptor, Op
from penstock.sim import golden
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.compiler.back.stacked import stacked_package

TINY = CONFIGS["tiny"]


def sums(graph: Graph, config: HwConfig = TINY) -> list[Descriptor]:
    """The descriptors of sums whose maps lie in turn, after a comparison of every byte."""
    package = compile_graph(graph, config)
    inputs, images = random_inputs(package, 3, np.random.default_rng(1))
    expected = run_graph(graph, images)[graph.output].reshape(3, -1).view(np.uint8)
    got = golden.run(package, inputs)
    offset = package.meta["output"]["offset"]
    np.testing.assert_array_equal(got[:, offset : offset + expected.shape[1]], expected)
    return [
        d for d in decode(package) if d.op == Op.CONV and 0 < 2 * d.phase_stride == d.src_stride
    ]


def builder(channels: int = 5, size: tuple[int, int] = (6, 7)) -> tuple[GraphBuilder, str]:
    b = GraphBuilder(rng=np.random.default_rng(7))
    return b, b.value("image", (channels, *size), True)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (6, 7), (4, 4), (9, 16)])
def test_one_descriptor(size: tuple[int, int]) -> None:
    b, x = builder(4, size)
    left, right = b.conv(x, 9), b.conv(x, 9, 1)
    y = b.conv(b.pair(left, right, signed=True), 3)
    (d,) = sums(b.graph("image", y))
    assert (d.cin, d.cout, d.height, d.width) == (9, 9, 2 * size[0], 2 * size[1])
    assert d.phase_stride >= size[0] * size[1]


def test_a_chain_of_blocks() -> None:
    """Each sum is an operand of the next, read by convolutions of both strides and averaged."""
    b, x = builder()
    x = b.conv(x, 5)
    for _ in range(3):
        x = b.pair(b.conv(b.conv(x, 8), 5), x, signed=False)
    x = b.pair(b.conv(b.conv(x, 8, stride=2), 6), b.conv(x, 6, 1, stride=2), signed=False)
    assert len(sums(b.graph("image", b.dense(b.pool(x), 4)))) == 4


def test_a_sum_in_place_before_it() -> None:
    b, x = builder()
    x = b.conv(x, 5)
    y = b.conv(b.conv(x, 5), 5, residual=x)
    assert len(sums(b.graph("image", b.conv(b.pair(b.conv(y, 5), y, signed=True), 2)))) == 1


@pytest.mark.parametrize("what", ["output", "flattened", "image", "itself"])
def test_maps_that_are_read_as_one_run_of_bytes(what: str) -> None:
    """The maps lie as ever, or a copy lies in turn."""
    b, x = builder(5)
    left = b.conv(x, 5, signed=True)
    right = {"image": x, "itself": left}.get(what) or b.conv(x, 5, signed=True)
    y = b.pair(left, right, signed=True)
    output = b.conv(y, 3)
    if what == "output":
        output = b.conv(y, 5, residual=right, signed=True)
    elif what == "flattened":
        output = b.conv(right, 5, 1, pixels=1)
    found = sums(b.graph("image", output))
    assert len(found) <= 1


def test_without_room_they_lie_as_ever() -> None:
    """A memory that holds the maps one by one, but not two of them all the time."""
    found = []
    for channels in range(2, 24, 2):
        b, x = builder(2, (16, 16))
        x = b.conv(x, channels)
        inner = b.conv(b.conv(b.conv(x, 24, 1), 24, 1), channels, 1)
        y = b.pair(inner, x, signed=False)
        try:
            found.append(len(sums(b.graph("image", b.dense(b.pool(y), 3)))))
        except CompileError:
            break
    assert set(found) == {0, 1} and found == sorted(found, reverse=True)


def test_the_taps() -> None:
    b, x = builder()
    b.pair(b.conv(x, 5), b.conv(x, 5), signed=True)
    conv = b.nodes[-1]
    assert is_pair(conv)
    assert (taps(conv)[:, 0, 1, 1:] == conv.weight[:, :, 0, 0]).all()
    assert np.count_nonzero(taps(conv)) == np.count_nonzero(conv.weight)


def test_several_images_have_no_maps_in_turn() -> None:
    b, x = builder(8, (2, 2))
    y = b.pair(b.conv(b.conv(x, 32), 32), b.conv(x, 32), signed=True)
    graph = b.graph("image", b.dense(b.pool(y), 3))
    assert any(buffer.paired for buffer in plan_graph(graph, TINY).buffers.values())
    package = stacked_package(graph, TINY, 2, rng=np.random.default_rng(0))
    assert not any(d.src_stride == 2 * d.phase_stride > 0 for d in decode(package))
