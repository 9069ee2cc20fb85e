"""`penstock bitstream`: the Vivado scripts of one bitstream, and the run that builds it."""

from pathlib import Path

import rich_click as click

from penstock.cli.errors import load
from penstock.cli.files import force_option
from penstock.program.core.hardware import NAMES


@click.command(
    epilog="""Examples:\n
    penstock bitstream --board pynq-z2 -o build/bitstream/pynq-z2-rtl\n
    penstock bitstream --board kv260 --core hls --run -o build/bitstream/kv260-hls
    """
)
@click.option("--board", default="pynq-z2", show_default=True, metavar="NAME")
@click.option("--core", type=click.Choice(["rtl", "hls"]), default="rtl", show_default=True)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help=f"Hardware configuration: {NAMES} (default: the board's first).",
)
@click.option(
    "--hls-ip",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="IP that Vitis HLS exported (--core hls; default: where `make hls` leaves it).",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to build in."
)
@force_option
@click.option("--run", is_flag=True, help="Run Vivado on the scripts; it has to be on PATH.")
def bitstream(
    board: str,
    core: str,
    config_name: str | None,
    hls_ip: Path | None,
    output: Path,
    force: bool,
    run: bool,
) -> int:
    """Write the Vivado scripts that build a core's bitstream for a board.

    What else lies in the folder stays, Vivado's results above all. With --run the exit code is
    Vivado's.
    """
    scripts = load("penstock.boards.vivado.scripts")
    ip = scripts.ROOT / scripts.HLS_IP if hls_ip is None else hls_ip
    script = scripts.write_scripts(scripts.plan(board, core, config_name, output, ip), force=force)
    print(f"wrote {script}")
    return int(scripts.run_vivado(script)) if run else 0
