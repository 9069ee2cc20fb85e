"""Options of the tests of the HLS core."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rtl-dir", type=Path, help="Verilog that Vitis HLS wrote (make sim-hls)")
