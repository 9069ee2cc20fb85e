"""Runs the bench of ps_operands and ps_array."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize(
    "config", ["tiny", pytest.param("z7020", marks=pytest.mark.long), "z7020x2"]
)
def test_ps_array(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
