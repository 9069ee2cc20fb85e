"""Runs the ps_desc_fetch bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_desc_fetch() -> None:
    run_unit(__file__, wrapper=True)
