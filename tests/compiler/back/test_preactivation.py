"""Masks in pre-activation networks: a channel that is masked is skipped as an output, not as an
input, for the batch norm behind it makes relu(beta - mu * gamma / sigma) of its zeros."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.emit.descriptors import lower
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import predict_memory
from penstock.compiler.estimate.timing import Timing
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Conv, Fold, Graph
from penstock.compiler.numerics import requantize
from penstock.compiler.passes import analysis
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.allocate import allocate
from penstock.compiler.plan.schedule import schedule_graph
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.descriptor import Descriptor, Op
from penstock.sim.golden import run
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.compiler.back.test_bit_exact import assert_exact

TINY = get_config("tiny")
MASKED = 12
IMAGES = 6


def preactivation(kernel: int = 3, *, zero: bool = False, pooled: bool = False) -> Graph:
    """conv1 * mask -> batch norm, ReLU -> conv2; `zero`: the batch norm makes zeros of zeros."""
    build = GraphBuilder(rng=np.random.default_rng(5))
    x = build.value("x", (9, 6, 8), False)
    mask = Fold(scores=build.gate(build.pool(x), MASKED), per_channel=True)
    y = build.conv(x, MASKED, kernel, signed=True, fold=mask)
    normed = build.conv(y, MASKED, 1, groups=MASKED)
    affine = build.nodes[-1]
    assert isinstance(affine, Conv)
    if zero:
        build.nodes[-1] = dataclasses.replace(affine, bias=-np.abs(affine.bias))
    if pooled:
        build.gate(build.pool(y), 3)
    return build.graph("x", build.dense(build.pool(build.conv(normed, 5, 3)), 4))


def convs(graph: Graph) -> dict[str, Descriptor]:
    """The CONVs by name."""
    package = compile_graph(graph, TINY)
    code = zip(package.meta["layers"], decode(package), strict=True)
    found = {layer["name"]: d for layer, d in code if d.op == Op.CONV}
    return {name: d for name, d in found.items() if not name.endswith(".pool")}


def lists(graph: Graph) -> list[tuple[str, bool, bool]]:
    """(name, walks an input list, walks an output list) of each."""
    return [
        (name, d.in_list != ALL_CHANNELS, d.out_list != ALL_CHANNELS)
        for name, d in convs(graph).items()
    ]


def affine_of(graph: Graph) -> Conv:
    (affine,) = [node for node in graph.nodes if isinstance(node, Conv) and node.depthwise]
    return affine


def constants(graph: Graph) -> np.ndarray:
    """What the batch norm makes of a masked channel."""
    affine = affine_of(graph)
    factors = affine.requantize
    return np.clip(requantize(affine.bias, factors.multiplier, factors.shift), *affine.clamp)


def test_a_masked_channel_is_skipped_as_an_output_alone() -> None:
    graph = preactivation()
    assert constants(graph).any()
    (first, affine, second) = [node.name for node in graph.nodes if isinstance(node, Conv)]
    assert lists(graph) == [
        (f"{first}.clear", False, False),
        (first, False, True),
        (affine, False, False),
        (second, False, False),
    ]
    for config in ("tiny", "z7020"):
        for schedule in ("sequential", "parallel"):
            values = assert_exact(graph, config, schedule, images=IMAGES)
    scores = values[next(name for name in values if name.endswith(".s"))]
    closed = (scores == 0)[:, :, None, None]
    assert closed.any() and not closed.all()
    masked = np.broadcast_to(closed, values[affine_of(graph).output].shape)
    assert values[affine_of(graph).output][masked].any()


def test_a_naive_skip_gives_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network where the compiler believes that zeros stay zeros."""
    graph = preactivation()
    package = compile_graph(graph, TINY)
    inputs, codes = random_inputs(package, IMAGES, np.random.default_rng(0))
    monkeypatch.setattr(analysis, "_keeps_zeros", lambda conv: conv.depthwise)
    naive = compile_graph(graph, TINY)
    assert [d.in_list != ALL_CHANNELS for d in convs(graph).values()][-1]
    at = slice(package.meta["output"]["offset"], None)
    exact, wrong = run(package, inputs)[:, at], run(naive, inputs)[:, at]
    values = run_graph(graph, codes)
    scores = values[next(name for name in values if name.endswith(".s"))]
    differ = (exact != wrong).any(axis=1)
    assert differ.any()
    assert not differ[(scores > 0).all(axis=1)].any()
    expected = values[graph.output].reshape(IMAGES, -1).view(np.uint8)
    assert (exact[:, : expected.shape[1]] == expected).all()


def test_zeros_that_stay_zeros_are_no_inputs() -> None:
    """The exception: every channel's constant is 0, so one list serves all three convolutions."""
    graph = preactivation(zero=True)
    assert not constants(graph).any()
    assert [walks for _, *walks in lists(graph)] == [[False, True], [False, True], [True, False]]
    for schedule in ("sequential", "parallel"):
        assert_exact(graph, "tiny", schedule, images=IMAGES)


def test_one_constant_is_enough() -> None:
    graph = preactivation(zero=True)
    nodes = [
        dataclasses.replace(node, bias=np.r_[np.int32(20000), node.bias[1:]])
        if node is affine_of(graph)
        else node
        for node in graph.nodes
    ]
    graph = dataclasses.replace(graph, nodes=tuple(nodes))
    assert np.count_nonzero(constants(graph)) == 1
    assert not any(walks for _, walks, _ in lists(graph))
    assert_exact(graph, "tiny", images=IMAGES)


def test_sums_of_a_cleared_map() -> None:
    """A gate reads the masked map too: the sums of masked channels are 0."""
    graph = preactivation(pooled=True)
    assert lists(graph)[0][0].endswith(".clear")
    assert_exact(graph, "tiny", images=IMAGES)


def test_small_convolutions_are_computed_in_full() -> None:
    """Nine taps: clearing the map would take as long."""
    graph = preactivation(kernel=1)
    assert not any(clear or walks for _, clear, walks in lists(graph))
    assert_exact(graph, "tiny", images=IMAGES)


def test_clearing_pays() -> None:
    """With half of the channels masked, and hardly costs anything with none."""
    config = get_config("z7020")
    build = GraphBuilder(rng=np.random.default_rng(5))
    x = build.value("x", (32, 16, 16), False)
    mask = Fold(scores=build.gate(build.pool(x), 32), per_channel=True)
    y = build.conv(build.conv(x, 32, 3, signed=True, fold=mask), 32, 1, groups=32)
    graph = build.graph("x", build.dense(build.pool(build.conv(y, 8, 3)), 4))
    memory = np.zeros((3, 32), np.uint8)
    memory[1, ::2] = memory[2] = 128
    cycles = {}
    for clear in (True, False):
        plan = schedule_graph(graph, "sequential", clear=clear)
        package = lower(plan, allocate(plan, config), config)
        cycles[clear] = predict_memory(package, memory, Timing()).cycles
    assert (cycles[True][:2] < cycles[False][:2]).all()
    assert cycles[True][2] < 1.1 * cycles[False][2]
