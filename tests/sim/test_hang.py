"""A bus that stops answering: the core ends by itself, keeps to AXI, and recovers with the bus."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.registers import WATCHDOG_CYCLES, ErrorCode
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.job import Job
from penstock.sim.rtl.engine import RtlCore, RunResult
from tests.compiler.back.graphs import random_inputs
from tests.sim.illegal import RNG, network
from tests.sim.options import split

#: Longer than the watchdog and the flush behind it.
LIMIT = 2 * WATCHDOG_CYCLES + 100_000


@pytest.fixture(scope="module")
def core() -> Iterator[RtlCore]:
    core = RtlCore("tiny")
    yield core
    core.close()


def run(core: RtlCore, package: Package, inputs: np.ndarray, **options: Any) -> RunResult:
    result = core.execute(Job.of(package, inputs), max_cycles=LIMIT, **split(options))
    assert (result.message, result.violations) == ("", 0)
    assert not result.timed_out and result.bad_accesses == 0
    return result


@pytest.mark.parametrize(
    "hang",
    [
        ("r",),
        ("w",),
        *(pytest.param(h, marks=pytest.mark.long) for h in [("ar",), ("aw",), ("b",), ("r", "b")]),
    ],
    ids="+".join,
)
def test_watchdog(core: RtlCore, hang: tuple[str, ...]) -> None:
    """WATCHDOG in two limits, again while the bus hangs, then a run like any other."""
    package = network(keep=0.5)
    inputs = random_inputs(package, 2, RNG(4))[0]
    hung = run(core, package, inputs, hang=hang, hang_cycle=2000)
    assert hung.error == ErrorCode.WATCHDOG
    assert WATCHDOG_CYCLES < hung.cycles < LIMIT
    again = run(core, package, inputs, hang=hang, reset=False)
    assert (again.error, again.output.any()) == (ErrorCode.WATCHDOG, False)
    # The bus answers again, first what it still owes: a start before that ends at once.
    after = run(core, package, inputs, reset=False)
    if after.error == ErrorCode.WATCHDOG:
        assert after.cycles < 1000
        after = run(core, package, inputs, reset=False)
    assert after.error == ErrorCode.NONE
    expected = golden.run(package, inputs)
    np.testing.assert_array_equal(after.output[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
