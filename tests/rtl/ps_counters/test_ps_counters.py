"""Runs the ps_counters bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_counters() -> None:
    run_unit(__file__, wrapper=True)
