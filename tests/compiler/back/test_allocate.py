"""Buffers never overlap while both live; what does not fit is refused with the numbers."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Fold, Graph
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.allocate import (
    Block,
    allocate,
    buffer_blocks,
    extent,
    place,
    plane_size,
)
from penstock.compiler.plan.schedule import schedule_graph
from penstock.compiler.plan.steps import Buffer
from penstock.program.core.config import HwConfig, get_config
from tests.compiler.back.graphs import GraphBuilder, lcnet, single_conv

TINY = get_config("tiny")
RNG = np.random.default_rng

LIVES = st.lists(
    st.tuples(st.integers(1, 64), st.integers(0, 12), st.integers(0, 6)), max_size=14
).map(
    lambda items: [
        Block(name=str(i), size=size, first=first, last=first + length)
        for i, (size, first, length) in enumerate(items)
    ]
)


def assert_disjoint(blocks: list[Block], offsets: dict[str, int]) -> None:
    for i, one in enumerate(blocks):
        for two in blocks[:i]:
            low, high = sorted((one, two), key=lambda block: offsets[block.name])
            apart = offsets[low.name] + low.size <= offsets[high.name]
            assert apart or not one.meets(two), (one, two)


@given(LIVES)
def test_blocks_alive_together_are_apart(blocks: list[Block]) -> None:
    offsets = place(blocks)
    assert set(offsets) == {block.name for block in blocks}
    assert_disjoint(blocks, offsets)
    live = [sum(b.size for b in blocks if b.first <= step <= b.last) for step in range(20)]
    assert max(live) <= extent(blocks, offsets) <= sum(block.size for block in blocks)


@given(LIVES, st.lists(st.integers(0, 4), max_size=14), st.integers(0, 2**32))
def test_rows_keep_their_order(blocks: list[Block], rows: list[int], seed: int) -> None:
    """Blocks of a row lie at their offsets, which may even share a unit; all others are apart."""
    ends: dict[str, int] = {}
    for index, row in enumerate(rows[: len(blocks)]):
        start = max(ends.get(f"row{row}", 0) - seed % 2, 0)
        blocks[index] = dataclasses.replace(blocks[index], row=f"row{row}", offset=start)
        ends[f"row{row}"] = start + blocks[index].size
    offsets = place(blocks)
    assert set(offsets) == {block.owner for block in blocks}
    assert min(offsets.values(), default=0) >= 0
    for i, one in enumerate(blocks):
        for two in blocks[:i]:
            starts = [offsets[block.owner] + block.offset for block in (one, two)]
            apart = starts[0] + one.size <= starts[1] or starts[1] + two.size <= starts[0]
            assert apart or not one.meets(two) or one.owner == two.owner
    spans = {block.owner: 0 for block in blocks}
    for block in blocks:
        spans[block.owner] = max(spans[block.owner], block.offset + block.size)
    assert extent(blocks, offsets) <= sum(spans.values())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    widths=st.tuples(st.integers(1, 12), st.integers(1, 20)),
    schedule=st.sampled_from(["sequential", "parallel"]),
)
def test_networks(seed: int, size: tuple[int, int], widths: tuple[int, ...], schedule: str) -> None:
    plan = schedule_graph(lcnet(RNG(seed), (2, *size), widths), schedule)
    allocation = allocate(plan, TINY)
    assert_disjoint(buffer_blocks(plan, TINY), allocation.buffers)
    assert allocation.peak <= TINY.fmem_bytes


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 8), (2, 9, 7), (5, 24, 20)])
def test_polyphase_planes(config: str, shape: tuple[int, int, int]) -> None:
    core = get_config(config)
    stride, phase = plane_size(Buffer(name="p", shape=shape, polyphase=True), core)
    assert phase >= -(-shape[1] // 2) * -(-shape[2] // 2)
    assert phase % core.fmem_banks == core.fmem_banks // 2
    assert stride == 4 * phase


def refusal(graph: Graph, config: HwConfig) -> str:
    with pytest.raises(CompileError) as caught:
        compile_graph(graph, config)
    return str(caught.value)


def test_feature_memory_too_small() -> None:
    """By how much, at which node, and which tensors are alive with how many bytes."""
    message = refusal(single_conv(RNG(0), (8, 40, 32), 8), TINY)
    assert message.startswith("node 'conv0': the network needs 20480 bytes of feature memory")
    assert "4096 more than the 16384 of 'tiny'" in message
    assert "alive there, in bytes: " in message
    assert re.search(r"\bx 10240\b", message)
    assert re.search(r"\bconv0\.y 10240\b", message)
    assert message.endswith("choose a larger configuration, or smaller or fewer maps")


def test_weight_buffer_too_small() -> None:
    message = refusal(single_conv(RNG(0), (100, 2, 2), 4), TINY)
    assert "node 'conv0' (Conv): 100 input channels of a 3x3 kernel take 1200 bytes" in message
    assert "the weight buffer of 'tiny' has 1024" in message


def test_too_many_channels() -> None:
    message = refusal(single_conv(RNG(0), (3, 2, 2), 130, kernel=1), TINY)
    assert message == "node 'conv0' (Conv): 3 -> 130 channels, 'tiny' has at most 128"


def test_map_too_wide() -> None:
    message = refusal(single_conv(RNG(0), (1, 1, 1024), 1), TINY)
    assert message == "node 'conv0' (Conv): map of 1 x 1024, at most 1023 a side"


def test_gate_memories_too_small() -> None:
    graph = lcnet(RNG(0), (1, 8, 8), (8, 16))
    for field, value, text in (
        ("gate_mem_bytes", 64, "gate memory of 'tiny' has 32 for weights that are loaded"),
        ("score_depth", 16, "26 gate scores, the score memory of 'tiny' holds 16"),
        ("pool_depth", 4, "pooled sums needed, there are 4"),
    ):
        assert text in refusal(graph, dataclasses.replace(TINY, **{field: value}))


def test_too_many_lists() -> None:
    build = GraphBuilder(rng=RNG(0))
    x = build.value("x", (4, 4, 4), False)
    pooled = build.pool(x)
    gates = [build.gate(pooled, 4) for _ in range(3)]
    maps = [build.conv(x, 4, fold=Fold(scores=gate, per_channel=True)) for gate in gates]
    y = build.conv(maps[0], 4)
    for hidden in maps[1:]:
        y = build.conv(hidden, 4, residual=y)
    message = refusal(build.graph("x", y), TINY)
    assert "3 survivor lists needed, there are 2" in message
    assert message.startswith("node '")
