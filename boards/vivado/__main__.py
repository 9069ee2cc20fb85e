"""Writes the Vivado scripts of one bitstream, and with --run builds it.

python -m penstock.boards.vivado --board pynq-z2 --core rtl -o build/bitstream/pynq-z2-rtl
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from penstock.boards.board import BoardError, board_names, load_board
from penstock.boards.vivado.settings import Build, settings_text
from penstock.boards.vivado.wrapper import TOP, wrapper_text
from penstock.program.config import HwConfig
from penstock.program.errors import PenstockError
from penstock.program.folder import write_folder
from penstock.program.hardware import NAMES, hardware
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


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.boards.vivado", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--board", required=True, help=", ".join(board_names()))
    parser.add_argument("--core", choices=("rtl", "hls"), default="rtl")
    parser.add_argument("--config", help=f"{NAMES} (default: the board's first)")
    parser.add_argument("--hls-ip", type=Path, default=ROOT / HLS_IP, help="exported IP (hls)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to build in")
    parser.add_argument(
        "--force", action="store_true", help="write into a folder with other files in it, too"
    )
    parser.add_argument("--run", action="store_true", help="run Vivado on the scripts")
    options = parser.parse_args(arguments)
    try:
        build = plan(options.board, options.core, options.config, options.output, options.hls_ip)
        script = write_scripts(build, force=options.force)
        print(f"wrote {script}")
        return run_vivado(script) if options.run else 0
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
