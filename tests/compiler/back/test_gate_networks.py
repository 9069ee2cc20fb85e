"""Gates with convolutions of their own: order, masks of sums in place, MACs, and exactness."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.macs import count_macs
from penstock.compiler.force_gates import without_gates
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Conv, Fold, Graph
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.passes.order_siblings import order_siblings
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.schedule import schedule_graph
from penstock.compiler.plan.steps import ConvStep, GateStep
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import SIGMOID, Op
from penstock.program.network.package import Package
from penstock.sim.golden import run
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.compiler.back.test_bit_exact import assert_exact

SHAPE = (3, 8, 8)
ALIVE = 34  # a seed whose gates depend on the images


def builder(seed: int = 3) -> tuple[GraphBuilder, str]:
    """A builder whose image went through one convolution to 6 channels."""
    build = GraphBuilder(rng=np.random.default_rng(seed))
    return build, build.conv(build.value("x", SHAPE, True), 6)


def gate_network(build: GraphBuilder, x: str, outputs: int, keep: float = 0.0) -> str:
    """3x3 with stride 2, average, binary gate."""
    return build.gate(build.pool(build.conv(x, 4, 3, 2)), outputs, keep, binary=True)


def masked(build: GraphBuilder, x: str, keep: float = 0.0) -> str:
    """A block whose two convolutions are masked by gates on their inputs, added in place."""
    channels = build.values[x].shape[0]
    first = gate_network(build, x, 8, keep)
    y = build.conv(x, 8, fold=Fold(scores=first, per_channel=True))
    second = gate_network(build, y, channels, keep)
    return build.conv(y, channels, fold=Fold(scores=second, per_channel=True), residual=x)


def skipped(build: GraphBuilder, x: str, late: bool = False) -> str:
    """A block with a gate network; `late`: the gate comes after the block's first convolution."""
    channels = build.values[x].shape[0]
    gate = None if late else gate_network(build, x, 1)
    y = build.conv(x, 5)
    gate = gate or gate_network(build, x, 1)
    return build.conv(y, channels, fold=Fold(scores=gate, per_channel=False), residual=x)


def finish(build: GraphBuilder, y: str) -> Graph:
    return build.graph("x", build.dense(build.pool(y), 4))


def steps_of(graph: Graph) -> list[ConvStep]:
    plan = schedule_graph(order_siblings(graph), "sequential")
    return [step for step in plan.steps if isinstance(step, ConvStep)]


@pytest.mark.parametrize("late", [False, True])
def test_a_gate_network_runs_before_what_it_decides(late: bool) -> None:
    build, x = builder()
    stem, gate, first, last = steps_of(finish(build, skipped(build, x, late)))
    assert [step.kind for step in (stem, gate, first, last)] == ["conv", "gate", "conv", "conv"]
    assert gate.predicate is None
    assert first.predicate == last.predicate is not None
    assert not last.pred_empty and last.pool == stem.pool  # the stem makes the sums it leaves


def test_a_masked_sum_computes_survivors_only() -> None:
    build, x = builder()
    stem, _, first, _, last = steps_of(finish(build, masked(build, masked(build, x))))[:5]
    assert first.out_list == last.in_list is not None
    assert last.out_list is not None and last.out_list != first.out_list
    assert last.dst == stem.dst and last.pool == stem.pool
    assert last.predicate is first.predicate is None


def test_a_gate_network_on_a_masked_map_walks_its_list() -> None:
    build, x = builder()
    _, _, first, inner, last = steps_of(finish(build, masked(build, x)))
    assert inner.kind == "gate" and inner.conv.input == first.conv.output
    assert inner.in_list == last.in_list == first.out_list


@pytest.mark.parametrize("why", ["signed", "read"])
def test_a_masked_sum_that_is_not_there_yet_is_computed_whole(why: str) -> None:
    """An int8 shortcut must still be clipped; a pooled maximum has no sums yet."""
    build, x = builder()
    residual = build.conv(x, 6, 1, signed=True) if why == "signed" else build.map_pool(x, 3, 1, 1)
    gate = gate_network(build, x, 6)
    y = build.conv(x, 6, fold=Fold(scores=gate, per_channel=True), residual=residual)
    graph = finish(build, y)
    step = next(step for step in steps_of(graph) if step.conv.output == y)
    assert step.out_list is None
    assert_exact(graph, "tiny", images=6)


