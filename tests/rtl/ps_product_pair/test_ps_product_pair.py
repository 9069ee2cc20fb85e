"""Runs the ps_product_pair bench."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_product_pair() -> None:
    run_unit(__file__)
