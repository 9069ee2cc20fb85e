"""csim and the Verilator harness under AddressSanitizer and UndefinedBehaviorSanitizer."""

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.program.core.config import get_config
from penstock.sim import sanitize
from penstock.sim.csim.build import build_csim
from penstock.sim.rtl.build import build_library
from penstock.sim.sources import TOP, rtl_sources


def build(engine: str) -> Path:
    """The sanitized library of `tiny`."""
    if engine == "csim":
        return build_csim(get_config("tiny"), sanitized=True)
    return build_library("tiny", rtl_sources("tiny"), top=TOP, sanitized=True)


def run(engine: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim.sanitized", engine, str(build(engine)), *options]
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        command, cwd=root, env=sanitize.environment(), capture_output=True, text=True
    )


@pytest.mark.long
@pytest.mark.parametrize("engine", ["csim", "rtl"])
def test_nothing_is_found(engine: str) -> None:
    done = run(engine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "6 networks\n"


@pytest.mark.long
@pytest.mark.parametrize("engine", ["csim", "rtl"])
def test_an_overrun_is_found(engine: str) -> None:
    """A read behind a buffer ends the process: the sanitizer is really there."""
    done = run(engine, "overrun")
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
