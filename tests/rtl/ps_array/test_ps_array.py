"""Runs the bench of ps_operands and ps_array."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize(
    "config", ["tiny", *(pytest.param(c, marks=pytest.mark.long) for c in ("z7020", "z7020x2"))]
)
def test_ps_array(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
