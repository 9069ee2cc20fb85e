"""Hand-made programs: golden == csim == rtl, whatever a compiler would write."""

import numpy as np
import pytest

from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.sim.handmade import dense_behind_conv, inputs

TINY = get_config("tiny")


@pytest.fixture(scope="module")
def rtl() -> RtlCore:
    return RtlCore(TINY)


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("outputs", [1, 5, 24])
def test_a_dense_behind_a_convolution_that_still_writes(
    rtl: RtlCore, outputs: int, kernel: int, sums: bool
) -> None:
    """What drains out of the array reaches feature memory, which the DENSE writes too."""
    package = dense_behind_conv(TINY, outputs, kernel=kernel, sums=sums)
    images = inputs(3, np.random.default_rng(1))
    expected = golden.run(package, images)
    assert len(np.unique(expected[:, COUNTER_BYTES:])) > 20
    for core in (CsimCore(TINY), rtl):
        got = core.run(package, images)
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
