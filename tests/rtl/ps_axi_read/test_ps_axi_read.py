"""Runs the ps_axi_read bench: one client with few bursts in flight, three with many."""

from pathlib import Path

import pytest

from penstock.sim.cocotb.runner import module_sources, run_bench


@pytest.mark.parametrize(
    "clients, outstanding", [pytest.param(1, 2, marks=pytest.mark.long), (3, 8)]
)
def test_ps_axi_read(clients: int, outstanding: int) -> None:
    run_bench(
        Path(__file__).parent / "cocotb_ps_axi_read.py",
        top="ps_axi_read",
        sources=module_sources("ps_fifo", "ps_axi_read"),
        parameters={"NumClients": clients, "MaxOutstanding": outstanding},
    )
