"""Runs the bench of ps_pair_sums."""

from penstock.sim.cocotb.runner import run_unit


def test_ps_pair_sums() -> None:
    run_unit(__file__, config="z7020x2", wrapper=True)
