"""Runs the ps_axi_write bench."""

from pathlib import Path

import pytest

from penstock.sim.cocotb.runner import module_sources, run_bench


@pytest.mark.parametrize("outstanding", [pytest.param(1, marks=pytest.mark.long), 4])
def test_ps_axi_write(outstanding: int) -> None:
    run_bench(
        Path(__file__).parent / "cocotb_ps_axi_write.py",
        top="ps_axi_write",
        sources=module_sources("ps_axi_write"),
        parameters={"MaxOutstanding": outstanding},
    )
