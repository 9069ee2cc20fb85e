"""What the schedule skips, where it computes in place, and what it refuses."""

import numpy as np
import pytest

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.ir import Conv, Fold
from penstock.compiler.passes.duplicate_residuals import duplicate_residuals, is_copy
from penstock.compiler.passes.order_siblings import order_siblings
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.schedule import schedule_graph
from penstock.compiler.plan.steps import ConvStep, CopyStep, GateStep, Plan, Step
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import Op
from tests.compiler.back.graphs import GraphBuilder, bottleneck, lcnet

RNG = np.random.default_rng


def plan_of(schedule: str) -> Plan:
    """One block in place, one with a projection."""
    return schedule_graph(order_siblings(lcnet(RNG(1), (1, 8, 8), (4, 8))), schedule)


def convs(plan: Plan) -> list[ConvStep]:
    return [step for step in plan.steps if isinstance(step, ConvStep)]


def kinds(steps: tuple[Step, ...]) -> list[str]:
    return [type(step).__name__.removesuffix("Step") for step in steps]


def test_sequential_skips_both_convolutions() -> None:
    stem, conv1, conv2, shortcut, _, down1, down2 = convs(plan_of("sequential"))
    assert stem.predicate is None
    assert conv1.predicate == conv2.predicate is not None
    assert conv1.out_list == conv2.in_list is not None
    assert conv1.in_list is conv2.out_list is None
    assert not conv1.pred_empty
    assert not conv2.pred_empty  # uint8 on uint8: skipped outright
    assert conv2.dst == stem.dst  # in place
    assert conv2.pool == stem.pool  # whose sums stay valid
    assert down1.predicate == down2.predicate is not None
    assert down2.dst == shortcut.dst


def test_a_shortcut_finishes_a_skipped_block() -> None:
    """int8 shortcut, then ReLU: one form of it for the sum, one that is the block's result."""
    *_, shortcut, alone, _, down2 = convs(plan_of("sequential"))
    assert shortcut.predicate == alone.predicate == down2.predicate is not None
    assert (shortcut.pred_not, alone.pred_not) == (False, True)
    assert (shortcut.pool, alone.pool) == (None, down2.pool)
    assert shortcut.conv.clamp == (-128, 127) and alone.conv.clamp == (0, 127)
    assert not down2.pred_empty
    assert shortcut.dst == alone.dst == down2.dst


def test_a_shortcut_with_another_reader_stays_as_it_is() -> None:
    """Then the block's last convolution runs without inputs to finish it."""
    build = GraphBuilder(rng=RNG(4))
    x = build.value("x", (3, 8, 8), False)
    gate = build.gate(build.pool(x), 1)
    shortcut = build.conv(x, 5, 1, stride=2, signed=True)
    y = build.conv(x, 5, 3, stride=2, fold=Fold(scores=gate, per_channel=False), residual=shortcut)
    z = build.conv(shortcut, 5, residual=y)
    graph = build.graph("x", build.dense(build.pool(z), 2))
    steps = convs(schedule_graph(duplicate_residuals(graph), "sequential"))
    assert [step.pred_empty for step in steps if step.predicate] == [True]
    assert not any(step.pred_not for step in steps)


def test_a_skipped_block_closes_its_channel_gate() -> None:
    gates = [step for step in plan_of("sequential").steps if isinstance(step, GateStep)]
    assert [gate.within for gate in gates] == [gate.gates[0].output for gate in gates]
    # conv1 runs before its block is decided: its channels' scores scale it all the same.
    gates = [step for step in plan_of("parallel").steps if isinstance(step, GateStep)]
    assert [gate.within for gate in gates] == [None, None]


def test_parallel_always_runs_the_first_convolution() -> None:
    _, conv1, conv2, _, _, down1, _ = convs(plan_of("parallel"))
    for first in (conv1, down1):
        assert first.predicate is None
        assert first.out_list is None
    assert conv2.in_list is not None
    assert conv2.predicate is not None


def test_order_of_a_downsampling_block() -> None:
    """COPY of even rows, the GATE beside it, odd rows, the projection's two forms, conv1."""
    plan = plan_of("sequential")
    assert kinds(plan.steps) == [
        *("Load", "Conv", "Gate", "Conv", "Conv"),
        *("Copy", "Gate", "Copy", "Conv", "Conv", "Conv", "Conv", "Dense", "Store", "Store"),
    ]
    assert [c.conv.weight.shape[2] for c in convs(plan)][3:] == [1, 1, 3, 3]


