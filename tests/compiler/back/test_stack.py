"""Several images a run: the same bytes, in every engine; when it pays; what is refused."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler.choose_stacks import MAX_IMAGES
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.emit.descriptors import lower
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import compare
from penstock.compiler.estimate.summary import estimate
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph, plan_graph
from penstock.compiler.plan.allocate import allocate
from penstock.compiler.plan.stack_images import Kind, kinds
from penstock.compiler.plan.steps import ConvStep
from penstock.program.core.config import HwConfig, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package
from penstock.sim.golden import run
from tests.compiler.back.graphs import (
    GraphBuilder,
    densenet,
    grouped,
    lcnet,
    mobilenet,
    multi_exit,
    random_inputs,
)
from tests.compiler.back.stacked import stacked_package, stacked_plan

RNG = np.random.default_rng
TINY, Z7020 = get_config("tiny"), get_config("z7020")
NO_SCORES = np.zeros((1, 0), np.uint8)


def vgg(rng: np.random.Generator, side: int = 8, last: int = 20) -> Graph:
    """Convolutions and pools down to small maps, with a residual, then a classifier."""
    build = GraphBuilder(rng=rng)
    y = build.map_pool(build.conv(build.value("x", (3, side, side), True), 6), 2, 2)
    y = build.map_pool(build.conv(y, 12), 2, 2)
    x = build.conv(y, last)
    y = build.conv(build.conv(x, last), last, residual=x)
    y = build.map_pool(build.conv(y, last), 2, 2)
    return build.graph("x", build.dense(build.pool(y), 10))


def wide(rng: np.random.Generator) -> Graph:
    """One convolution of a kilobyte an image."""
    build = GraphBuilder(rng=rng)
    y = build.conv(build.map_pool(build.value("x", (64, 4, 4), False), 1, 1), 64)
    return build.graph("x", build.map_pool(y, 2, 2))


def map_output(rng: np.random.Generator) -> Graph:
    """A network whose output is a map, of an odd number of bytes."""
    build = GraphBuilder(rng=rng)
    y = build.map_pool(build.value("x", (2, 6, 10), False), 2, 2)
    y = build.conv(build.conv(build.conv(y, 5, 5), 7, 3), 9, 1)
    return build.graph("x", build.map_pool(y, 3, 2, 1))


def dense_layers(rng: np.random.Generator) -> Graph:
    """Two dense layers in a row behind a stacked convolution."""
    build = GraphBuilder(rng=rng)
    y = build.map_pool(build.value("x", (3, 8, 12), False), 2, 2)
    y = build.conv(build.conv(y, 12), 8, 1)
    return build.graph("x", build.dense(build.dense(build.pool(y), 9), 5))


NETWORKS = {
    "vgg": lambda: vgg(RNG(1)),
    "mobilenet": lambda: mobilenet(RNG(2), (3, 10, 8)),
    "densenet": lambda: densenet(RNG(3), (3, 8, 8)),
    "grouped": lambda: grouped(RNG(4), (24, 5, 4), 36, 6),
    "map": lambda: map_output(RNG(5)),
    "dense layers": lambda: dense_layers(RNG(6)),
}


def equal_to_the_graph(graph: Graph, package: Package, runs: int = 2, seed: int = 0) -> None:
    inputs, _ = random_inputs(package, runs, RNG(seed))
    records = run(package, inputs)
    expected = CompiledNetwork(package=package, graph=graph).run_graph(inputs)
    differ = records[:, COUNTER_BYTES:] != expected[:, COUNTER_BYTES:]
    assert not differ.any(), f"{differ.sum()} bytes differ"


@pytest.mark.parametrize("config", [TINY, Z7020], ids=lambda config: config.name)
@pytest.mark.parametrize("in_step", [False, True])
@pytest.mark.parametrize("images", [2, 3, 5])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_everything_stacked(name: str, images: int, in_step: bool, config: HwConfig) -> None:
    graph = NETWORKS[name]()
    equal_to_the_graph(graph, stacked_package(graph, config, images, in_step=in_step))


@pytest.mark.parametrize("images", [2, 3])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_engine_agrees_and_the_cost_model_too(name: str, images: int) -> None:
    engines = pytest.importorskip("penstock.sim.rtl.engine")
    hls = pytest.importorskip("penstock.sim.csim.engine")
    package = stacked_package(NETWORKS[name](), TINY, images, in_step=images == 3)
    inputs, _ = random_inputs(package, 3, RNG(images))
    records = run(package, inputs)
    core = engines.RtlCore("tiny")
    rtl = core.run(package, inputs)
    core.close()
    for got in (hls.CsimCore(TINY).run(package, inputs), rtl):
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], records[:, COUNTER_BYTES:])
    words = [np.ascontiguousarray(part[:, :COUNTER_BYTES]).view("<u4") for part in (rtl, records)]
    column = COUNTER_NAMES.index("weight_bytes")
    np.testing.assert_array_equal(words[0][:, column], words[1][:, column])
    assert np.abs(compare(package, rtl) - 1).max() <= 0.02


@given(
    channels=st.tuples(*[st.integers(1, 20)] * 4),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernels=st.tuples(*[st.sampled_from([1, 3, 5, 7])] * 3),
    images=st.integers(2, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_sizes_kernels_and_choices(
    channels: tuple[int, ...],
    size: tuple[int, int],
    kernels: tuple[int, ...],
    images: int,
    seed: int,
) -> None:
    """Three convolutions in a row, depthwise ones among them, some kinds of them stacked."""
    rng = RNG(seed)
    build = GraphBuilder(rng=rng)
    x = build.value("x", (channels[0], *size), bool(seed % 2))
    y = build.map_pool(x, 1, 1)
    for width, kernel in zip(channels[1:], kernels, strict=True):
        if rng.random() < 0.3:
            source = build.values[y]
            y = build.conv(y, source.shape[0], kernel, groups=source.shape[0], residual=None)
        else:
            y = build.conv(y, width, kernel, signed=bool(rng.integers(2)))
    graph = build.graph("x", build.map_pool(y, 1, 1))
    try:
        in_step = bool(rng.integers(2))
        package = stacked_package(graph, TINY, images, rng=rng, in_step=in_step)
    except CompileError:
        return  # no room on `tiny`
    equal_to_the_graph(graph, package, seed=seed)


def test_rows_between_images_are_cleared() -> None:
    """Without that an image's edge would see the next one's."""
    plan = stacked_plan(NETWORKS["vgg"](), TINY, 2)
    cleared = [s for s in plan.steps if isinstance(s, ConvStep) and s.name.endswith(".clear")]
    assert {step.rows for step in cleared} == {1}
    assert len(cleared) == 5  # one row, two images: once for each 3x3 kernel
    broken = dataclasses.replace(plan, steps=tuple(s for s in plan.steps if s not in cleared))
    package = lower(broken, allocate(broken, TINY), TINY)
    with pytest.raises(AssertionError, match="bytes differ"):
        equal_to_the_graph(NETWORKS["vgg"](), package)


def test_weights_are_in_the_blob_once_and_fetched_once() -> None:
    graph = vgg(RNG(1), last=40)
    one, three = (compile_graph(graph, Z7020, images=count) for count in (1, 3))
    for package in (one, three):  # once in each layout
        convs = [(d, layer) for d, layer in described(package) if layer["kind"] == "conv"]
        layouts = {(layer["name"], d.w_rows) for d, layer in convs if d.op == Op.CONV}
        assert len({d.w_addr for d, _ in convs if d.op == Op.CONV}) == len(layouts)
    figures = [estimate(package, NO_SCORES, 100.0) for package in (one, three)]
    assert figures[1]["weight_bytes"] < 0.4 * figures[0]["weight_bytes"]
    assert figures[1]["cycles"] < 0.55 * figures[0]["cycles"]
    assert figures[1]["macs"] == figures[0]["macs"]
    assert (figures[0]["images"], figures[1]["images"]) == (1, 3)
    assert figures[1]["latency_ms"] * figures[1]["fps"] == pytest.approx(3000)
    assert len({compiled.macs({}).dense for compiled in map(network, (one, three))}) == 1


def described(package: Package) -> list[tuple[Descriptor, Any]]:
    """Descriptors with a layer's work, and their lines of metadata."""
    both = zip(decode(package), package.meta["layers"], strict=True)
    return [(d, layer) for d, layer in both if "kind" in layer]


