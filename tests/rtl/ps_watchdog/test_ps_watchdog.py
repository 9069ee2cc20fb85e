"""Runs the ps_watchdog bench with short limits."""

from pathlib import Path

import pytest

from penstock.sim.cocotb.runner import module_sources, run_bench

HERE = Path(__file__).parent


@pytest.mark.parametrize("cycles", [2, pytest.param(5, marks=pytest.mark.long), 16])
def test_ps_watchdog(cycles: int) -> None:
    run_bench(
        HERE / "cocotb_ps_watchdog.py",
        top="ps_watchdog",
        sources=module_sources("ps_pkg", "ps_watchdog"),
        parameters={"Cycles": cycles},
    )