@pytest.mark.parametrize("keep", [-16.0, -0.3, 0.0, 0.3, 16.0])
@pytest.mark.parametrize("config", ["tiny", "z7020"])
def test_masked_blocks_are_exact(config: str, keep: float) -> None:
    build, x = builder(int(abs(keep)))
    for _ in range(3):
        x = masked(build, x, keep)
    values = assert_exact(finish(build, x), config, images=8)
    scores = np.concatenate([v.reshape(-1) for name, v in values.items() if "gate" in name])
    if abs(keep) == 16.0:
        assert (scores == (128 if keep > 0 else 0)).all()
    else:
        assert 0 < (scores > 0).mean() < 1


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_blocks_with_gate_networks_are_exact(schedule: str) -> None:
    """Gates alive; a stride-2 block with a projection between two in place."""
    build, x = builder(ALIVE)
    x = skipped(build, skipped(build, x))
    gate = gate_network(build, x, 1)
    shortcut = build.conv(x, 8, 1, 2, signed=True)
    y = build.conv(x, 8, 3, 2)
    x = build.conv(y, 8, fold=Fold(scores=gate, per_channel=False), residual=shortcut)
    values = assert_exact(finish(build, skipped(build, x)), "tiny", schedule, images=24)
    scores = [v.reshape(-1) for name, v in values.items() if "gate" in name]
    assert sum(0 < (s > 0).mean() < 1 for s in scores) >= 3


def test_one_gate_decides_several_blocks() -> None:
    """A policy on the image: every score in one GATE, before the first block."""
    build = GraphBuilder(rng=np.random.default_rng(4))
    image = build.value("x", SHAPE, True)
    x = build.conv(image, 6)
    pooled = build.pool(build.conv(image, 4, 3, 2))
    gates = [build.gate(pooled, 1, binary=True) for _ in range(3)]
    for gate in gates:
        y = build.conv(x, 5)
        x = build.conv(y, 6, fold=Fold(scores=gate, per_channel=False), residual=x)
    graph = finish(build, x)
    plan = schedule_graph(order_siblings(graph), "sequential")
    (decided,) = [step for step in plan.steps if isinstance(step, GateStep)]
    assert [gate.output for gate in decided.gates] == gates
    predicates = [step.predicate for step in plan.steps if isinstance(step, ConvStep)]
    assert predicates == [None, None, *(gate for gate in gates for _ in range(2))]
    assert_exact(graph, "tiny", images=16)


def test_macs_of_gate_networks_are_the_gates() -> None:
    build, x = builder()
    graph = finish(build, masked(build, x))
    package = compile_graph(graph, get_config("tiny"))
    inputs, codes = random_inputs(package, 12, np.random.default_rng(1))
    run(package, inputs)
    values = run_graph(graph, codes)
    scores = {gate["name"]: values[gate["name"]] for gate in package.meta["gates"]}
    count = count_macs(package, scores)
    assert count.dense == 64 * 9 * (3 * 6 + 6 * 8 + 8 * 6) + 6 * 4
    assert count.gates == 16 * 9 * (6 * 4 + 8 * 4) + 4 * 8 + 4 * 6
    first, second = ((scores[gate["name"]] > 0).sum(axis=1) for gate in package.meta["gates"])
    fixed = 64 * 9 * 3 * 6 + 6 * 4
    expected = fixed + 64 * 9 * first * (6 + second)
    assert count.executed_per_image.tolist() == expected.tolist()
    assert count.gates_executed == 16 * 9 * (24 + 4 * first.mean()) + 56
    assert len(set(expected)) > 1


def test_without_gates_is_every_gate_open() -> None:
    build, x = builder()
    graph = finish(build, masked(build, skipped(build, x), keep=16.0))
    opened = dataclasses.replace(
        graph,
        nodes=tuple(
            dataclasses.replace(node, bias=np.ones_like(node.bias), weight=node.weight * 0)
            if node.output in {fold.scores for fold in folds(graph)}
            else node
            for node in graph.nodes
        ),
    )
    static = without_gates(graph)
    assert not folds(static) and len(static.nodes) == 7  # stem, 2 + 2, average, classifier
    package = compile_graph(static, get_config("tiny"))
    assert Op.GATE not in {d.op for d in decode(package)}
    inputs, codes = random_inputs(package, 4, np.random.default_rng(2))
    result = run(package, inputs)[:, package.meta["output"]["offset"] :][:, :4]
    assert (result.view(np.int8) == run_graph(opened, codes)[graph.output]).all()


def folds(graph: Graph) -> list[Fold]:
    return [node.fold for node in graph.nodes if isinstance(node, Conv) and node.fold is not None]


