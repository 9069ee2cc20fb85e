"""Runs the ps_sequencer bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_sequencer() -> None:
    run_unit(__file__, wrapper=True)
