"""First groups of fewer rows where nothing hides the first weights: fewer cycles, same bytes."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.emit.descriptors import lower
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import compare, predict_memory
from penstock.compiler.estimate.first_groups import first_groups
from penstock.compiler.estimate.timing import Timing
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph, plan_graph
from penstock.compiler.plan.allocate import allocate
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.program.network.package import Package
from penstock.sim.golden import run
from tests.compiler.back.graphs import GraphBuilder, lcnet, random_inputs

RNG = np.random.default_rng


def stage(rng: np.random.Generator, width: int = 32) -> Graph:
    """A layer of the image, a block that halves its map and doubles its channels, a classifier."""
    build = GraphBuilder(rng=rng)
    x = build.conv(build.value("x", (3, 16, 16), True), width)
    shortcut = build.conv(x, 2 * width, 1, stride=2, signed=True)
    y = build.conv(x, 2 * width, 3, stride=2)
    y = build.conv(y, 2 * width, 3, residual=shortcut)
    return build.graph("x", build.dense(build.pool(y), 10))


def plain(graph: Graph, config: str) -> Package:
    """The Program without them."""
    hardware = get_config(config)
    plan = plan_graph(graph, hardware)
    return lower(plan, allocate(plan, hardware), hardware)


def cycles(package: Package) -> int:
    return int(predict_memory(package, np.zeros((2, 0), np.uint8), Timing()).cycles[1])


@pytest.mark.parametrize("config, least", [("z7020", 30), ("z7020x2", 250)])
def test_fewer_cycles_and_the_same_bytes(config: str, least: int) -> None:
    graph = stage(RNG(1))
    before, after = plain(graph, config), compile_graph(graph, get_config(config))
    assert cycles(before) - cycles(after) >= least
    rows = [d for d in decode(after) if d.op == Op.CONV and d.w_rows]
    assert rows and all(d.split & 3 and d.out_list == ALL_CHANNELS for d in rows)
    assert not any(d.w_rows for d in decode(before))
    inputs, _ = random_inputs(after, 3, RNG(2))
    records = [run(package, inputs)[:, COUNTER_BYTES:] for package in (before, after)]
    np.testing.assert_array_equal(*records)


def test_the_core_is_as_fast_as_that() -> None:
    engine = pytest.importorskip("penstock.sim.rtl.engine")
    graph = stage(RNG(3), 20)
    packages = plain(graph, "z7020"), compile_graph(graph, get_config("z7020"))
    counted = []
    for package in packages:
        records = engine.RtlCore("z7020").run(package, random_inputs(package, 2, RNG(4))[0])
        assert np.abs(compare(package, records) - 1).max() <= 0.02
        counted.append(int(np.ascontiguousarray(records[1, :4]).view("<u4")[0]))
    assert counted[1] < counted[0] - 30


def test_what_a_gate_decides_keeps_its_layout() -> None:
    """Lists want rows of their own first group, and input lists the chunks of their channels."""
    package = compile_graph(lcnet(RNG(5), (3, 16, 16), (16, 32), keep=0.5), get_config("z7020x2"))
    for d in decode(package):
        if d.op == Op.CONV and d.w_rows and d.out_list == ALL_CHANNELS:
            assert d.in_list == ALL_CHANNELS and not d.pred_en
    assert decode(package)[2].w_rows  # the image's layer, behind LOAD


def test_without_reshaping_there_are_none() -> None:
    package = compile_graph(stage(RNG(1)), get_config("z7020"), reshape=False)
    assert not any(d.w_rows for d in decode(package) if d.op == Op.CONV)


def test_the_choice_is_by_number_of_the_convolution() -> None:
    config = get_config("z7020x2")
    plan = plan_graph(stage(RNG(1)), config)
    modes = first_groups(lower(plan, allocate(plan, config), config))
    assert modes
    steps = plan.with_first_groups(modes).steps
    convs = [step for step in steps if hasattr(step, "first_mode")]
    assert {i: step.first_mode for i, step in enumerate(convs) if step.first_mode} == modes
    back = [dataclasses.replace(s, first_mode=None) if s in convs else s for s in steps]
    assert [s.name for s in back] == [s.name for s in plan.steps]
