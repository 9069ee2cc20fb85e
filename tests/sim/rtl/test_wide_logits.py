"""Programs with logits of 16 bits on every engine: exits and outputs of both widths, a layer in
parts, other thresholds, cycles."""

import numpy as np
import pytest

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.disasm import listing
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import predict
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import Op
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.back.graphs import GraphBuilder

TINY = get_config("tiny")
#: int16 logits of the exit, of the output.
WIDTHS = [(True, True), (True, False), (False, True)]


@pytest.fixture(scope="module")
def rtl() -> RtlCore:
    return RtlCore(TINY)


@pytest.fixture(scope="module")
def csim() -> CsimCore:
    return CsimCore(TINY)


def leaving(widths: tuple[bool, bool], classes: int = 10, threshold: float = 0.3) -> Graph:
    """Two convolutions, with an exit between them."""
    build = GraphBuilder(rng=np.random.default_rng(5))
    x = build.conv(build.value("x", (2, 6, 5), signed=True), 12)
    build.leave(build.pool(x), classes, threshold, wide=widths[0])
    y = build.conv(x, 20)
    return build.graph("x", build.dense(build.pool(y), classes, wide=widths[1]))


def inputs(count: int, stride: int = 64) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(0, 256, (count, stride), np.uint8)


def agree(package: Package, data: np.ndarray, rtl: RtlCore, csim: CsimCore) -> np.ndarray:
    """The records of golden, which are the others'."""
    expected = golden.run(package, data)
    at = 4 * COUNTER_NAMES.index("exit")
    for got in (csim.run(package, data), rtl.run(package, data)):
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
        np.testing.assert_array_equal(got[:, at : at + 4], expected[:, at : at + 4])
    return expected


@pytest.mark.parametrize("widths", WIDTHS)
def test_exits_and_outputs_of_both_widths(
    widths: tuple[bool, bool], rtl: RtlCore, csim: CsimCore
) -> None:
    graph = leaving(widths)
    package = compile_graph(graph, TINY)
    meta = package.meta
    assert [meta["exits"][0].get("bits"), meta["output"].get("bits")] == [
        16 if wide else None for wide in widths
    ]
    network = CompiledNetwork(package=package, graph=graph)
    seen: set[int] = set()
    for threshold in (0.0, 0.2, 0.3, 0.5, 2.0):
        chosen = network.with_thresholds([threshold])
        data = inputs(16)
        records = agree(chosen.package, data, rtl, csim)
        whole = chosen.run_graph(data)
        np.testing.assert_array_equal(records[:, COUNTER_BYTES:], whole[:, COUNTER_BYTES:])
        decoded = chosen.decode_output(records)
        assert decoded.logits.shape == (16, 10)
        seen |= set(decoded.exits.tolist())
    assert seen == {0, 1}


def test_classes_in_parts(rtl: RtlCore, csim: CsimCore) -> None:
    """More weights than gate memory holds: the numbers of the parts follow each other."""
    build = GraphBuilder(rng=np.random.default_rng(6))
    x = build.conv(build.value("x", (2, 6, 5), signed=True), 128)
    graph = build.graph("x", build.dense(build.pool(x), 125, wide=True))
    package = compile_graph(graph, TINY)
    parts = [d for d in decode(package) if d.op == Op.DENSE]
    assert len(parts) > 1 and all(d.wide for d in parts)
    assert parts[1].dst == parts[0].dst + 2 * parts[0].cout
    records = agree(package, inputs(3), rtl, csim)
    network = CompiledNetwork(package=package, graph=graph)
    assert len(np.unique(network.decode_output(records).logits[0])) > 115


def test_cycles_are_those_of_eight_bits(rtl: RtlCore) -> None:
    """But for the STOREs, and what the cost model says of them holds."""
    cycles = {}
    for wide in (False, True):
        package = compile_graph(leaving((wide, wide), threshold=2.0), TINY)
        records = rtl.run(package, inputs(12))
        counted = records[:, :4].copy().view("<u4")[:, 0].astype(float)
        predicted = float(np.mean(predict(package, {}, exits=np.ones(12, np.int64)).cycles))
        cycles[wide] = counted.mean()
        assert abs(predicted / counted.mean() - 1) < 0.02
    assert 0 <= cycles[True] - cycles[False] <= 4


def test_the_listing_says_it() -> None:
    text = listing(compile_graph(leaving((True, False)), TINY))
    dense = [line for line in text.splitlines() if "DENSE" in line]
    assert ["int16" in line for line in dense] == [True, False]
    (leave,) = [line for line in text.splitlines() if "EXIT_IF" in line]
    assert "10 int16 @" in leave and " i," not in leave
