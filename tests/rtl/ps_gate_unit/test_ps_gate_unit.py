"""Runs the bench of ps_gate_unit and ps_gate_store."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize("config", ["tiny", pytest.param("z7020", marks=pytest.mark.long)])
def test_ps_gate_unit(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
