"""Runs the ps_axil_regs bench."""

from pathlib import Path

from penstock.sim.cocotb.runner import module_sources, run_bench


def test_ps_axil_regs() -> None:
    run_bench(
        Path(__file__).parent / "cocotb_ps_axil_regs.py",
        top="ps_axil_regs",
        sources=module_sources("ps_pkg", "ps_axil_regs"),
    )
