"""The cost model against golden's bytes and the core's own cycles; MAC counts by hand."""

import numpy as np
import pytest

from penstock.compiler.estimate.activity import Array
from penstock.compiler.estimate.cost import compare, predict
from penstock.compiler.estimate.macs import count_macs
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_NAMES
from penstock.program.network.exits import exits_taken
from penstock.program.network.package import Package
from penstock.sim.golden import run
from tests.compiler.back.graphs import (
    densenet,
    depthwise,
    grouped,
    imagenet_form,
    lcnet,
    mobilenet,
    multi_exit,
    random_inputs,
    single_conv,
    single_pool,
    staged,
)

RNG = np.random.default_rng
NETWORKS = {
    "digits": lambda: lcnet(RNG(1), (1, 8, 8), (16, 32, 64), keep=0.2),
    "odd": lambda: lcnet(RNG(2), (3, 24, 20), (12, 20, 36), keep=0.4),
    "deep": lambda: lcnet(RNG(3), (2, 12, 12), (8, 16), blocks=3, keep=0.3),
    "closed": lambda: lcnet(RNG(4), (3, 16, 16), (16, 16), keep=-16.0),
    "open": lambda: lcnet(RNG(5), (3, 16, 16), (16, 24), keep=16.0),
    "imagenet": lambda: imagenet_form(RNG(7), (3, 32, 32), (8, 12), (1, 2), keep=0.2),
    "maximum": lambda: single_pool(RNG(8), (5, 31, 33), 3, 2, 1),
    "average": lambda: single_pool(RNG(9), (6, 24, 18), 2, 2, average=True, signed=True),
    "depthwise": lambda: depthwise(RNG(10), (9, 24, 20), 3),
    "inverted": lambda: mobilenet(RNG(12), (3, 17, 16), keep=0.2),
    "groups": lambda: grouped(RNG(13), (24, 9, 8), 36, 6),
    "small groups": lambda: grouped(RNG(14), (32, 8, 8), 32, 16),
    "exits": lambda: multi_exit(RNG(10), (2, 16, 16), (12, 20, 28), (0.3, 0.3), keep=0.3),
    "stages": lambda: staged(RNG(15), (2, 12, 11), ((9, 7, 6), (16, 10, 12)), thresholds=(0.3, 2)),
    "dense block": lambda: densenet(RNG(16), (3, 12, 12), 12, 8, (3, 3)),
    "masked block": lambda: densenet(RNG(17), (3, 12, 12), 12, 8, (3, 3), keep=0.1),
    "convolution": lambda: single_conv(RNG(6), (9, 16, 16), 21),
}


def scores_of(package: Package, records: Array) -> dict[str, Array]:
    return {
        gate["name"]: records[:, gate["offset"] : gate["offset"] + gate["count"]]
        for gate in package.meta["gates"]
    }


def setup(name: str, config: str, schedule: str, images: int) -> tuple[Package, Array]:
    package = compile_graph(NETWORKS[name](), get_config(config), schedule)
    return package, random_inputs(package, images, RNG(0))[0]


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("name", ["digits", "deep", "closed", "open", "inverted", "exits"])
def test_bytes_are_those_golden_fetches(name: str, config: str, schedule: str) -> None:
    package, inputs = setup(name, config, schedule, 6)
    records = run(package, inputs)
    words = np.ascontiguousarray(records[:, :64]).view("<u4")
    exits = exits_taken(records, package.meta)
    prediction = predict(package, scores_of(package, records), exits=exits)
    counted = words[:, COUNTER_NAMES.index("weight_bytes")]
    assert (prediction.weight_bytes == counted).all()
    assert (prediction.descriptor_bytes.sum(axis=1) == counted).all()
    assert (prediction.descriptor_cycles.sum(axis=1) == prediction.cycles).all()


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_cycles_are_within_two_percent_of_the_core(name: str, config: str, schedule: str) -> None:
    engine = pytest.importorskip("penstock.sim.rtl.engine")
    package, inputs = setup(name, config, schedule, 4)
    records = engine.RtlCore(config).run(package, inputs)
    ratio = compare(package, records)
    assert np.abs(ratio - 1).max() <= 0.02, ratio


def test_closing_a_gate_never_costs_cycles() -> None:
    package, _ = setup("digits", "z7020", "sequential", 1)
    kept = np.arange(0, 129, 8)
    scores = {
        gate["name"]: np.where(np.arange(gate["count"]) < kept[:, None], 128, 0).astype(np.uint8)
        for gate in package.meta["gates"]
    }
    cycles = predict(package, scores).cycles[1:]
    assert (np.diff(cycles) >= 0).all()


def macs_by_hand(graph: Graph, channels: int, block: bool, parallel: bool) -> int:
    """One block of width 6 on 3 x 8 x 8 images, 5 classes, `channels` survivors."""
    pixels = 64
    total = 9 * 3 * 6 * pixels + 6 * 5
    if parallel or block:
        total += 9 * 6 * (6 if parallel else channels) * pixels
    if block:
        total += 9 * channels * 6 * pixels
    return total


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("channels, block", [(6, True), (2, True), (0, True), (3, False)])
def test_macs(schedule: str, channels: int, block: bool) -> None:
    graph = lcnet(RNG(0), (3, 8, 8), (6,), classes=5)
    package = compile_graph(graph, get_config("z7020"), schedule)
    names = [gate["name"] for gate in package.meta["gates"]]
    scores = {
        names[0]: np.array([[128 if block else 0]], np.uint8),
        names[1]: np.array([[1] * channels + [0] * (6 - channels)], np.uint8),
    }
    count = count_macs(package, scores)
    assert count.dense == macs_by_hand(graph, 6, True, False)
    assert count.executed == macs_by_hand(graph, channels, block, schedule == "parallel")
    assert count.gates == 6 * 7
    assert count.dense_weights == 9 * (3 * 6 + 36 + 36)
    assert count.executed_per_image.tolist() == [count.executed]


def test_an_image_pays_for_what_it_reaches() -> None:
    """MACs, cycles and bytes fall with the exit; those of one exit are the same beside others."""
    graph = multi_exit(RNG(10), (2, 16, 16), (12, 20, 28), keep=16.0)
    package = compile_graph(graph, get_config("z7020"))
    gates = package.meta["gates"]
    scores = {gate["name"]: np.full((3, gate["count"]), 128, np.uint8) for gate in gates}
    taken = np.array([2, 1, 0])
    count = count_macs(package, scores, taken)
    prediction = predict(package, scores, exits=taken)
    assert count.dense == count.executed_per_image[0]
    assert (np.diff(count.executed_per_image) < 0).all()
    assert (np.diff(prediction.cycles) < 0).all() and (np.diff(prediction.weight_bytes) < 0).all()
    for exit in (0, 1):
        alone = predict(package, scores, exits=np.full(3, exit))
        assert alone.cycles[2 - exit] == prediction.cycles[2 - exit]
        assert (prediction.descriptor_cycles[2 - exit] == alone.descriptor_cycles[2 - exit]).all()
