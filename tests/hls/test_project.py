"""`penstock hls`: what is emitted, that it simulates, and how Vitis is found and run."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from penstock.compiler.pipeline import compile_graph
from penstock.hls.project import STEPS, Target, emit
from penstock.hls.sources import HlsError
from penstock.hls.tools import find_vitis, run_gcc, run_vitis
from penstock.program.core.config import get_config
from penstock.program.generate.cplusplus import CONFIG_HEADER
from penstock.program.network.package import Package
from penstock.sim import golden
from tests.compiler.back.graphs import lcnet, random_inputs

TARGET = Target(board="pynq-z2", part="xc7z020clg400-1", clock_mhz=100)
REPORTS = Path(__file__).parent / "reports"


@pytest.fixture(scope="module")
def package() -> Package:
    graph = lcnet(np.random.default_rng(1), (2, 6, 8), (6, 10), keep=0.0)
    return compile_graph(graph, get_config("tiny"))


@pytest.fixture(scope="module")
def project(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    inputs, _ = random_inputs(package, 3, np.random.default_rng(2))
    emit(folder, package, TARGET, inputs, golden.run(package, inputs))
    return folder


def test_what_is_emitted(project: Path, package: Package) -> None:
    names = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {"README.md", "build.tcl", "options.tcl", "hls_config.cfg"} <= names
    assert {"src/penstock.cpp", "src/ps_types.h", "src/ps_config.h"} <= names
    assert {"tb/penstock_tb.cpp", "tb/vectors.bin"} <= names
    assert "#include <ap_int.h>" in (project / "src" / "ps_types.h").read_text()
    # One bus for Vitis, one for every other compiler; which is decided by the include path.
    assert "#include <hls_burst_maxi.h>" in (project / "bus_vitis" / "ps_bus.h").read_text()
    assert "hls_burst_maxi.h" not in (project / "bus_plain" / "ps_bus.h").read_text()
    assert not (project / "src" / "ps_bus.h").exists()
    for name in ("build.tcl", "hls_config.cfg"):
        assert "-I./src -I./bus_vitis" in (project / name).read_text()
        assert "bus_plain" not in (project / name).read_text()
    assert "-Isrc -Ibus_plain" in (project / "README.md").read_text()
    # The memories as they are synthesised.
    assert "read_banks" in (project / "src" / "ps_memory.h").read_text()
    header = (project / "src" / CONFIG_HEADER).read_text()
    assert f"0x{package.config_hash:08X}u" in header
    assert f"PROGRAM_BEATS = {len(package.descriptors) // 8};" in header
    for name in ("build.tcl", "hls_config.cfg", "README.md"):
        text = (project / name).read_text()
        assert "xc7z020clg400-1" in text
        assert not re.search(r"\$\w*title|\$\{?part", text)


def test_scripts(project: Path) -> None:
    tcl = (project / "build.tcl").read_text()
    for command in (
        *("set_top penstock", "set_part {xc7z020clg400-1}", "create_clock -period 10 "),
        *("-m_axi_addr64=true", "csim_design", "csynth_design", "cosim_design", "export_design"),
    ):
        assert command in tcl
    assert (project / "options.tcl").read_text().endswith("set steps {csim csynth cosim export}\n")
    config = (project / "hls_config.cfg").read_text()
    files = re.findall(r"^(?:syn|tb)\.file=\./(.*)$", config, re.M)
    assert all((project / name).is_file() for name in files)
    assert "syn.top=penstock\n" in config
    assert "clock=10ns\n" in config


@pytest.mark.parametrize("name", ["plain", "a[b] {c}", '$x "q"', "star*?;", "open{"])
def test_tcl_runs(project: Path, tmp_path: Path, name: str) -> None:
    """The script under a Tcl interpreter in which the tool's commands only note their names."""
    tkinter = pytest.importorskip("tkinter")
    project = Path(shutil.copytree(project, tmp_path / name))
    tcl = tkinter.Tcl()
    called: list[tuple[str, ...]] = []
    for name in re.findall(r"^(?:if .*\{ )?(\w+)", (project / "build.tcl").read_text(), re.M):
        if name not in ("set", "cd", "source", "foreach", "if", "exit"):
            tcl.createcommand(name, lambda *words, name=name: called.append((name, *words)))
    for name in ("add_files", "csim_design", "csynth_design", "cosim_design", "export_design"):
        tcl.createcommand(name, lambda *words, name=name: called.append((name, *words)))
    tcl.createcommand("exit", lambda: None)
    before = Path.cwd()
    try:
        tcl.call("source", str(project / "build.tcl"))
    finally:
        os.chdir(before)
    order = [call[0] for call in called]
    assert order[-4:] == ["csim_design", "csynth_design", "cosim_design", "export_design"]
    added = [call for call in called if call[0] == "add_files"]
    files = {word for call in added for word in call if word.startswith(("src/", "tb/"))}
    assert {f"src/{path.name}" for path in (project / "src").glob("*.cpp")} <= files
    assert {"tb/penstock_tb.cpp", "tb/vectors.bin"} <= files
    assert ("csim_design", "-argv", "vectors.bin") in called
    # No word holds the folder's path, which may be any.
    assert not any(str(project) in word for call in called for word in call)


