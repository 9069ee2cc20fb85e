"""Runs the bench of the whole core in configuration `tiny`."""

from pathlib import Path

from penstock.sim.cocotb.runner import run_bench
from penstock.sim.sources import TOP, rtl_sources

TESTS = Path(__file__).parents[2]


def test_penstock() -> None:
    run_bench(
        Path(__file__).parent / "cocotb_penstock.py",
        top=TOP,
        sources=rtl_sources("tiny"),
        paths=[TESTS / "compiler" / "back"],  # its graphs.py
    )
