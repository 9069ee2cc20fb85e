"""Masks of a pre-activation network, cleared maps and shuffled groups: golden == csim == rtl."""

import numpy as np
import pytest

from penstock.compiler.estimate.cost import compare
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from penstock.sim.csim.build import build_csim
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.compiler.back.test_preactivation import preactivation

CONFIG = "tiny"
IMAGES = 5


def shuffled() -> Graph:
    """Four groups of three channels that lie four apart, then the same with stride 2."""
    build = GraphBuilder(rng=np.random.default_rng(3))
    x = build.conv(build.value("x", (3, 9, 8), False), 12, 3)
    order = tuple(np.arange(12).reshape(3, 4).T.reshape(-1).tolist())
    x = build.conv(x, 12, 3, groups=4, order=order)
    x = build.conv(x, 12, 3, 2, groups=4, order=order)
    return build.graph("x", build.dense(build.pool(x), 4))


GRAPHS = {
    "cleared": preactivation,
    "cleared, with sums": lambda: preactivation(pooled=True),
    "zeros stay zeros": lambda: preactivation(zero=True),
    "shuffled groups": shuffled,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_engines_agree(name: str) -> None:
    config = get_config(CONFIG)
    package = compile_graph(GRAPHS[name](), config)
    inputs, _ = random_inputs(package, IMAGES, np.random.default_rng(1))
    expected = golden.run(package, inputs)[:, COUNTER_BYTES:]
    build_csim(config)
    records = RtlCore(config).run(package, inputs)
    np.testing.assert_array_equal(records[:, COUNTER_BYTES:], expected)
    np.testing.assert_array_equal(
        CsimCore(config).run(package, inputs)[:, COUNTER_BYTES:], expected
    )
    assert np.abs(compare(package, records)[1:] - 1).max() <= 0.02
