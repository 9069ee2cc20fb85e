"""Concats are addresses: where parts lie, what is permuted, what is copied all the same."""

from collections.abc import Callable

import numpy as np
import pytest

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.disasm import listing
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import predict
from penstock.compiler.estimate.report import build_report
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Concat, Fold, Graph
from penstock.compiler.passes.concat import flatten_concats, place_concats
from penstock.compiler.passes.duplicate_residuals import duplicate_residuals
from penstock.compiler.passes.order_siblings import order_siblings
from penstock.compiler.passes.subsample import subsample
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import Op
from penstock.program.network.exits import exits_taken
from penstock.program.network.package import Package
from penstock.sim import golden
from tests.compiler.back.graphs import GraphBuilder, densenet, random_inputs, staged
from tests.compiler.back.test_bit_exact import CONFIGS, SCHEDULES, assert_exact

RNG = np.random.default_rng
Make = Callable[[GraphBuilder, list[str]], str]


def joined(make: Make, channels: tuple[int, ...] = (3, 2, 4), seed: int = 0) -> Graph:
    """Maps of 8 x 6, each of the one before; `make` goes on from them, a dense layer ends it."""
    build = GraphBuilder(rng=RNG(seed))
    maps = [build.value("x", (2, 8, 6), False)]
    for count in channels:
        maps.append(build.conv(maps[-1], count))
    return build.graph("x", build.dense(build.pool(make(build, maps)), 4))


def nested(build: GraphBuilder, maps: list[str]) -> str:
    y = build.conv(build.concat(*maps[1:3]), 3)
    return build.conv(build.concat(build.concat(*maps[1:3]), maps[3], y), 5)


def apart(build: GraphBuilder, maps: list[str]) -> str:
    """1 with 2, and 1 with 3: the first lies between the others."""
    return build.conv(
        build.concat(maps[1], maps[3]), 5, residual=build.conv(build.concat(*maps[1:3]), 5)
    )


def apart_in_order(build: GraphBuilder, maps: list[str]) -> str:
    """The same, read by what has no weight for each channel: in the order of the file."""
    left = build.map_pool(build.concat(maps[1], maps[3]), 2, 2, average=True)
    return build.conv(left, 5, residual=build.conv(build.concat(maps[2], maps[1]), 5, stride=2))


def every_pair(build: GraphBuilder, maps: list[str]) -> str:
    """No order has all three pairs side by side: one is copied."""
    y = build.conv(build.concat(maps[1], maps[2]), 5)
    y = build.conv(build.concat(maps[2], maps[3]), 5, residual=y)
    return build.conv(build.concat(maps[1], maps[3]), 5, residual=y)


def twice(build: GraphBuilder, maps: list[str]) -> str:
    return build.conv(build.concat(maps[1], maps[2], maps[1]), 5)


def with_image(build: GraphBuilder, maps: list[str]) -> str:
    return build.conv(build.concat(maps[0], maps[3]), 5)


def strided(build: GraphBuilder, maps: list[str]) -> str:
    """A part is read with stride 2 before the Concat, which is read so twice."""
    y = build.conv(maps[2], 4, stride=2)
    both = build.concat(maps[1], maps[2])
    y = build.conv(both, 4, 1, 2, residual=build.conv(both, 4, 5, 2, residual=y))
    return build.conv(build.concat(both, maps[3]), 4, 3, 2, residual=y)


def subsampled(build: GraphBuilder, maps: list[str]) -> str:
    return build.conv(build.concat(*maps[2:]), 4, 1, 2)


def per_channel(build: GraphBuilder, maps: list[str]) -> str:
    """Affine and depthwise, of a Concat and of another order of its parts."""
    y = build.conv(build.concat(*maps[1:3]), 5, 1, groups=5)
    y = build.conv(build.concat(maps[2], maps[1]), 5, groups=5, residual=y)
    return build.conv(build.concat(y, maps[3]), 3, groups=3)


def windows(build: GraphBuilder, maps: list[str]) -> str:
    both = build.concat(*maps[1:])
    y = build.map_pool(both, 3, 2, 1)
    return build.concat(y, build.map_pool(both, 3, 2, 1, average=True), build.conv(both, 2, 1, 2))


def residual_in_a_part(build: GraphBuilder, maps: list[str]) -> str:
    """A sum in place of a part that is read again, and of one that is not; both are parts."""
    y = build.conv(maps[2], 3, residual=maps[1])
    y = build.conv(build.concat(maps[1], y), 3, residual=y)
    return build.conv(build.concat(y, maps[2]), 4, residual=maps[3])


def residual_moves(build: GraphBuilder, maps: list[str]) -> str:
    """A map that nothing else reads is made where the sum will lie: in the Concat."""
    y = build.conv(maps[2], 3, residual=build.conv(maps[2], 3, 1, signed=True))
    return build.conv(build.concat(y, maps[3]), 4)


