"""Runs the ps_copy bench."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize("config", ["tiny", pytest.param("z7020", marks=pytest.mark.long)])
def test_ps_copy(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
