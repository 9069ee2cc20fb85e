"""`penstock bench resources`: what a core takes of an FPGA, estimated by Yosys.

Estimates: Yosys maps to 7-series cells, nothing is placed or routed.
"""

import dataclasses
import json
import re

import rich_click as click

from penstock.bench.cache import ROOT
from penstock.bench.synthesis import yosys
from penstock.bench.synthesis.netlist import Resources, count
from penstock.bench.tables.documents import put_into
from penstock.boards.board import Board, load_board
from penstock.program.config import CONFIGS

OUT = ROOT / "build" / "resources"
DOCUMENT = ROOT / "docs" / "results.md"

#: The cores meant for the board of the bars, without and with two products a DSP slice.
DEFAULT = ("z7020", "z7020x2")

#: Bars of the project for a core on a Zynq-7020.
BARS = {"lut": 40_000, "dsp": 170, "bram36": 130}


def resources_of(config: str) -> Resources:
    """Resources of a core, kept with its netlist.

    Raises:
        PenstockError: Yosys is missing or refuses the sources.
    """
    kept = OUT / f"{config}-{yosys.key(config)}.json"
    if not kept.is_file():
        resources = count(yosys.synthesize(config))
        OUT.mkdir(parents=True, exist_ok=True)
        kept.write_text(
            json.dumps(dataclasses.asdict(resources), indent=2) + "\n", encoding="utf-8"
        )
    data = json.loads(kept.read_text(encoding="utf-8"))
    return Resources(**data | {"path": tuple(data["path"])})


def resource_table(rows: dict[str, Resources], board: Board) -> str:
    """Markdown: each core's cells against the totals of a board and the project's bars."""
    totals = {**board.resources, "ff": 2 * board.resources["lut"]}
    names = {"lut": "LUT", "ff": "FF", "dsp": "DSP48E1", "bram36": "RAMB36 (a RAMB18 is half)"}
    head = ["cells (*estimate*)", f"{board.title} has", "bar", *rows]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for key, name in names.items():
        used = [getattr(resources, key) for resources in rows.values()]
        cells = [f"{value:,.10g} ({value / totals[key]:.0%})" for value in used]
        bar = f"{BARS[key]:,}" if key in BARS else ""
        lines.append(f"| {name} | {totals[key]:,} | {bar} | {' | '.join(cells)} |")
    depths = " | ".join(str(resources.depth) for resources in rows.values())
    lines.append(f"| deepest logic, levels | | | {depths} |")
    return "\n".join(lines)


def longest_paths(rows: dict[str, Resources]) -> str:
    """Where the longest path of each core lies, by source file and line."""
    lines = []
    for name, resources in rows.items():
        places = re.findall(r"(\w+\.sv:\d+)", " ".join(resources.path))
        lines.append(f"{name}: {', '.join(dict.fromkeys(places))}")
    return "; ".join(lines)


@click.command()
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Choice([*CONFIGS]),
    default=DEFAULT,
    show_default=True,
)
@click.option("--board", "board_name", default="pynq-z2", show_default=True)
@click.option("--update", is_flag=True, help="Also put the table into docs/results.md.")
def main(configs: tuple[str, ...], board_name: str, update: bool) -> None:
    """Estimate with Yosys what cores take of a board's FPGA."""
    board = load_board(board_name)
    rows = {name: resources_of(name) for name in configs}
    table = resource_table(rows, board)
    figures = {name: dataclasses.asdict(r) | {"bram36": r.bram36} for name, r in rows.items()}
    (OUT / "resources.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(table, f"longest path: {longest_paths(rows)}", sep="\n")
    if update:
        put_into(DOCUMENT, "resources", table)
