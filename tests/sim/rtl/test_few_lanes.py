"""Cores with fewer lanes than rows: the slices of a tile are counted in as many bits as they need.

The product of a tile's blocks and the array's rows once had the bits of a number of pixels, which
hold it only where lanes are no fewer than rows: of the last tile some slices were never written.
"""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import HwConfig, get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.back.graphs import GraphBuilder, random_inputs

NARROW = dataclasses.replace(get_config("tiny"), name="narrow", p_oc=16, p_px=2, min_rows=2)


@pytest.mark.parametrize(
    "config",
    [
        NARROW,
        pytest.param(
            dataclasses.replace(NARROW, name="packed", macs_per_dsp=2), marks=pytest.mark.long
        ),
        pytest.param(dataclasses.replace(NARROW, name="four", p_px=4), marks=pytest.mark.long),
    ],
    ids=lambda config: config.name,
)
def test_every_slice_is_written(config: HwConfig) -> None:
    """One channel of 8 x 8 pixels: the smallest map that lost some; then one of every shape."""
    core = RtlCore(config)
    for inputs, outputs, kernel in ((1, 1, 1), (4, 13, 1), (3, 37, 3)):
        graph = GraphBuilder(rng=np.random.default_rng(inputs))
        x = graph.value("x", (inputs, 8, 8), signed=False)
        package = compile_graph(graph.graph(x, graph.conv(x, outputs, kernel)), config)
        images = random_inputs(package, 2, np.random.default_rng(7))[0]
        expected, got = golden.run(package, images, config), core.run(package, images)
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
    core.close()
