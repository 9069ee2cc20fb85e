"""Writes the Vivado scripts of one bitstream, and builds it (`penstock bitstream`)."""

import shutil
import subprocess
from pathlib import Path

from penstock.boards.board import BoardError, load_board
from penstock.boards.vivado.settings import Build, settings_text
from penstock.boards.vivado.wrapper import TOP, wrapper_text
from penstock.program.base.folder import write_folder
from penstock.program.core.config import HwConfig
from penstock.program.core.hardware import hardware
from penstock.sim.sources import rtl_sources

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = ("build.tcl", "package_ip.tcl", "design.tcl", "implement.tcl")

#: Where `make hls` and Vitis HLS leave the exported IP.
HLS_IP = "build/hls/vitis/solution/impl/ip"


def write_scripts(build: Build, *, force: bool = False) -> Path:
    """Write build.tcl and what it needs into build.folder; returns its path.

    What else lies there stays, Vivado's results above all.  WriteError as `write_folder`.
    """

    def write(folder: Path) -> None:
        for name in SCRIPTS:
            shutil.copyfile(HERE / name, folder / name)
        if build.core == "rtl":
            (folder / f"{TOP}.v").write_text(wrapper_text(), encoding="utf-8")
        text = settings_text(build).encode("utf-8", "surrogateescape")
        (folder / "settings.tcl").write_bytes(text)

    write_folder(build.folder, write, "bitstream", force=force)
    return build.folder / "build.tcl"


def rtl_files(config: HwConfig, folder: Path) -> tuple[Path, ...]:
    """The core's SystemVerilog in configuration `config`, and the Verilog top in `folder`."""
    return (*rtl_sources(config), folder / f"{TOP}.v")


def plan(board_name: str, core: str, config_name: str | None, folder: Path, ip: Path) -> Build:
    """What to build.  BoardError if the board, the configuration or the HLS IP is not there."""
    board = load_board(board_name)
    config = hardware(config_name or board.configs[0])
    board.require(config)
    folder = folder.resolve()
    if core == "rtl":
        sources = rtl_files(config, folder)
        return Build(board=board, config=config, core=core, folder=folder, sources=sources)
    ip = ip.resolve()
    if not list(ip.rglob("component.xml")):
        raise BoardError(
            f"no HLS core to build with: {ip} holds no exported IP (component.xml)",
            hint="synthesise it with Vitis HLS first, or use CORE=rtl",
        )
    return Build(board=board, config=config, core=core, folder=folder, ip=ip)


def run_vivado(script: Path) -> int:
    """Run Vivado on a script; its exit code.  BoardError if it is not on PATH."""
    vivado = shutil.which("vivado")
    if vivado is None:
        raise BoardError(
            "Vivado is not on PATH", hint=f"source its settings64.sh; the scripts are in {script}"
        )
    command = [vivado, "-mode", "batch", "-nojournal", "-source", str(script)]
    return subprocess.run(command, cwd=script.parent).returncode
