"""The notebook, unmodified, from top to bottom on the simulated board."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from penstock.program.network.package import Package
from penstock.sim.board import write_design

STARTUP = """\
from penstock.sim.board import SimulatedBoard, install
from penstock.sim.rtl.bus import RtlBus
install(SimulatedBoard(RtlBus("z7020"), architecture={board!r}))
"""


def test_quickstart(
    bundle: Path,
    tmp_path: Path,
    package: Package,
    board: str,
    repository: Path,
    rtl_core: Any,  # built before the kernel starts, which may take no minute
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "deploy"
    shutil.copytree(bundle, folder)
    (folder / "bitstream").mkdir(exist_ok=True)
    write_design(folder / "bitstream", architecture=board, config_hash=package.config_hash)
    # The board appears before the notebook's first cell, as it does on a board.
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-board.py").write_text(STARTUP.format(board=board))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(folder / "quickstart.ipynb", as_version=4)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, startup_timeout=300, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "0 bytes differ in 100 images" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    kept = repository / "build" / "host" / f"quickstart-pynq{version('pynq')}.ipynb"
    nbformat.write(notebook, kept)
