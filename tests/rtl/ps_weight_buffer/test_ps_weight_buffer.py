"""Runs the bench of ps_weight_request, ps_weight_response and ps_weight_buffer."""

import pytest

from penstock.sim.cocotb.runner import run_unit


@pytest.mark.parametrize("config", ["tiny", pytest.param("z7020", marks=pytest.mark.long)])
def test_ps_weight_buffer(config: str) -> None:
    run_unit(__file__, config=config, wrapper=True)