def network(package: Package) -> CompiledNetwork:
    return CompiledNetwork(package=package)


def test_the_cost_model_decides() -> None:
    """2 x 2 maps on 16 lanes are stacked; 4 x 4 ones fill them, and only rows would be lost.

    There all layers run in step: first weights are waited for once.
    """
    package = compile_graph(vgg(RNG(1), last=40), Z7020, images=3)
    convs = [layer for layer in package.meta["layers"] if layer.get("macs_per_pair", 0) > 1]
    apart, together = [9 * 64, 9 * 16], [9 * 4 * 3]
    assert [layer["macs_per_pair"] for layer in convs] == 3 * apart + 4 * together
    larger = vgg(RNG(1), side=16, last=40)
    package = compile_graph(larger, Z7020, images=3)
    assert not any(layer["name"].endswith(".clear") for layer in package.meta["layers"])
    one, three = compile_graph(larger, Z7020), package
    figures = [estimate(package, NO_SCORES, 100.0) for package in (one, three)]
    assert figures[1]["cycles"] < figures[0]["cycles"]
    equal_to_the_graph(larger, three)


def test_a_run_of_several_that_takes_longer_is_refused() -> None:
    """The sums of maps at scales of their own are a CONV a channel there."""
    build = GraphBuilder(rng=RNG(1))
    x = build.conv(build.value("x", (3, 32, 32), True), 16, signed=True)
    y = build.pair(x, build.conv(x, 16, signed=True), True)
    graph = build.graph("x", build.dense(build.pool(y), 10))
    with pytest.raises(CompileError, match="takes no fewer cycles for 3 images"):
        compile_graph(graph, Z7020, images=3)


