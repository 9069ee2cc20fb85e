"""What the HLS core does not wait for, by its cycle model: answers, descriptors, first weights."""

import numpy as np
import pytest

from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import BEAT_BYTES, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.hls_timing import HlsTiming
from penstock.sim.csim.engine import CsimCore
from tests.compiler.back.graphs import lcnet, random_inputs, single_conv

TIMING = HlsTiming()
LATENCY = TIMING.memory + TIMING.adapter


def later_images(graph: Graph, images: int = 9) -> dict[str, np.ndarray]:
    """Counters of all images but the first, which waits for descriptors and gate weights."""
    package = compile_graph(graph, get_config("tiny"))
    inputs, _ = random_inputs(package, images, np.random.default_rng(images))
    records = CsimCore("tiny").run(package, inputs)
    words = np.ascontiguousarray(records[1:, :COUNTER_BYTES]).view("<u4")
    found = {name: words[:, i] for i, name in enumerate(COUNTER_NAMES)}
    found["beats"] = np.full(len(words), (inputs.shape[1] + records.shape[1]) // BEAT_BYTES)
    return found


def test_writes_do_not_wait_for_their_answers() -> None:
    """Of LOAD, STORE and record only the LOAD waits for memory; more writes than may be open."""
    found = later_images(single_conv(np.random.default_rng(1), (2, 6, 6), 4, 3, 1))
    assert (found["io"] - found["beats"] < 2 * LATENCY).all()
    assert (found["io"] > found["beats"] + LATENCY).all()


def test_first_weights_are_asked_for_beside_a_load() -> None:
    found = later_images(single_conv(np.random.default_rng(1), (1, 6, 6), 1, 3, 1))
    assert (found["weight_wait"] < LATENCY).all()


@pytest.mark.parametrize("keep", [-16.0, 0.0, 16.0])
def test_descriptors_are_ready_behind_those_left_out(keep: float) -> None:
    """Of all descriptors of an image no more than one is waited for, also behind skipped blocks."""
    found = later_images(lcnet(np.random.default_rng(5), (3, 12, 10), (12, 20, 36), keep=keep))
    ways = TIMING.dispatch * (found["executed"] + found["skipped"])
    assert (found["overhead"] <= ways + TIMING.descriptor).all()
