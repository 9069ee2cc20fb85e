"""Runs the ps_requantize bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_requantize() -> None:
    run_unit(__file__)