def test_kinds_are_what_can_be_stacked() -> None:
    """Not the convolution of the image, nor one that makes sums, nor one with stride 2."""
    build = GraphBuilder(rng=RNG(0))
    x = build.conv(build.value("x", (3, 8, 8), True), 4)
    y = build.conv(x, 4, 5)
    y = build.conv(build.conv(y, 6, stride=2), 6, groups=6)
    graph = build.graph("x", build.dense(build.pool(build.conv(y, 7, 1)), 5))
    assert kinds(plan_graph(graph, TINY)) == [
        Kind(pixels=16, kernel=3, depthwise=True),
        Kind(pixels=64, kernel=5, depthwise=False),
    ]
    # A map that is copied to polyphase layout may lie in a stacked one all the same.
    equal_to_the_graph(graph, stacked_package(graph, TINY, 3))


@pytest.mark.parametrize(
    "graph, images, message",
    [
        (lambda: vgg(RNG(1)), 0, "a program for 0 images a run"),
        (lambda: vgg(RNG(1)), MAX_IMAGES + 1, f"a program for {MAX_IMAGES + 1} images a run"),
        (lambda: lcnet(RNG(1), (1, 8, 8), (4, 6)), 2, "a gate decides for one image"),
        (lambda: multi_exit(RNG(1), (1, 8, 8), (4, 6), (0.3,)), 2, "decides for one image"),
        (lambda: wide(RNG(1)), 9, "9 images do not fit the 16384 bytes .*; 6 images do"),
    ],
)
def test_refused(graph: object, images: int, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compile_graph(graph(), TINY, images=images)  # type: ignore[operator]


def test_runs_that_are_not_full() -> None:
    """Four images, three a run: the results are those of one image a run, whatever comes along."""
    graph = vgg(RNG(1), last=40)
    images = RNG(2).integers(-128, 128, (4, 3, 8, 8)).astype(np.float32)
    results = []
    for count in (1, 3):
        compiled = CompiledNetwork(package=compile_graph(graph, Z7020, images=count), graph=graph)
        inputs = compiled.quantize_input(images)
        assert len(inputs) == {1: 4, 3: 2}[count]
        records = run(compiled.package, inputs)
        assert (records[:, COUNTER_BYTES:] == compiled.run_graph(inputs)[:, COUNTER_BYTES:]).all()
        decoded = compiled.decode_output(records, len(images))
        assert decoded.logits.shape == (4, 10) and decoded.exits.tolist() == [0] * 4
        results.append(decoded.logits)
    np.testing.assert_array_equal(*results)
