"""Runs the ps_scale bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_scale() -> None:
    run_unit(__file__)
