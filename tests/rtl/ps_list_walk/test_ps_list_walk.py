"""Runs the ps_list_walk bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_list_walk() -> None:
    run_unit(__file__)