def test_odd_rows_are_copied_for_an_executed_block_alone() -> None:
    """The 1x1 shortcut reads even rows; in the parallel schedule conv1 always runs."""
    plan = plan_of("sequential")
    even, odd = (step for step in plan.steps if isinstance(step, CopyStep))
    assert (even.rows, even.predicate) == (1, None)
    assert (odd.rows, odd.predicate) == (2, convs(plan)[-1].predicate)
    assert even.dst == odd.dst and even.src == odd.src
    (whole,) = (step for step in plan_of("parallel").steps if isinstance(step, CopyStep))
    assert (whole.rows, whole.predicate) == (0, None)


def test_block_and_channel_gate_share_one_descriptor() -> None:
    plan = plan_of("sequential")
    gates = [step for step in plan.steps if isinstance(step, GateStep)]
    assert [len(step.gates) for step in gates] == [2, 2]
    assert all(step.list_from == 1 for step in gates)
    assert list(plan.scores.values()) == [0, 1, 5, 6]
    assert plan.n_scores == 14


def test_pool_of_the_input_is_a_convolution_without_inputs() -> None:
    build = GraphBuilder(rng=RNG(0))
    x = build.value("x", (3, 4, 4), True)
    plan = schedule_graph(build.graph("x", build.dense(build.pool(x), 2)), "sequential")
    (step,) = convs(plan)
    assert step.kind == "pool"
    assert step.conv.weight.shape[1] == 0
    assert step.src == step.dst == "x"


def test_a_copy_nobody_needs_is_predicated() -> None:
    plan = schedule_graph(order_siblings(bottleneck(RNG(0), 2)), "sequential")
    copies = [step for step in plan.steps if isinstance(step, CopyStep)]
    predicated = {copy.value.name: copy.predicate is not None for copy in copies}
    hidden, block_input = (convs(plan)[i].conv.output for i in (1, 0))
    assert predicated == {hidden: True, block_input: False}


def test_only_a_residual_with_later_readers_is_copied() -> None:
    build = GraphBuilder(rng=RNG(0))
    x = build.conv(build.value("x", (2, 4, 4), False), 4)
    y = build.conv(x, 4)
    z = build.conv(y, 4, residual=x)
    graph = build.graph("x", z)
    assert duplicate_residuals(graph).nodes == graph.nodes  # the very same
    graph = build.graph("x", build.conv(z, 4, residual=z))
    copies = [n for n in duplicate_residuals(graph).nodes if isinstance(n, Conv) and is_copy(n)]
    assert [copy.input for copy in copies] == [z]


def test_program_shape() -> None:
    """GLOAD once, HALT loops to LOAD, scores are stored before the result."""
    package = compile_graph(lcnet(RNG(1)), get_config("z7020"))
    descriptors = decode(package)
    assert [Op(d.op) for d in descriptors[:2]] == [Op.GLOAD, Op.LOAD]
    assert [Op(d.op) for d in descriptors[-3:]] == [Op.STORE, Op.STORE, Op.HALT]
    assert descriptors[-1].length == 1
    assert descriptors[-3].from_scores
    assert len(package.meta["layers"]) == len(descriptors)


def test_without_gates_there_is_no_prologue() -> None:
    build = GraphBuilder(rng=RNG(0))
    graph = build.graph("x", build.conv(build.value("x", (1, 4, 4), True), 2))
    ops = [Op(d.op) for d in decode(compile_graph(graph, get_config("tiny")))]
    assert ops == [Op.LOAD, Op.CONV, Op.STORE, Op.HALT]


def test_refusals() -> None:
    build = GraphBuilder(rng=RNG(0))
    pooled = build.pool(build.value("x", (1, 4, 4), True))
    with pytest.raises(CompileError, match=r"output 'pool0\.y' is not made by a convolution"):
        schedule_graph(build.graph("x", pooled), "sequential")
    with pytest.raises(CompileError, match="unknown schedule 'both'; one of sequential, parallel"):
        schedule_graph(build.graph("x", pooled), "both")
