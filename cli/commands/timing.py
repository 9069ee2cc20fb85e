"""`penstock timing`: how fast the core may be clocked: the estimate, or Vivado's own report."""

import dataclasses
from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.errors import InputError, load
from penstock.cli.output import emit, json_option, table
from penstock.program.core.hardware import NAMES, hardware


@click.command(
    epilog="""Examples:\n
    penstock timing --config z7020 --board pynq-z2\n
    penstock timing --vivado build/bitstream/timing_summary.rpt\n
    penstock timing --board zcu104 --rows 20 --json timing.json
    """
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help=f"Hardware configuration: {NAMES} (default: the board's first).",
)
@click.option("--board", default="pynq-z2", show_default=True, help="Whose part to estimate for.")
@click.option(
    "--vivado",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="REPORT",
    help="A file of report_timing_summary; what it says takes the estimate's place.",
)
@click.option("--rows", type=click.IntRange(min=1), default=10, show_default=True, help="Paths.")
@json_option
def timing(
    config_name: str | None, board: str, vivado: Path | None, rows: int, json_to: str | None
) -> None:
    """Print fmax and the worst paths of a core on a board.

    Without --vivado an estimate from the netlist, as the last `make timing` stored it: nothing was
    placed or routed.
    """
    chosen = load("penstock.boards.board").load_board(board)
    config = hardware(config_name or chosen.configs[0])
    chosen.require(config)
    name = config.name
    if vivado is not None:
        figures, tables = _vivado(vivado, rows)
    elif config.is_own:
        raise InputError(
            f"{name} is a configuration of your own, for which no estimate is stored",
            hint="build its bitstream and give Vivado's report: --vivado REPORT",
        )
    else:
        figures, tables = _estimate(chosen, name, rows)
    figures = {"config": name, "board": board, "clock_mhz": chosen.clock("rtl", name)} | figures
    emit(figures, json_to, *tables)


def _estimate(board: Any, config: str, rows: int) -> tuple[dict[str, Any], list[Any]]:
    stored = load("penstock.bench.timing.stored")
    delays = load("penstock.bench.timing.delays").delays_of(board.part)
    cores = stored.load()
    stored.fmax(cores, config, board)  # an error if there is none
    report = cores[config].reports[delays]
    tables = load("penstock.bench.timing.tables").screen(config, report, rows)
    figures = dataclasses.asdict(report)
    figures["pairs"] = figures["pairs"][:rows]
    return {"source": "estimate", "fmax_mhz": report.fmax[stored.SETTING]} | figures, tables


def _vivado(path: Path, rows: int) -> tuple[dict[str, Any], list[Any]]:
    found = load("penstock.bench.timing.vivado").read(path)
    totals = table(f"{path} (Vivado)", "", "")
    totals.add_row("device", f"{found.device}, speed file {found.speed}")
    totals.add_row("design state", found.state)
    totals.add_row("clock", f"{found.clock}, {found.period:g} ns")
    totals.add_row("worst slack of setup", f"{found.slack:.3f} ns")
    totals.add_row("fmax", f"{found.fmax:.1f} MHz")
    totals.add_row("ends of paths, failing", f"{found.ends:,}, {found.failing:,}")
    paths = table("worst paths", "from", "to", "slack, ns", "levels")
    for way in found.paths[:rows]:
        paths.add_row(way.source, way.target, f"{way.slack:.3f}", str(way.levels))
    figures = dataclasses.asdict(found) | {"source": "vivado", "fmax_mhz": round(found.fmax, 1)}
    return figures, [totals, paths]
