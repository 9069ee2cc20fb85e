"""golden(Program) == run_graph(graph), byte for byte, over hand-built networks of every kind."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.interpreter import exits_taken as graph_exits
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Conv, Fold, Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.program.network.exits import exits_taken
from penstock.sim.golden import run
from tests.compiler.back.graphs import (
    GraphBuilder,
    bottleneck,
    depthwise,
    imagenet_form,
    lcnet,
    mobilenet,
    multi_exit,
    random_inputs,
    single_conv,
    single_pool,
)

CONFIGS = ("tiny", "z7020")
SCHEDULES = ("sequential", "parallel")


def assert_exact(
    graph: Graph, config: str, schedule: str = "sequential", images: int = 3, seed: int = 0
) -> dict[str, np.ndarray]:
    """Every result and score of golden equals the graph's; returns the graph's values."""
    package = compile_graph(graph, get_config(config), schedule)
    inputs, codes = random_inputs(package, images, np.random.default_rng(seed))
    records = run(package, inputs)
    values = run_graph(graph, codes)
    output = package.meta["output"]
    within = {gate["name"]: gate["within"] for gate in package.meta["gates"]}
    places = [(gate["name"], gate["offset"]) for gate in package.meta["gates"]]
    for name, offset in [*places, (output["name"], output["offset"])]:
        expected = values[name].reshape(images, -1).view(np.uint8)
        if within.get(name):  # a skipped block's channel gate
            expected = expected * (values[within[name]].reshape(images, 1) != 0)
        got = records[:, offset : offset + expected.shape[1]]
        assert (got == expected).all(), f"{name}: {(got != expected).sum()} bytes differ"
    return values


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 8, 8), (4, 9, 13), (3, 24, 20), (2, 2, 33)])
def test_single_convolution(
    config: str, kernel: int, stride: int, shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(kernel * 10 + stride)
    for residual, signed in ((False, True), (True, False)):
        assert_exact(single_conv(rng, shape, 6, kernel, stride, residual, signed), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(5, 8, 8), (4, 9, 13), (17, 4, 4), (2, 2, 33)])
def test_depthwise_convolution(
    config: str, kernel: int, stride: int, shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(kernel * 10 + stride)
    for residual, signed in ((False, True), (True, False)):
        assert_exact(depthwise(rng, shape, kernel, stride, residual, signed), config)


def conv_lists(graph: Graph, schedule: str) -> list[tuple[int, bool, bool]]:
    """(variant, walks an input list, walks an output list) of every convolution."""
    code = decode(compile_graph(graph, get_config("tiny"), schedule))
    return [
        (d.variant, d.in_list != ALL_CHANNELS, d.out_list != ALL_CHANNELS)
        for d in code
        if d.op == Op.CONV and d.kernel
    ]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, 0.0, 0.4, 16.0])
def test_gated_inverted_residuals(schedule: str, keep: float) -> None:
    graph = mobilenet(np.random.default_rng(11), (3, 13, 10), keep)
    for config in CONFIGS:
        assert_exact(graph, config, schedule, images=6)


def test_a_gate_behind_a_depthwise_convolution_skips_what_it_reads() -> None:
    """One list serves the convolution before it, itself, and the one behind it."""
    graph = mobilenet(np.random.default_rng(1), (3, 6, 6), 0.2)
    stem, *lists = conv_lists(graph, "sequential")
    assert stem == (0, False, False)
    assert lists[:3] == [(0, False, True), (1, False, True), (0, True, False)]
    # In the parallel schedule the first does not wait for the gate.
    lists = conv_lists(graph, "parallel")[1:]
    assert lists[:3] == [(0, False, False), (1, False, True), (0, True, False)]


def test_a_depthwise_convolution_needs_every_channel_that_it_computes() -> None:
    """Its gated input is not 0 behind it: where it computes all, all are there."""
    for gated in (False, True):
        build = GraphBuilder(rng=np.random.default_rng(3))
        x = build.value("x", (4, 7, 6), False)
        pooled = build.pool(x)
        inner, outer = build.gate(pooled, 9), build.gate(pooled, 9)
        y = build.conv(x, 9, 1, fold=Fold(scores=inner, per_channel=True))
        fold = Fold(scores=outer, per_channel=True) if gated else None
        y = build.conv(y, 9, 3, groups=9, fold=fold)
        graph = build.graph("x", build.dense(build.pool(build.conv(y, 5, 1)), 3))
        for schedule in SCHEDULES:
            assert_exact(graph, "tiny", schedule, images=6)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("inputs", "channels", "groups"),
    [(6, 6, 2), (12, 36, 3), (8, 16, 8), (24, 24, 12), (64, 64, 4)],
)
def test_groups(config: str, stride: int, inputs: int, channels: int, groups: int) -> None:
    """A descriptor a group or a few; folds, residuals and sums of the right channels."""
    build = GraphBuilder(rng=np.random.default_rng(groups))
    x = build.value("x", (inputs, 5, 8), False)
    pooled = build.pool(x)
    own = Fold(scores=build.gate(pooled, channels), per_channel=True)
    y = build.conv(x, channels, 3, stride, groups=groups, fold=own)
    y = build.conv(y, channels, 1, groups=groups, signed=True, residual=y)
    output = build.dense(build.pool(y), 4)
    for schedule in SCHEDULES:
        assert_exact(build.graph("x", output), config, schedule, images=4)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("rows", "between", "within"), [(2, 4, 2), (1, 2, 6), (3, 4, 2), (4, 1, 4)]
)
def test_shuffled_groups(config: str, stride: int, rows: int, between: int, within: int) -> None:
    """Channels [rows, between, within] read as [rows, within, between]: `between` a group."""
    channels = rows * between * within
    order = np.arange(channels).reshape(rows, between, within).swapaxes(1, 2).reshape(-1)
    build = GraphBuilder(rng=np.random.default_rng(within))
    x = build.conv(build.value("x", (3, 6, 8), False), channels, 3)
    more = {"groups": rows * within, "order": tuple(order.tolist())}
    y = build.conv(x, channels, 3, stride, **more)
    output = build.dense(build.pool(y), 4)
    assert_exact(build.graph("x", output), config)


def test_an_order_without_equal_distances_is_refused() -> None:
    """On a map whose pixels leave no choice: one group a descriptor."""
    build = GraphBuilder(rng=np.random.default_rng(0))
    x = build.value("x", (8, 1, 1), False)
    y = build.conv(x, 8, 1, groups=2, order=(0, 1, 2, 4, 3, 5, 6, 7))
    with pytest.raises(CompileError, match=r"node 'conv0' \(Conv\): .* at equal distances"):
        compile_graph(build.graph("x", y), get_config("tiny"))


def test_a_grouped_convolution_does_not_walk_a_list() -> None:
    """Gated maps before and behind it are computed in full."""
    build = GraphBuilder(rng=np.random.default_rng(2))
    x = build.value("x", (3, 6, 6), False)
    pooled = build.pool(x)
    folds = [Fold(scores=build.gate(pooled, 12), per_channel=True) for _ in range(2)]
    y = build.conv(x, 12, 3, fold=folds[0])
    y = build.conv(y, 12, 3, groups=4, fold=folds[1])
    graph = build.graph("x", build.dense(build.pool(build.conv(y, 5, 1)), 3))
    lists = conv_lists(graph, "sequential")
    assert lists[1] == (0, False, False) and lists[-1] == (0, True, False)
    assert not any(listed for _, *lists in lists[2:-1] for listed in lists)
    assert_exact(graph, "tiny", images=5)


def test_expansions_in_parts() -> None:
    """Maps that do not fit together are made and read in parts, with either stride."""
    tiny = get_config("tiny")
    for stride in (1, 2):
        build = GraphBuilder(rng=np.random.default_rng(stride))
        x = build.value("x", (6, 16, 16), True)
        y = build.inverted(x, 33, 6, stride)
        graph = build.graph("x", y)
        kinds = [(d.op, d.variant, d.cout) for d in decode(compile_graph(graph, tiny))]
        depthwise = [cout for op, variant, cout in kinds if op == Op.CONV and variant]
        assert sum(depthwise) == 33 and len(depthwise) > 1
        assert len({op for op, _, _ in kinds} & {Op.COPY}) == stride - 1
        assert_exact(graph, "tiny")


@pytest.mark.parametrize("config", CONFIGS)
def test_forms_of_a_depthwise_convolution(config: str) -> None:
    """AFFINE y = ((w x + b) m + half) >> r and ADD, both channel by channel (docs/program.md)."""
    for added in (False, True):
        build = GraphBuilder(rng=np.random.default_rng(added))
        x = build.value("x", (9, 5, 7), True)
        other = build.conv(x, 9, 3, signed=True)
        y = build.conv(x, 9, 1, groups=9, residual=other if added else None, signed=not added)
        values = assert_exact(build.graph("x", y), config)
        node = build.nodes[-1]
        assert isinstance(node, Conv) and node.depthwise
        per_channel = (None, slice(None), None, None)
        m, r = node.requantize.multiplier.astype(int), node.requantize.shift.astype(int)
        acc = values["x"] * node.weight.reshape(9).astype(int)[per_channel]
        acc = (acc + node.bias[per_channel]) * m[per_channel]
        expected = (acc + (1 << r - 1)[per_channel]) >> r[per_channel]
        expected = np.clip(expected + (values[other] if added else 0), *node.clamp)
        np.testing.assert_array_equal(values[y], expected)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 9, 16, 17])
def test_output_channels_around_the_rows(config: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    assert_exact(single_conv(rng, (3, 5, 6), channels), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, -0.5, 0.0, 0.5, 16.0])
@pytest.mark.parametrize("binary", [False, True])
def test_gated_networks(config: str, schedule: str, keep: float, binary: bool) -> None:
    rng = np.random.default_rng(5)
    odd = lcnet(rng, (3, 12, 10), (12, 20, 36), keep=keep, binary=binary)
    deep = lcnet(rng, (1, 9, 7), (8, 16), blocks=2, keep=keep, binary=binary)
    for graph in (odd, deep):
        values = assert_exact(graph, config, schedule, images=4)
        scores = np.concatenate([v.reshape(-1) for name, v in values.items() if "gate" in name])
        if abs(keep) == 16.0:
            assert (scores == (128 if keep > 0 else 0)).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_scores_that_change_from_image_to_image(schedule: str) -> None:
    """Leftovers of one image must not reach the next."""
    rng = np.random.default_rng(17)
    graph = lcnet(rng, (2, 10, 9), (10, 12), blocks=2, keep=0.0)
    values = assert_exact(graph, "tiny", schedule, images=24)
    gates = [v for name, v in values.items() if "gate" in name]
    assert any(len(np.unique(gate > 0, axis=0)) > 1 for gate in gates)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_surviving_channel(schedule: str) -> None:
    graph = lcnet(np.random.default_rng(3), (2, 6, 6), (8,), keep=16.0)
    nodes = []
    for node in graph.nodes:
        if node.output.startswith("gate") and len(node.bias) == 8:  # type: ignore[union-attr]
            bias = np.full(8, -(10**8), np.int32)
            bias[5] = 10**8
            node = dataclasses.replace(node, bias=bias)  # type: ignore[call-arg]
        nodes.append(node)
    assert_exact(dataclasses.replace(graph, nodes=tuple(nodes)), "tiny", schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_with_two_lists(schedule: str, stride: int) -> None:
    for seed in range(6):
        assert_exact(bottleneck(np.random.default_rng(seed), stride), "tiny", schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_gated_map_with_other_readers(schedule: str) -> None:
    """A gated map that is pooled, added or the output must be computed in full."""
    for case in ("pooled", "residual", "output", "residual of itself"):
        build = GraphBuilder(rng=np.random.default_rng(len(case)))
        x = build.value("x", (4, 7, 6), False)
        scores = build.gate(build.pool(x), 8)
        y = build.conv(x, 8, fold=Fold(scores=scores, per_channel=True))
        if case == "output":
            assert_exact(build.graph("x", y), "tiny", schedule)
            continue
        if case == "pooled":
            z = build.conv(y, 6, fold=Fold(scores=build.gate(build.pool(y), 1), per_channel=False))
        elif case == "residual":
            z = build.conv(x, 8, residual=y)
        else:
            z = build.conv(y, 8, residual=y)  # needs a copy: it reads what it would overwrite
        assert_exact(build.graph("x", build.dense(build.pool(z), 3)), "tiny", schedule)


def test_residual_with_later_readers_is_copied() -> None:
    build = GraphBuilder(rng=np.random.default_rng(2))
    x = build.conv(build.value("x", (2, 6, 6), True), 5, signed=True)
    y = build.conv(x, 5, signed=True, residual=x)
    z = build.conv(y, 5, residual=x)  # x again
    w = build.conv(x, 7, stride=2)  # and again
    joined = build.conv(z, 7, stride=2, residual=w)
    assert_exact(build.graph("x", joined), "tiny")


def test_block_gate_without_residual_writes_zeros() -> None:
    for keep in (-16.0, 16.0):
        build = GraphBuilder(rng=np.random.default_rng(8))
        x = build.value("x", (3, 5, 5), False)
        fold = Fold(scores=build.gate(build.pool(x), 1, keep), per_channel=False)
        assert_exact(build.graph("x", build.conv(x, 4, fold=fold)), "tiny")


def test_several_pools_of_one_map() -> None:
    """Pools with different factors, gates of both kinds, a dense layer: several GATEs."""
    build = GraphBuilder(rng=np.random.default_rng(9))
    x = build.conv(build.value("x", (2, 6, 8), True), 9)
    first, second = build.pool(x), build.pool(x, shrink=0.5)
    a, b = build.gate(first, 1), build.gate(first, 1, binary=True)
    c, d = build.gate(second, 7), build.gate(first, 7, binary=True)
    y = build.conv(x, 7, fold=Fold(scores=c, per_channel=True))
    z = build.conv(x, 7, fold=Fold(scores=d, per_channel=True))
    y = build.conv(y, 9, fold=Fold(scores=a, per_channel=False), residual=x)
    z = build.conv(z, 9, fold=Fold(scores=b, per_channel=False), residual=y)
    assert_exact(build.graph("x", build.dense(build.pool(z), 5)), "tiny")


#: (kernel, stride, padding): those of ResNets, VGG and DenseNets, and the extremes.
POOLS = [(3, 2, 1), (2, 2, 0), (3, 1, 1), (1, 2, 0), (5, 2, 2), (7, 1, 3), (7, 2, 0), (4, 2, 1)]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("kernel", "stride", "pad"), POOLS)
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_pools(
    config: str, kernel: int, stride: int, pad: int, average: bool, signed: bool
) -> None:
    if average and kernel == 1:
        pytest.skip("an average of one pixel")
    rng = np.random.default_rng(kernel)
    for shape in ((1, 7, 7), (3, 9, 14), (2, 8, 35), (4, 7, 64)):
        assert_exact(single_pool(rng, shape, kernel, stride, pad, average, signed), config)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, 0.3, 16.0])
def test_imagenet_form(schedule: str, keep: float) -> None:
    """Stem, max-pool with gates behind it, bottlenecks of three stages."""
    graph = imagenet_form(np.random.default_rng(4), (3, 33, 30), (4, 6, 8), (2, 1, 1), keep=keep)
    assert_exact(graph, "tiny", schedule, images=4)


def test_pooled_map_as_residual_and_read_twice() -> None:
    """A pool's map is overwritten by the sum; a map is pooled after it was a residual."""
    build = GraphBuilder(rng=np.random.default_rng(6))
    x = build.conv(build.value("x", (2, 12, 11), True), 5, signed=True)
    p = build.map_pool(x, 3, 2, 1)
    y = build.conv(p, 5, signed=True, residual=p)  # in place: p dies
    z = build.conv(x, 5, signed=True, residual=x)  # x is pooled again below
    q = build.map_pool(x, 3, 2, 1, average=True)
    w = build.conv(build.map_pool(z, 2, 2), 5, 1)
    assert build.values[w].shape != build.values[y].shape
    y = build.conv(y, 5, residual=q)
    assert_exact(build.graph("x", build.dense(build.pool(y), 3)), "tiny")
    assert_exact(build.graph("x", w), "tiny")


