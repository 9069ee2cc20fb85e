"""Runs the ps_load_store bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_load_store() -> None:
    run_unit(__file__, wrapper=True)
