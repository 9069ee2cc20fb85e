"""Fixtures shared by every folder of tests."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from penstock.program.base.locks import locked

# Spinning OpenMP threads beside Verilator cost a factor of ten on two cores; before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """--long: also what takes minutes."""
    parser.addoption("--long", action="store_true", help="run the tests marked long as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only --long runs; modules with slow tests first.

    Processes take module after module (--dist loadscope): a slow one begun last would be waited for
    by all others.
    """
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="make test-long runs it"))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What one run of `penstock demo` writes, minutes: once for all the processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "demo"
    with locked(folder.with_suffix(".lock"), "the demo"):
        if not (folder / "report.json").is_file():  # the last that it writes
            command = [sys.executable, "-m", "penstock.cli.main", "demo", "-o", str(folder)]
            subprocess.run(command, check=True)
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator: every run draws the same numbers."""
    return np.random.default_rng(20240731)


@pytest.fixture(scope="session")
def mlperf_tiny(repository: Path) -> Path:
    """MLPerf Tiny's reference networks as ONNX files, if they lie beside the working tree."""
    found = repository.parent / "shared" / "data" / "mlperf_tiny"
    if not found.is_dir():
        pytest.skip("MLPerf Tiny's networks are not beside the working tree")
    return found
