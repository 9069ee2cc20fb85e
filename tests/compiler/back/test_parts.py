"""Convolutions in several descriptors: how many groups share one, and MACs that stay the same."""

import numpy as np
import pytest

from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import predict
from penstock.compiler.estimate.macs import count_macs
from penstock.compiler.ir import Conv, Graph
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.parts import bundle_cycles
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import Op
from tests.compiler.back.graphs import GraphBuilder, mobilenet

RNG = np.random.default_rng
Z7020 = get_config("z7020")


def one(channels: int, groups: int, side: int, kernel: int = 3) -> Graph:
    build = GraphBuilder(rng=RNG(0))
    x = build.value("x", (channels, side, side), False)
    return build.graph(x, build.conv(x, channels, kernel, groups=groups))


def descriptors(graph: Graph) -> list[int]:
    """Input channels of each CONV."""
    return [d.cin for d in decode(compile_graph(graph, Z7020)) if d.op == Op.CONV]


def test_groups_of_the_arrays_rows_are_a_descriptor_each() -> None:
    assert descriptors(one(64, 4, 16)) == [16] * 4
    assert descriptors(one(16, 2, 16)) == [8] * 2


def test_small_groups_share_where_the_map_is_small() -> None:
    """On 4 x 4 pixels four rows leave half of the array idle; on 32 x 32 they get more pixels."""
    assert max(descriptors(one(32, 8, 4))) > 4
    assert descriptors(one(32, 8, 32)) == [4] * 8


@pytest.mark.parametrize(("groups", "side"), [(8, 4), (16, 6), (16, 16)])
def test_the_choice_is_the_cheapest(groups: int, side: int) -> None:
    graph = one(64, groups, side)
    (conv,) = graph.nodes
    assert isinstance(conv, Conv)
    chosen = descriptors(graph)[0] * groups // 64
    cost = {b: bundle_cycles(conv, b, side * side, Z7020) for b in (1, 2, 4, 8)}
    assert cost[chosen] == min(cost.values())
    # The estimate orders as the whole cost model does.
    dense = compile_graph(one(64, 1, side), Z7020)
    grouped = compile_graph(graph, Z7020)
    assert predict(grouped, {}).cycles[0] < predict(dense, {}).cycles[0]


@pytest.mark.parametrize("side", [4, 7, 16])
@pytest.mark.parametrize("groups", [2, 8, 16, 32])
def test_macs_do_not_count_zeros(groups: int, side: int) -> None:
    package = compile_graph(one(32, groups, side), Z7020)
    assert count_macs(package, {}).dense == 9 * 32 * 32 // groups * side * side


def test_parts_keep_the_macs() -> None:
    """On `tiny` the expansions of a MobileNet do not fit whole."""
    graph = mobilenet(RNG(0), (3, 22, 20))
    small, large = (compile_graph(graph, get_config(name)) for name in ("tiny", "z7020"))
    assert small.n_descriptors > large.n_descriptors
    assert count_macs(small, {}).dense == count_macs(large, {}).dense
