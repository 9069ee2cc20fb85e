"""A timing run as tables: in Markdown for the documents, with rich for the screen."""

from collections.abc import Mapping
from typing import Any

from penstock.bench.timing.delays import WIRES, load_delays
from penstock.bench.timing.report import Report
from penstock.bench.timing.stored import SETTING, Core
from penstock.boards.board import board_names, load_board


def summary(cores: Mapping[str, Core]) -> str:
    """Markdown: fmax of every core by family and setting of the wires, and who uses it."""
    head = ["core", "delays", *(f"{w} wires" for w in WIRES), "levels", "boards"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * 4 + "---|"]
    for name, core in sorted(cores.items()):
        for delays, report in core.reports.items():
            loaded = load_delays(delays)
            boards = [
                f"{board.name} ({board.rtl_mhz[name]})"
                for board in map(load_board, board_names())
                if name in board.configs and board.part.startswith(loaded.parts)
            ]
            cells = [f"`{name}`", loaded.title]
            cells += [f"{report.fmax[wire]:.0f} MHz" for wire in WIRES]
            lines.append("| " + " | ".join([*cells, str(report.levels), ", ".join(boards)]) + " |")
    return "\n".join(lines)


def worst(cores: Mapping[str, Core], config: str, delays: str, rows: int = 10) -> str:
    """Markdown: the worst paths of one core by the modules they lead from and to."""
    lines = ["| ns | levels | from | to | ends |", "|---:|---:|---|---|---:|"]
    for pair in cores[config].reports[delays].pairs[:rows]:
        ways = [f"`{end.removeprefix('u_core.')}`" for end in (pair.start, pair.end)]
        lines.append(f"| {pair.time:.2f} | {pair.levels} | {ways[0]} | {ways[1]} | {pair.ends} |")
    return "\n".join(lines)


def screen(name: str, report: Report, rows: int) -> list[Any]:
    """rich tables: fmax and slack, then the worst paths with the lines they come from."""
    from rich.table import Table

    totals = Table(title=f"{name}, {load_delays(report.delays).title} (estimate)")
    for column in ("", ""):
        totals.add_column(column)
    for wire in WIRES:
        totals.add_row(f"fmax, {wire} wires", f"{report.fmax[wire]:.1f} MHz")
    totals.add_row("levels, worst path / deepest", f"{report.levels} / {report.most}")
    totals.add_row("ends of paths", f"{report.ends:,}")
    period = 1000 / report.fmax[SETTING]
    for start, number in report.histogram[:8]:
        totals.add_row(f"slack {period - start:.1f} ns at fmax", f"{number:,}")
    paths = Table(title="worst path of each pair of modules")
    for column in ("ns", "levels", "from", "to", "cells", "lines"):
        paths.add_column(column)
    for pair in report.pairs[:rows]:
        paths.add_row(
            f"{pair.time:.2f}",
            str(pair.levels),
            f"{pair.start}\n{pair.source}",
            f"{pair.end}\n{pair.target}",
            " ".join(pair.cells),
            " ".join(pair.lines[:6]),
        )
    return [totals, paths]