def test_what_only_gates_read_is_told_apart() -> None:
    build, x = builder()
    y = build.conv(x, 5)
    gate = gate_network(build, y, 1)  # y itself is the block's, too
    graph = finish(build, build.conv(y, 6, fold=Fold(scores=gate, per_channel=False), residual=x))
    deciding = Analysis(graph=graph).deciding
    assert y not in deciding and graph.output not in deciding
    assert len(deciding) == 2  # the gate's map and its average


def excited(build: GraphBuilder, x: str, scores: int) -> str:
    """The scores of a gate network with squeeze-and-excite between its two convolutions."""
    y = build.excite(build.conv(x, 8, 3, 2), 2)
    return build.gate(build.pool(build.conv(y, 4)), scores, binary=True)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_squeeze_and_excite(config: str, schedule: str) -> None:
    """A map times a sigmoid of its own average: read by both strides, added to, before an exit."""
    for hidden, channels in ((1, 6), (5, 17)):
        build, x = builder(hidden)
        y = build.excite(build.conv(x, channels), hidden)
        build.leave(build.pool(y), 4, threshold=2.0)  # never
        y = build.excite(build.conv(y, 7, 3, 2), hidden)
        values = assert_exact(finish(build, y), config, schedule, images=4)
        scores = [value for name, value in values.items() if name.endswith(".s")]
        assert all(len(np.unique(score)) > 2 for score in scores)


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_squeeze_and_excite_in_a_gate_network(schedule: str) -> None:
    """It is the gate's work, and skips nothing itself: no list, no predicate is made of it."""
    build, x = builder(ALIVE)
    fold = Fold(scores=excited(build, x, 6), per_channel=True)
    y = build.conv(build.conv(x, 6, fold=fold), 6)
    graph = finish(build, y)
    assert_exact(graph, "tiny", schedule, images=6)
    package = compile_graph(graph, get_config("tiny"), schedule)
    kinds = [layer.get("kind") for layer in package.meta["layers"]]
    assert kinds.count("scale") == 1 and kinds.count("pool") == 1
    (sigmoid,) = [d for d in decode(package) if d.op == Op.GATE and d.variant == SIGMOID]
    assert sigmoid.out_list == ALL_CHANNELS and (sigmoid.cin, sigmoid.cout) == (2, 8)
    assert [gate["kind"] for gate in package.meta["gates"]] == ["sigmoid", "binary"]
    # 3x3 of 6 to 8 channels on 4 x 4 pixels, two dense layers, 3x3 of 8 to 4, and the gate's own.
    counted = count_macs(package, scores_of(package, graph))
    assert counted.gates == 9 * 16 * (6 * 8 + 8 * 4) + 2 * 8 * 2 + 4 * 6
    assert counted.dense == 9 * 64 * (3 * 6 + 6 * 6 + 6 * 6) + 6 * 4


def test_squeeze_and_excite_of_the_network_itself() -> None:
    """Its dense layers are the network's MACs, the static network keeps it, and forced gates do."""
    build, x = builder()
    graph = finish(build, build.excite(x, 2))
    package = compile_graph(graph, get_config("tiny"))
    network = CompiledNetwork(package=package, graph=graph)
    counted = network.macs(scores_of(package, graph))
    assert (counted.gates, counted.dense) == (0, 9 * 64 * 3 * 6 + 2 * 6 * 2 + 6 * 4)
    assert network.static().package.descriptors == package.descriptors
    inputs, _ = random_inputs(package, 3, np.random.default_rng(2))
    opened = network.force_gates_open()
    records = run(opened.package, inputs)
    assert (network.decode_output(records).scores["gate3.s"] == 128).all()
    assert (records[:, COUNTER_BYTES:] == opened.run_graph(inputs)[:, COUNTER_BYTES:]).all()


def test_dense_layers_in_a_row() -> None:
    """A classifier of three layers; and the logits that another layer reads are refused."""
    build, x = builder()
    hidden = build.dense(build.dense(build.pool(x), 9), 5)
    assert_exact(build.graph("x", build.dense(hidden, 4)), "tiny")
    with pytest.raises(CompileError, match="another dense layer reads the logits"):
        compile_graph(build.graph("x", hidden), get_config("tiny"))


def scores_of(package: Package, graph: Graph) -> dict[str, np.ndarray]:
    """The scores of one image."""
    _, codes = random_inputs(package, 1, np.random.default_rng(0))
    values = run_graph(graph, codes)
    return {gate["name"]: values[gate["name"]].astype(np.uint8) for gate in package.meta["gates"]}