def residual_is_a_concat(build: GraphBuilder, maps: list[str]) -> str:
    both = build.concat(*maps[1:3])
    y = build.conv(both, 5, residual=both)
    return build.conv(build.concat(y, both), 5, residual=y)


def gates(build: GraphBuilder, maps: list[str]) -> str:
    """Of a Concat, of a part whose sums both need, and over a Concat's channels."""
    both = build.concat(*maps[1:3])
    block = build.gate(build.pool(both), 1)
    channel = build.gate(build.pool(maps[2]), 3)
    y = build.conv(both, 3, fold=Fold(scores=channel, per_channel=True))
    y = build.conv(y, 3, fold=Fold(scores=block, per_channel=False), residual=maps[1])
    masked = build.conv(y, 4, fold=Fold(scores=build.gate(build.pool(y), 4), per_channel=True))
    build.conv(masked, 2)
    return build.conv(build.concat(y, masked, maps[3]), 5)


def masked(build: GraphBuilder, maps: list[str], keep: float = 0.2) -> str:
    """Dense layers whose new channels a gate masks, as ACS does."""
    parts = maps[1:]
    for count in (7, 5):
        gate = build.gate(build.pool(parts[-1]), count, keep)
        hidden = build.conv(build.concat(*parts), 6, 1)
        parts.append(build.conv(hidden, count, fold=Fold(scores=gate, per_channel=True)))
    return build.concat(*parts)


def masked_depthwise(build: GraphBuilder, maps: list[str]) -> str:
    gate = build.gate(build.pool(maps[1]), 4)
    fold = Fold(scores=gate, per_channel=True)
    y = build.conv(build.conv(maps[3], 4), 4, 7, groups=4, fold=fold)
    return build.conv(build.concat(y, maps[1]), 5, 3, 2)


CASES: list[Make] = [
    nested,
    apart,
    apart_in_order,
    every_pair,
    twice,
    with_image,
    strided,
    subsampled,
    per_channel,
    windows,
    residual_in_a_part,
    residual_moves,
    residual_is_a_concat,
    gates,
    masked,
    masked_depthwise,
]


@pytest.mark.parametrize("make", CASES, ids=[case.__name__ for case in CASES])
def test_exact(make: Make) -> None:
    for config in CONFIGS:
        for schedule in SCHEDULES:
            assert_exact(joined(make), config, schedule, images=4)


@pytest.mark.parametrize("make", CASES, ids=[case.__name__ for case in CASES])
def test_passes_keep_values(make: Make) -> None:
    """Of all maps but those of a Concat in another order."""
    graph = joined(make)
    placed = place_concats(order_siblings(subsample(flatten_concats(graph))))
    images = RNG(1).integers(0, 256, (3, 2, 8, 6)).astype(np.uint8)
    before, after = run_graph(graph, images), run_graph(duplicate_residuals(placed), images)
    assert (before[graph.output] == after[graph.output]).all()
    moved = {node.output for node in placed.nodes if isinstance(node, Concat)}
    for name in (set(before) & set(after)) - moved:
        if len(graph.values[name].shape) == 3:
            assert (before[name] == after[name]).all(), name


def copies(graph: Graph, config: str = "tiny") -> list[str]:
    package = compile_graph(graph, get_config(config))
    return [layer["name"] for layer in package.meta["layers"] if layer.get("kind") == "copy"]


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (nested, 0),
        (apart, 0),
        (apart_in_order, 0),
        (every_pair, 2),
        (twice, 1),
        (with_image, 1),
        (strided, 0),
        (windows, 0),
        (per_channel, 2),
        (residual_in_a_part, 2),
        (residual_moves, 0),
        (residual_is_a_concat, 2),
    ],
)
def test_copies(make: Make, count: int) -> None:
    """Most Concats copy nothing; the report counts the copies of the others."""
    graph = joined(make)
    assert len(copies(graph)) == count
    report = build_report(compile_graph(graph, get_config("tiny")))["concats"]["copies"]
    assert report["descriptors"] == count and (report["cycles"] > 0) == (count > 0)


@pytest.mark.parametrize("keep", [-16.0, 0.1, 16.0])
def test_masked_parts_are_skipped(keep: float) -> None:
    """Zeros for every channel, then the survivors: no weights of the others, fewer cycles."""
    graph = joined(lambda build, maps: masked(build, maps, keep))
    values = assert_exact(graph, "tiny", images=6)
    package = compile_graph(graph, get_config("tiny"))
    layers = package.meta["layers"]
    cleared = [index for index, layer in enumerate(layers) if layer.get("kind") == "clear"]
    code = decode(package)
    for index in cleared:
        fill, conv = code[index : index + 2]
        assert (fill.cin, fill.dst, fill.cout) == (0, conv.dst, conv.cout)
        assert conv.w_rows and conv.out_list != ALL_CHANNELS
    report = build_report(package)
    assert len(cleared) == 2
    assert report["predicted_cycles"]["closed"] < 0.8 * report["predicted_cycles"]["open"]
    names = [gate["name"] for gate in package.meta["gates"]]
    fetched = predict(package, {name: values[name] for name in names}).weight_bytes
    counted = golden.run(package, random_inputs(package, 6, RNG(0))[0])[:, :COUNTER_BYTES]
    at = COUNTER_NAMES.index("weight_bytes")
    assert (np.ascontiguousarray(counted).view("<u4")[:, at] == fetched).all()