def test_subsampled_projections() -> None:
    """1x1 with stride 2: one subsampling for all readers, none where a 3x3 needs the layout."""
    for kernel in (1, 3):
        build = GraphBuilder(rng=np.random.default_rng(kernel))
        x = build.conv(build.value("x", (2, 9, 12), False), 5, signed=True)
        y = build.conv(x, 6, 1, 2, signed=True)
        z = build.conv(x, 6, kernel, 2, residual=y)
        graph = build.graph("x", build.dense(build.pool(z), 3))
        ops = [d.op for d in decode(compile_graph(graph, get_config("tiny")))]
        assert (ops.count(Op.POOL), ops.count(Op.COPY)) == ((1, 0) if kernel == 1 else (0, 1))
        assert_exact(graph, "tiny")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_odd_rows_are_copied_before_their_gate_is_known(schedule: str) -> None:
    """Fuzz seed 1348: a 1x1 stride-2 convolution decides the gate that could skip the COPY of the
    odd rows, which a 3x3 one reads; that COPY ran or not by the gate's score of the image before.
    """
    for keep in (-16.0, 0.0, 16.0):
        build = GraphBuilder(rng=np.random.default_rng(1))
        x = build.value("x", (3, 7, 3), False)
        narrow = build.conv(x, 3, 1, stride=2, signed=True)
        fold = Fold(scores=build.gate(build.pool(narrow), 1, keep), per_channel=False)
        y = build.conv(build.conv(x, 3, 3, stride=2), 6, fold=fold)
        assert_exact(build.graph("x", y), "tiny", schedule, images=8)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, 0.0])
