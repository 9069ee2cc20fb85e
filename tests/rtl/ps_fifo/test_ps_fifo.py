"""Runs the ps_fifo bench for several depths."""

from pathlib import Path

import pytest

from penstock.sim.cocotb.runner import module_sources, run_bench


@pytest.mark.parametrize("depth", [1, pytest.param(3, marks=pytest.mark.long), 4])
def test_ps_fifo(depth: int) -> None:
    run_bench(
        Path(__file__).parent / "cocotb_ps_fifo.py",
        top="ps_fifo",
        sources=module_sources("ps_fifo"),
        parameters={"Width": 16, "Depth": depth},
    )