def test_a_row_of_more_parts_than_are_permuted() -> None:
    """Prefixes of ten parts, as in a dense block, need no search."""
    graph = densenet(RNG(0), stem=3, growth=2, layers=(9,))
    assert_exact(graph, "tiny")
    assert not copies(graph)
    (row,) = place_concats(flatten_concats(graph)).adjacent
    assert len(row) == 10


def test_every_address_of_a_concat() -> None:
    """A reader's source is its first part's destination; the others follow plane by plane."""
    build = GraphBuilder(rng=RNG(0))
    x = build.value("x", (2, 5, 5), False)
    parts = [build.conv(x, count) for count in (3, 1, 2)]
    graph = build.graph("x", build.conv(build.concat(*parts), 4))
    *makers, reader = [
        d for d in decode(compile_graph(graph, get_config("tiny"))) if d.op == Op.CONV
    ]
    assert reader.cin == 6 and reader.src == makers[0].dst
    assert [d.dst - reader.src for d in makers] == [0, 75, 100]


def test_polyphase_copies_of_parts() -> None:
    """Each part is copied once, neighbours that are there together in one COPY."""
    code = decode(compile_graph(joined(strided), get_config("tiny")))
    assert [d.cout for d in code if d.op == Op.COPY] == [2, 3, 4]
    graph = joined(lambda build, maps: build.conv(build.concat(*maps[1:]), 4, stride=2))
    code = decode(compile_graph(graph, get_config("tiny")))
    assert [d.cout for d in code if d.op == Op.COPY] == [9]


def staged_package(config: str = "tiny") -> Package:
    return compile_graph(staged(RNG(1), (2, 8, 8)), get_config(config))


@pytest.mark.parametrize(
    "reuse",
    [((), (0,), (0, 1)), ((), (0,), (0,)), ((), (), (1,)), ((), (0,), (1,)), ((), (), ())],
)
def test_stages(reuse: tuple[tuple[int, ...], ...]) -> None:
    """Reused stages in every combination: records right, nothing copied but residuals."""
    graph = staged(RNG(2), (2, 9, 8), reuse=reuse)
    for config in CONFIGS:
        compiled = CompiledNetwork(package=compile_graph(graph, get_config(config)), graph=graph)
        inputs, _ = random_inputs(compiled.package, 4, RNG(3))
        for index, thresholds in enumerate(((0.0, 0.0), (2.0, 0.0), (2.0, 2.0))):
            changed = compiled.with_thresholds(thresholds)
            expected, got = changed.run_graph(inputs), golden.run(changed.package, inputs)
            assert (got[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()
            assert set(exits_taken(got, changed.package.meta)) == {index}
    assert not [name for name in copies(graph) if ".copy" not in name]


def test_an_exit_comes_before_the_next_stage() -> None:
    """All that the first exit needs, then the exit, then the second stage: no map of it before."""
    names = [layer["name"] for layer in staged_package().meta["layers"]]
    code = decode(staged_package())
    exits = [index for index, d in enumerate(code) if d.op == Op.EXIT_IF]
    numbers = [
        [int(name[4:].split(".")[0]) for name in part if name.startswith("conv")]
        for part in (names[: exits[0]], names[exits[0] : exits[1]], names[exits[1] :])
    ]
    assert [len(set(part)) for part in numbers] == [6, 6, 6]
    assert max(numbers[0]) < min(numbers[1]) and max(numbers[1]) < min(numbers[2])


def test_parts_wait_for_no_memory() -> None:
    """Where later stages' parts will lie others may lie before: less than rows kept throughout."""
    memory = staged_package().meta["memory"]
    spans: dict[str, list[int]] = {}
    for block in memory:
        row = spans.setdefault(block.get("row", block["name"]), [block["address"], 0, 999, 0])
        row[0] = min(row[0], block["address"])
        row[1] = max(row[1], block["address"] + block["bytes"])
        row[2], row[3] = min(row[2], block["steps"][0]), max(row[3], block["steps"][1])
    used = max(block["address"] + block["bytes"] for block in memory)
    last = max(row[3] for row in spans.values())
    held = max(
        sum(end - start for start, end, a, b in spans.values() if a <= step <= b)
        for step in range(last + 1)
    )
    assert used < held


def test_listing_and_report_name_the_rows() -> None:
    package = staged_package()
    rows = build_report(package)["concats"]["rows"]
    assert [len(parts) for parts in rows.values()].count(3) == len(rows)
    text = listing(package)
    for row, parts in rows.items():
        for part in parts:
            assert f": {part}, part of {row}\n" in text
