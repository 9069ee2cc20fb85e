"""`penstock deploy`: what is in the folder, and what is refused."""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.host.vectors import Vectors
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.network.package import Package


def deploy(penstock: Any, workspace: Any, output: Path, *options: object) -> Any:
    return penstock("deploy", workspace.compiled, "--board", "pynq-z2", "-o", output, *options)


@pytest.fixture
def folder(penstock: Any, workspace: Any, tmp_path: Path) -> Path:
    """A deployed folder, with the images beside the network."""
    output = tmp_path / "deploy"
    result = deploy(penstock, workspace, output)
    assert result.code == 0, result.err
    return output


def test_everything_is_there(folder: Path) -> None:
    for name in ("README.md", "quickstart.ipynb", "deploy.json", "vectors.npz", "net.pspkg",
                 "penstock/host/selftest.py", "penstock/program/core/registers.py"):  # fmt: skip
        assert (folder / name).is_file(), name
    assert (folder / "bitstream").is_dir()
    names = {path.name for path in (folder / "penstock").rglob("*") if path.is_file()}
    assert "__pycache__" not in names
    facts = json.loads((folder / "deploy.json").read_text())
    assert (facts["board"], facts["config"], facts["pynq"]) == ("pynq-z2", "tiny", "3.1.2")
    assert "TUL PYNQ-Z2" in (folder / "README.md").read_text()
    assert "$" not in (folder / "README.md").read_text()


def test_the_board_imports_what_it_carries(folder: Path) -> None:
    """No module of penstock.program that nothing there imports: the driver is to stay small.

    The simulated board, whose core is built where the driver runs, takes two more from the folder.
    """
    texts = [path.read_text() for path in (folder / "penstock").rglob("*.py")]
    imported = set(re.findall(r"(?:from|import) penstock\.program\.(\w+\.\w+)", "\n".join(texts)))
    program = folder / "penstock" / "program"
    paths = {path.relative_to(program).with_suffix("") for path in program.rglob("*.py")}
    carried = {".".join(path.parts) for path in paths if path.name != "__init__"}
    assert carried == imported | {"base.locks", "base.toollog"}


def test_checksums(folder: Path) -> None:
    listed = dict(reversed(line.split("  ")) for line in
                  (folder / "SHA256SUMS").read_text().splitlines())  # fmt: skip
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(listed) == files - {"SHA256SUMS", ".penstock.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_expected_results_are_golden(folder: Path, workspace: Any) -> None:
    from penstock.compiler.compiled import load
    from penstock.sim import golden

    compiled = load(workspace.compiled)
    vectors = Vectors.load(folder / "vectors.npz")
    assert (vectors.images == np.load(workspace.images)).all()
    assert (vectors.labels == np.load(workspace.labels)).all()
    records = golden.run(compiled.package, compiled.quantize_input(vectors.images))
    assert vectors.differing(records).sum() == 0
    assert vectors.results.shape[1] == compiled.package.meta["record_bytes"] - COUNTER_BYTES
    assert Package.load(folder / "net.pspkg") == compiled.package


def test_random_images_where_there_are_none(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    program = tmp_path / "elsewhere" / "program.pspkg"
    program.parent.mkdir()
    program.write_bytes((workspace.compiled / "program.pspkg").read_bytes())
    output = tmp_path / "deploy"
    result = penstock("deploy", program, "--board", "kv260", "-o", output, "--limit", 7)
    assert result.code == 0, result.err
    vectors = Vectors.load(output / "vectors.npz")
    assert len(vectors) == 7
    assert vectors.images.std() > 0


def test_zip(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    output = tmp_path / "board.zip"
    assert deploy(penstock, workspace, output).code == 0
    with zipfile.ZipFile(output) as archive:
        assert archive.testzip() is None
        assert "board/net.pspkg" in archive.namelist()
        assert "board/bitstream/" in archive.namelist()


def test_bitstream_is_included(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    bit = tmp_path / "mine.bit"
    bit.write_bytes(b"bits")
    assert (
        "mine.hwh: no such file" in deploy(penstock, workspace, tmp_path / "no", "--bit", bit).error
    )
    bit.with_suffix(".hwh").write_text("<x/>")
    output = tmp_path / "deploy"
    assert deploy(penstock, workspace, output, "--bit", bit).code == 0
    assert (output / "bitstream" / "penstock.bit").read_bytes() == b"bits"
    assert (output / "bitstream" / "penstock.hwh").is_file()


def test_it_replaces_only_what_it_made(penstock: Any, workspace: Any, folder: Path) -> None:
    assert deploy(penstock, workspace, folder).code == 0
    (folder / "bitstream" / "penstock.bit").write_bytes(b"of Vivado")
    (folder / "mine.ipynb").write_text("{}")
    assert deploy(penstock, workspace, folder).code == 0
    assert (folder / "bitstream" / "penstock.bit").read_bytes() == b"of Vivado"
    assert (folder / "mine.ipynb").is_file()
    (folder / ".penstock.json").unlink()
    assert "not the output of this command" in deploy(penstock, workspace, folder).error


@pytest.mark.parametrize(
    "options, message",
    [
        (("--board", "zedboard"), "unknown board 'zedboard'; one of kv260, pynq-z1"),
        (("--images", "none.npy"), "cannot read none.npy"),
        (("--bit", "none.bit"), "cannot read none.bit"),
    ],
)
def test_refusals(
    penstock: Any, workspace: Any, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = deploy(penstock, workspace, tmp_path / "deploy", *options)
    assert message in result.error
    assert not (tmp_path / "deploy").exists()
