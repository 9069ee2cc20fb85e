"""Gates and classifiers that do not fit the gate memory together: parts, loads, lists."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import activity, decode
from penstock.compiler.estimate.report import build_report
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Fold, Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.descriptor import Op
from penstock.program.network.package import Package
from penstock.sim import golden
from tests.compiler.back.graphs import GraphBuilder, random_inputs

TINY = get_config("tiny")
RNG = np.random.default_rng


def wide(keep: float = 0.2, width: int = 128, binary: bool = False, classes: int = 120) -> Graph:
    """A block gated by 129 outputs of 128 inputs (18.6 KB) and a classifier of 120 (17.3 KB)."""
    build = GraphBuilder(rng=RNG(11))
    x = build.conv(build.value("x", (2, 4, 4), True), 128, 1)
    pooled = build.pool(x)
    block, channels = build.gate(pooled, 1, keep, binary), build.gate(pooled, width, keep, binary)
    y = build.conv(x, width, 1, fold=Fold(scores=channels, per_channel=True))
    y = build.conv(y, 128, 1, fold=Fold(scores=block, per_channel=False), residual=x)
    small = build.conv(y, 6, 1, fold=Fold(scores=build.gate(build.pool(y), 6), per_channel=True))
    y = build.conv(small, 128, 1)
    return build.graph("x", build.dense(build.pool(y), classes))


def assert_exact(graph: Graph, package: Package, images: int = 6) -> np.ndarray:
    """Golden and the graph agree on scores and result; the records."""
    inputs, codes = random_inputs(package, images, RNG(1))
    records, values = golden.run(package, inputs), run_graph(graph, codes)
    places = [(gate["name"], gate["offset"]) for gate in package.meta["gates"]]
    for name, offset in [
        *places,
        (package.meta["output"]["name"], package.meta["output"]["offset"]),
    ]:
        expected = values[name].reshape(images, -1).view(np.uint8)
        np.testing.assert_array_equal(records[:, offset : offset + expected.shape[1]], expected)
    return records


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("keep", [-16.0, 0.0, 0.2, 16.0])
@pytest.mark.parametrize("binary", [False, True])
def test_streamed_gates_are_exact(schedule: str, keep: float, binary: bool) -> None:
    graph = wide(keep, binary=binary)
    package = compile_graph(graph, TINY, schedule)
    code = decode(package)
    loop = code[-1].length
    loads = [d for d in code[loop:] if d.op == Op.GLOAD]
    assert len(loads) == 6 and len([d for d in code if d.op == Op.GATE]) == 4
    assert all(d.dst + d.length <= TINY.gate_mem_bytes // 2 for d in loads)
    assert_exact(graph, package)


def test_the_parts_make_one_list() -> None:
    """The cost model's survivors, part after part, are those that golden walks."""
    package = compile_graph(wide(), TINY)
    records = assert_exact(wide(), package)
    start = package.meta["gates"][0]["offset"]
    memory = records[:, start : start + sum(g["count"] for g in package.meta["gates"])]
    acts = activity(package, memory)
    gate = next(g for g in package.meta["gates"] if g["count"] == 128)
    kept = np.count_nonzero(memory[:, gate["score"] : gate["score"] + 128], axis=1)
    walked = [a for a in acts if a.op == Op.CONV and a.descriptor.in_list != ALL_CHANNELS]
    np.testing.assert_array_equal(walked[0].inputs, np.where(walked[0].runs, kept, 0))
    assert kept.min() > 0 and kept.max() < 128


def test_small_networks_stay_resident() -> None:
    package = compile_graph(wide(width=8, classes=20), TINY)
    code = decode(package)
    assert [d.op for d in code].count(Op.GLOAD) == code[-1].length == 1
    assert build_report(package)["gate_memory_bytes"]["used"] == code[0].length


def test_what_does_not_fit_is_named() -> None:
    config = dataclasses.replace(TINY, gate_mem_bytes=256)
    with pytest.raises(CompileError) as caught:
        compile_graph(wide(), config)
    assert "2 outputs of 128 inputs take 304 bytes, the gate memory of 'tiny' has 128" in str(
        caught.value
    )
