"""What is generated of the core's SystemVerilog stands in the repository as it would be written."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from penstock.program.core.pins import PINS
from penstock.program.generate.systemverilog import STAND_IN, generated_files, main, with_pins
from penstock.sim.sources import rtl_sources, verilator_env


def test_the_repository_is_current(repository: Path) -> None:
    files = generated_files(repository / "rtl")
    tops = {repository / "rtl" / "penstock.sv", repository / STAND_IN}
    assert tops <= set(files) and len(files) > len(tops) + 2
    assert [path for path, text in files.items() if path.read_text() != text] == []


def test_a_pin_is_put_right_and_nothing_else(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(repository / "rtl", tmp_path / "rtl")
    top = tmp_path / "rtl" / "penstock.sv"
    right = top.read_text()
    wrong = right.replace("output wire [63:0] m_axi_gmem_awaddr", "output wire [31:0] m_axi_awaddr")
    assert wrong != right and with_pins(wrong) == right
    top.write_text(wrong)
    assert main(["--check", str(tmp_path / "rtl")]) == 1
    assert "penstock.sv: not what" in capsys.readouterr().out
    assert main([str(tmp_path / "rtl")]) == 0
    assert top.read_text() == right
    assert main(["--check", str(tmp_path / "rtl")]) == 0


def test_every_pin_is_used(repository: Path) -> None:
    """In both tops, behind the port list."""
    for top in (repository / "rtl" / "penstock.sv", repository / STAND_IN):
        body = top.read_text().partition("\n);\n")[2]
        assert [pin.name for pin in PINS if not re.search(rf"\b{pin.name}\b", body)] == []


def test_the_stand_in_lints(repository: Path) -> None:
    sources = [str(path) for path in rtl_sources("tiny") if path.stem != "penstock"]
    command = ["verilator", "--lint-only", "-Wno-fatal", "--top-module", "echo_top"]
    files = [*sources, str(repository / STAND_IN)]
    done = subprocess.run([*command, *files], env=verilator_env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "PIN" not in done.stderr and "WIDTH" not in done.stderr
