"""Every pair of operations with what lies between them skipped, at addresses that they share."""

import numpy as np
import pytest

from penstock.engines import COUNTED
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import Memory
from tests.sim.tangle import KINDS, inputs, pair, tangled

TINY = get_config("tiny")
IMAGES = 2


@pytest.fixture(scope="module")
def rtl() -> RtlCore:
    return RtlCore(TINY)


@pytest.fixture(scope="module")
def csim() -> CsimCore:
    return CsimCore(TINY)


def check(package: Package, rtl: RtlCore, csim: CsimCore, rng: np.random.Generator) -> None:
    """golden == csim == rtl, results and counters, with a memory by chance."""
    images = inputs(IMAGES, rng)
    expected = golden.run(package, images)
    memory = {"latency": int(rng.choice([1, 7, 40])), "stall": float(rng.choice([0.0, 0.3]))}
    for got in (csim.run(package, images), rtl.run(package, images, memory=Memory(**memory))):
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
        for name in COUNTED["golden"]:
            at = slice(4 * COUNTER_NAMES.index(name), 4 * COUNTER_NAMES.index(name) + 4)
            np.testing.assert_array_equal(got[:, at], expected[:, at], err_msg=name)


@pytest.mark.parametrize("first", KINDS)
def test_a_pair_with_the_descriptor_between_skipped(
    first: str, rtl: RtlCore, csim: CsimCore
) -> None:
    for second in KINDS:
        for seed in range(3):
            rng = np.random.default_rng([seed, KINDS.index(first), KINDS.index(second)])
            check(pair(TINY, first, second, rng), rtl, csim, rng)


@pytest.mark.parametrize("seed", range(8))
def test_a_dense_behind_a_convolution_without_sums(seed: int, rtl: RtlCore, csim: CsimCore) -> None:
    """The pair that once went wrong, in one of three of these programs."""
    rng = np.random.default_rng(seed)
    check(pair(TINY, "conv", "dense", rng), rtl, csim, rng)


@pytest.mark.parametrize("seed", range(40))
def test_any_operations(seed: int, rtl: RtlCore, csim: CsimCore) -> None:
    """A fixed slice of `make fuzz TANGLES=N`."""
    rng = np.random.default_rng(seed)
    check(tangled(TINY, rng), rtl, csim, rng)


def test_pairs_have_their_operations() -> None:
    """Each kind is what it is called, and something between the two is skipped, always."""
    ops = {"copy": Op.COPY, "pool": Op.POOL, "average": Op.POOL, "dense": Op.DENSE}
    ops |= {"gate": Op.GATE, "listed gate": Op.GATE, "load": Op.LOAD, "gload": Op.GLOAD}
    ops |= {"store": Op.STORE, "exit": Op.EXIT_IF, "table": Op.GLOAD}
    for first, second in zip(KINDS, KINDS[5:] + KINDS[:5], strict=True):
        package = pair(TINY, first, second, np.random.default_rng(3))
        data = package.descriptors
        program = [Descriptor.decode(data[at : at + 64]) for at in range(0, len(data), 64)]
        found = [d.op for d in program if not d.pred_en or d.pred_empty]
        for kind in (first, second):
            assert found.count(ops.get(kind, Op.CONV)) >= 4, kind
            assert kind != "conv by table" or sum(d.has_table for d in program) >= 4
        assert sum(d.pred_en for d in program) >= 4
