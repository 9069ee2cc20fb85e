"""The emitted Tcl in a recording interpreter: it parses, names what exists, holds the board's data.

No Vivado runs here or has run: what Vivado does with these commands is not known.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.boards import load_board
from penstock.boards.vivado.scripts import plan, run_vivado, write_scripts
from penstock.boards.vivado.settings import tcl
from penstock.boards.vivado.wrapper import wrapper_text
from penstock.cli.main import main
from penstock.host.registermap import HASH_PARAMETER, VLNV, hwh_registers
from penstock.program.base.files import WriteError
from penstock.program.core.config import get_config
from penstock.sim.sources import rtl_sources, verilator_env

BOARDS = ("kv260", "pynq-z1", "pynq-z2", "ultra96v2", "zcu104")
Record = Callable[..., Any]


def script_of(folder: Path, board: str, core: str = "rtl", config: str | None = None) -> Path:
    ip = folder / "hls" / "ip"
    if core == "hls":
        ip.mkdir(parents=True)
        (ip / "component.xml").write_text("<component/>")
    return write_scripts(plan(board, core, config, folder / "build", ip))


@pytest.mark.parametrize("core", ["rtl", "hls"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_command_runs_and_the_board_is_in_it(
    tmp_path: Path, record: Record, name: str, core: str
) -> None:
    script = script_of(tmp_path, name, core)
    done = record(script)
    assert done.code == 0, done.error
    board = load_board(name)
    project = done.named("create_project")[-1]
    assert project[project.index("-part") + 1] == board.part
    assert ["board_part", board.board_part, "<current_project >"] in done.named("set_property")
    cells = {words[-1]: words[words.index("-vlnv") + 1] for words in done.named("create_bd_cell")}
    assert cells["penstock_0"] == VLNV[core]
    assert set(cells) == {"ps_0", "penstock_0", "axi_intc_0"}
    pins = [" ".join(words) for words in done.named("connect_bd_net")]
    assert any(f"ps_0/{board.ps['interrupt']}" in pin for pin in pins)
    rules = [" ".join(words) for words in done.named("apply_bd_automation")]
    assert sum(f"Master /ps_0/{board.ps['control']} Slave" in rule for rule in rules) == 2
    assert any(f"penstock_0/m_axi_gmem Slave /ps_0/{board.ps['memory']}" in r for r in rules)
    for name_of_file in ("penstock.bit", "penstock.hwh"):
        assert (script.parent / name_of_file).is_file()


@pytest.mark.parametrize("core", ["rtl", "hls"])
@pytest.mark.parametrize("name", BOARDS)
def test_processing_system(tmp_path: Path, record: Record, name: str, core: str) -> None:
    """Ports as the board has them, and each core at its own clock."""
    board = load_board(name)
    clock = str(board.clock(core, board.configs[0]))
    done = record(script_of(tmp_path, name, core))
    words = next(w for w in done.named("set_property") if w[-1] == "<get_bd_cells ps_0>")
    flat = words[1].replace("{", "").replace("}", "").split()
    settings = dict(zip(flat[::2], flat[1::2], strict=True))
    if board.family == "zynq7":
        assert settings["CONFIG.PCW_USE_M_AXI_GP0"] == "1"
        assert settings["CONFIG.PCW_USE_S_AXI_HP0"] == "1"
        assert settings["CONFIG.PCW_S_AXI_HP0_DATA_WIDTH"] == str(board.axi_bits)
        assert settings["CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ"] == clock
    else:
        assert settings["CONFIG.PSU__USE__S_AXI_GP2"] == "1"
        assert settings["CONFIG.PSU__SAXIGP2__DATA_WIDTH"] == str(board.axi_bits)
        assert settings["CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ"] == clock


@pytest.mark.parametrize("config", ["z7020", "z7020x2", "tiny"])
def test_the_packaged_core(tmp_path: Path, record: Record, config: str) -> None:
    done = record(script_of(tmp_path, "pynq-z2", config=config))
    files = done.named("add_files")[0][-1].replace("{", "").replace("}", "").split()
    assert all(Path(name).is_file() for name in files), files
    assert {Path(name).resolve() for name in files[:-1]} == {*rtl_sources(config)}
    assert Path(files[-1]).name == "penstock_top.v"
    assert [w[1] for w in done.named("set_property") if w[0] == "top"][:1] == ["penstock_top"]
    registers = hwh_registers()
    assert [w[0] for w in done.named("ipx::add_register")] == [r.name for r in registers]
    offsets = [w[1] for w in done.named("set_property") if w[0] == "address_offset"]
    assert [int(offset, 0) for offset in offsets] == [r.offset for r in registers]
    assert len(done.named("ipx::add_field")) == sum(len(r.fields) for r in registers)
    assert done.named("ipx::add_user_parameter")[0][0] == HASH_PARAMETER
    values = [w[1] for w in done.named("set_property") if w[0] == "value"]
    assert values == [f"{get_config(config).hash:#010x}"]


def test_failed_implementation_stops(tmp_path: Path, record: Record) -> None:
    done = record(script_of(tmp_path, "kv260"), progress="40%")
    assert done.code == 1
    assert "implementation failed" in done.error


def test_missed_timing_stops(tmp_path: Path, record: Record) -> None:
    script = script_of(tmp_path, "kv260")
    done = record(script, slack="-0.123")
    assert done.code == 1
    clock = load_board("kv260").rtl_mhz["z7020"]
    assert f"timing is not met at {clock} MHz: slack -0.123 ns" in done.error
    assert not (script.parent / "penstock.bit").exists()


def test_the_interpreter_notices_a_wrong_command(tmp_path: Path, record: Record) -> None:
    """Mutation: the recording is no rubber stamp."""
    script = script_of(tmp_path, "kv260")
    design = script.with_name("design.tcl")
    design.write_text(design.read_text().replace("assign_bd_address", "assign_bd_adress"))
    assert "no command 'assign_bd_adress'" in record(script).error
    script.with_name("implement.tcl").write_text("launch_runs impl_1 {")
    design.write_text("")
    assert "missing close-brace" in record(script).error


def test_wrapper_lints(tmp_path: Path) -> None:
    """Verilator takes the plain Verilog top around the core."""
    top = tmp_path / "penstock_top.v"
    top.write_text(wrapper_text())
    sources = [str(path) for path in rtl_sources("tiny")]
    command = ["verilator", "--lint-only", "-Wno-fatal", "--top-module", "penstock_top"]
    done = subprocess.run(
        [*command, *sources, str(top)], env=verilator_env(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "PIN" not in done.stderr


ODD = ("a[b]", "a b", "$x", 'q"q', "a{b", "a}b", "back\\", "semi;#", "é", "new\nline", "{*}[exit]")


def test_every_word_comes_back_from_tcl(tmp_path: Path) -> None:
    """Alone, in a list, and in a list within a list."""
    assert tcl(["a b", 1, []]) == "{{a b} {1} {}}"
    script = tmp_path / "words.tcl"
    lines = ["fconfigure stdout -encoding utf-8 -translation lf"]
    for word in ODD:
        lines += [f"set word {tcl(word)}", 'puts -nonewline "$word\\0"']
    lines += [f"set words {tcl([list(ODD)])}"]
    lines += ['foreach word [lindex $words 0] { puts -nonewline "$word\\0" }']
    script.write_text("\n".join(lines), encoding="utf-8")
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("no tclsh here: apt-get install tcl")
    command = [tclsh, "-encoding", "utf-8", str(script)]
    out = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")
    assert out.split("\0")[:-1] == [*ODD, *ODD]


@pytest.mark.parametrize("name", ["a[b] c", "$HOME {x", 'q"u;o}te', "star*?", "back\\slash"])
def test_a_folder_of_any_name(tmp_path: Path, record: Record, name: str) -> None:
    folder = tmp_path / name
    script = script_of(folder, "pynq-z2")
    done = record(script)
    assert done.code == 0, done.error
    for result in ("penstock.bit", "penstock.hwh"):
        assert (script.parent / result).is_file()
    created = {words[2] for words in done.named("create_project")}
    assert created == {f"{script.parent}/project", f"{script.parent}/package"}


def test_only_the_scripts_are_replaced(tmp_path: Path) -> None:
    script = script_of(tmp_path, "pynq-z2")
    (script.parent / "penstock.bit").write_bytes(b"hours of work")
    (script.parent / "project").mkdir()
    write_scripts(plan("kv260", "rtl", None, script.parent, tmp_path))
    assert (script.parent / "penstock.bit").read_bytes() == b"hours of work"
    script.write_text("# mine\n")
    with pytest.raises(WriteError, match=r"build\.tcl in .* changed since"):
        write_scripts(plan("pynq-z2", "rtl", None, script.parent, tmp_path))
    assert script.read_text() == "# mine\n"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "build.tcl").write_text("# mine\n")
    with pytest.raises(WriteError, match="is not the output of this command"):
        write_scripts(plan("pynq-z2", "rtl", None, foreign, tmp_path))


@pytest.mark.parametrize(
    "options, message",
    [
        (["--board", "kv260", "--run"], "error: Vivado is not on PATH; source its settings64.sh"),
        (["--board", "none"], "error: unknown board 'none'; one of kv260"),
        (["--board", "kv260", "--config", "big"], "error: unknown hardware configuration 'big'"),
        (["--board", "kv260", "--core", "hls"], "error: no HLS core to build with"),
    ],
)
def test_one_clear_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ip = ["--hls-ip", str(tmp_path / "none")]
    assert main(["bitstream", *options, *ip, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_vivado_is_run_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "vivado"
    fake.write_text('#!/bin/sh\necho "$@" > told\nexit 3\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = tmp_path / "build.tcl"
    assert run_vivado(script) == 3
    assert (tmp_path / "told").read_text() == f"-mode batch -nojournal -source {script}\n"