def test_c_simulation(project: Path) -> None:
    assert run_gcc(project) == {"images": 3, "error": 0, "mismatches": 0}


@pytest.mark.long
def test_a_difference_is_found(project: Path, tmp_path: Path) -> None:
    """One bit of the expected records flipped; and a file cut short."""

    shutil.copytree(project, tmp_path / "p")
    vectors = tmp_path / "p" / "tb" / "vectors.bin"
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(data)
    assert run_gcc(tmp_path / "p") == {"images": 3, "error": 0, "mismatches": 1}
    vectors.write_bytes(data[:-8])
    with pytest.raises(HlsError, match="is cut short"):
        run_gcc(tmp_path / "p")


def test_broken_sources_are_reported(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cpp").write_text("int main( {")
    with pytest.raises(HlsError, match=r"could not compile the project: .*a.cpp:1:.*gcc\.log"):
        run_gcc(tmp_path)
    assert "a.cpp" in (tmp_path / "gcc.log").read_text()


def fake_tool(folder: Path, name: str, code: int = 0) -> None:
    """A program that writes the reports where Vitis HLS puts them."""
    script = folder / name
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, shutil, sys\n"
        "target = pathlib.Path('vitis/solution/syn/report')\n"
        f"shutil.copytree({str(REPORTS)!r}, target, dirs_exist_ok=True)\n"
        "pathlib.Path('arguments').write_text(' '.join(sys.argv[1:]))\n"
        f"print('synthesising'); sys.exit({code})\n"
    )
    script.chmod(0o755)


@pytest.mark.parametrize(
    "name, arguments",
    [("vitis_hls", "-f build.tcl"), ("vitis-run", "--mode hls --tcl build.tcl")],
)
def test_vitis_is_found_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_vitis() is None
    fake_tool(tmp_path, name)
    assert find_vitis() == name
    run_vitis(name, tmp_path)
    assert (tmp_path / "arguments").read_text() == arguments
    fake_tool(tmp_path, name, code=3)
    with pytest.raises(HlsError, match=f"{name} stopped with exit code 3"):
        run_vitis(name, tmp_path)


def test_clock_periods() -> None:
    periods = [Target(board="", part="", clock_mhz=mhz).period for mhz in (100, 150, 200, 333.333)]
    assert periods == ["10", "6.667", "5", "3"]
    assert TARGET.steps == STEPS


def test_report_of_a_synthesis(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command with a stand-in for Vitis on PATH: its figures are in report.json."""
    from penstock.cli.commands.hls import run_project

    project = tmp_path / "project"
    project.mkdir()
    fake_tool(tmp_path, "vitis_hls")
    monkeypatch.setenv("PATH", str(tmp_path))
    figures = run_project(project)
    assert json.loads(json.dumps(figures))["synthesis"]["used"]["dsp"] == 171
    assert figures["tool"] == "vitis_hls"
    assert (project / "reports" / "penstock_csynth.xml").is_file()
