"""Runs the benches of ps_ram and ps_bank_ram."""

from pathlib import Path

import pytest

from penstock.sim.cocotb.runner import module_sources, run_bench


@pytest.mark.parametrize(
    ("top", "parameters"),
    [("ps_ram", {"Width": 20, "Depth": 12}), ("ps_bank_ram", {"Banks": 4, "Depth": 16})],
)
def test_ps_ram(top: str, parameters: dict[str, int]) -> None:
    run_bench(
        Path(__file__).parent / f"cocotb_{top}.py",
        top=top,
        sources=module_sources(top),
        parameters=parameters,
    )
