"""`python -m penstock.host.selftest` as it is typed on the board."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.program.network.package import Package
from penstock.sim.board import write_design


@pytest.fixture
def deployed(bundle: Path, tmp_path: Path, package: Package, board: str) -> Path:
    """A copy of the bundle with a bitstream in place."""
    folder = tmp_path / "deploy"
    shutil.copytree(bundle, folder)
    (folder / "bitstream").mkdir(exist_ok=True)
    write_design(folder / "bitstream", architecture=board, config_hash=package.config_hash)
    return folder


def run(folder: Path, board: str, *options: str) -> Any:
    command = [sys.executable, "-m", "penstock.sim.board", "--architecture", board]
    command += ["-m", "penstock.host.selftest", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)


def test_pass(deployed: Path, board: str) -> None:
    done = run(deployed, board)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 100 of 100 images equal, 0 bytes differ" in done.stdout


def test_fail(deployed: Path, board: str) -> None:
    with np.load(deployed / "vectors.npz") as data:
        arrays = dict(data)
    arrays["results"][3, 0] ^= 1
    np.savez_compressed(deployed / "vectors.npz", **arrays)
    done = run(deployed, board, "--limit", "5")
    assert done.returncode == 1, done.stderr
    assert "first differing image: 3" in done.stdout
    assert "FAIL: 4 of 5 images equal, 1 bytes differ" in done.stdout


@pytest.mark.parametrize(
    "name, message",
    [
        ("vectors.npz", "error: vectors.npz is missing"),
        ("net.pspkg", "error: net.pspkg: No such file"),
        ("bitstream/penstock.bit", "error: bitstream/penstock.bit: .*does not exist"),
        ("bitstream/penstock.hwh", "error: bitstream/penstock.hwh is missing"),
    ],
)
def test_something_is_missing(deployed: Path, board: str, name: str, message: str) -> None:
    import re

    (deployed / name).unlink()
    done = run(deployed, board)
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
