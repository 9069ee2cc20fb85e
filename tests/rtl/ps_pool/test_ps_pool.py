"""Runs the ps_pool bench."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize("config", ["tiny", pytest.param("z7020", marks=pytest.mark.long)])
def test_ps_pool(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
