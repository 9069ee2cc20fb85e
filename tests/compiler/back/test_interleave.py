"""Larger maps in the back end: golden == graph, many channels, several images, sums, residuals."""

import numpy as np
import pytest

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.sim import golden
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.compiler.back.test_bit_exact import assert_exact

TINY = get_config("tiny")
#: (channels of the result, channel, phase) of a map of 12 channels.
FORMS = {"nearest": (12, 1, 0), "DCR": (3, 1, 3), "CRD": (3, 4, 1)}


def many_channels() -> Graph:
    """Of 140 channels, which no one descriptor has."""
    build = GraphBuilder(rng=np.random.default_rng(1))
    x = build.value("x", (3, 2, 3), False)
    both = build.concat(build.conv(x, 70, 1), build.conv(x, 70, 3))
    return build.graph("x", build.interleave(both, (4, 6), 140, 1, 0))


def test_more_channels_than_a_descriptor_has() -> None:
    graph = many_channels()
    assert_exact(graph, "tiny")
    copies = [d.cout for d in decode(compile_graph(graph, TINY)) if d.interleaves]
    assert copies == [TINY.max_channels, 140 - TINY.max_channels]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(10, 14), (9, 14), (10, 13), (9, 13)])
@pytest.mark.parametrize("config", ["tiny", "z7020"])
def test_forms(form: str, sides: tuple[int, int], config: str) -> None:
    """Read by a stride of 2, added to, averaged and joined."""
    build = GraphBuilder(rng=np.random.default_rng(2))
    x = build.conv(build.value("x", (3, 5, 7), True), 12)
    channels, *places = FORMS[form]
    y = build.interleave(x, sides, channels, *places)
    z = build.conv(y, channels, 3, residual=y)
    z = build.concat(z, build.conv(y, 4, 1))
    z = build.conv(z, 7, 3, 2)
    assert_exact(build.graph("x", build.dense(build.pool(z), 4)), config)


def test_several_images() -> None:
    build = GraphBuilder(rng=np.random.default_rng(3))
    x = build.conv(build.conv(build.value("x", (3, 4, 4), False), 16), 16)
    x = build.conv(build.interleave(x, (8, 8), 4, 4, 1), 16)
    graph = build.graph("x", build.conv(build.conv(x, 16, 3, 2), 8))
    try:
        package = compile_graph(graph, TINY, images=2)
    except CompileError as error:
        pytest.skip(str(error))
    single = compile_graph(graph, TINY)
    inputs, _ = random_inputs(package, 2, np.random.default_rng(4))
    size, output = single.meta["input"]["bytes"], single.meta["output"]
    count = int(np.prod(output["shape"]))
    alone = golden.run(single, inputs.reshape(4, size))[:, output["offset"] :][:, :count]
    at = package.meta["output"]["offset"]
    stride = -(-count // 8) * 8
    both = golden.run(package, inputs)[:, at:].reshape(2, -1)
    found = [both[run, k * stride : k * stride + count] for run in range(2) for k in range(2)]
    np.testing.assert_array_equal(np.array(found), alone)


def test_too_large_a_map_is_refused() -> None:
    build = GraphBuilder(rng=np.random.default_rng(5))
    x = build.conv(build.value("x", (1, 1, 600), False), 1, 1)
    graph = build.graph("x", build.interleave(x, (2, 1200), 1, 1, 0))
    with pytest.raises(CompileError, match="makes a map of 2 x 1200, 'z7020' has at most 1023"):
        compile_graph(graph, get_config("z7020"))