def test_exits(config: str, schedule: str, keep: float) -> None:
    """Each image ends where the graph says, with that exit's logits and no score beyond it."""
    graph = multi_exit(np.random.default_rng(3), (2, 9, 8), (6, 10, 12), (0.27, 0.52), keep=keep)
    package = compile_graph(graph, get_config(config), schedule)
    inputs, codes = random_inputs(package, 24, np.random.default_rng(1))
    records = run(package, inputs)
    taken = graph_exits(graph, run_graph(graph, codes))
    assert (exits_taken(records, package.meta) == taken).all()
    assert set(taken) == {0, 1, 2}
    expected = CompiledNetwork(package=package, graph=graph).run_graph(inputs)
    assert (records[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()


def test_thresholds_of_a_compiled_network() -> None:
    """0 always exits, above 1 never; the graph follows."""
    graph = multi_exit(np.random.default_rng(2), (2, 9, 8), (6, 10, 12), (0.5, 0.5))
    package = compile_graph(graph, get_config("tiny"))
    compiled = CompiledNetwork(package=package, graph=graph)
    inputs, _ = random_inputs(package, 6, np.random.default_rng(1))
    for thresholds, exit in (((0.0, 0.0), 0), ((2.0, 0.0), 1), ((1.5, 1.01), 2)):
        changed = compiled.with_thresholds(thresholds)
        records = run(changed.package, inputs)
        assert changed.decode_output(records).exits.tolist() == [exit] * 6
        expected = changed.run_graph(inputs)
        assert (records[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()
        assert (
            changed.decode_output(records).logits == changed.decode_output(expected).logits
        ).all()


def test_exits_that_are_refused() -> None:
    build = GraphBuilder(rng=np.random.default_rng(0))
    x = build.value("x", (2, 6, 6), False)
    y = build.conv(x, 4)
    z = build.conv(y, 4)
    build.leave(build.pool(z), 5, 0.5)
    build.leave(build.pool(y), 5, 0.5)
    graph = build.graph("x", build.dense(build.pool(z), 5))
    config = get_config("tiny")
    with pytest.raises(CompileError, match=r"exits run in the order dense5\.y, dense3\.y, not as"):
        compile_graph(graph, config)
    ordered = dataclasses.replace(graph, exits=graph.exits[::-1])
    assert compile_graph(ordered, config).meta["exits"][0]["name"] == "dense5.y"
    other = dataclasses.replace(graph.exits[0], logits="conv0.y")
    with pytest.raises(CompileError, match=r"exit 'conv0\.y' is not made by a dense layer"):
        compile_graph(dataclasses.replace(graph, exits=(other,)), config)
    build.leave(build.pool(z), 4, 0.5)
    wrong = build.graph("x", graph.output)
    with pytest.raises(CompileError, match=r"has shape \(4,\), the network's output \(5,\)"):
        compile_graph(dataclasses.replace(wrong, exits=wrong.exits[2:]), config)
