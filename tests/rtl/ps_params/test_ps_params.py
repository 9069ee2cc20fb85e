"""Runs the ps_params bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_params() -> None:
    run_unit(__file__, config="z7020", wrapper=True)
