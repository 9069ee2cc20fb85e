"""`python -m penstock.bench.resources`: what a core takes of an FPGA, estimated by Yosys.

Estimates: Yosys maps to 7-series cells, nothing is placed or routed.
"""

import argparse
import dataclasses
import json
import re
import sys

from penstock.bench.cache import ROOT
from penstock.bench.synthesis import yosys
from penstock.bench.synthesis.netlist import Resources, count
from penstock.bench.tables.documents import put_into
from penstock.boards.board import Board, load_board
from penstock.program.config import CONFIGS
from penstock.program.errors import PenstockError

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


def main() -> int:
    """Synthesise, print the table, write JSON; with --update also into docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", action="append", choices=sorted(CONFIGS), help=f"default: {', '.join(DEFAULT)}"
    )
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    try:
        board = load_board(arguments.board)
        rows = {name: resources_of(name) for name in arguments.config or DEFAULT}
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = resource_table(rows, board)
    figures = {name: dataclasses.asdict(r) | {"bram36": r.bram36} for name, r in rows.items()}
    (OUT / "resources.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(table, f"longest path: {longest_paths(rows)}", sep="\n")
    if arguments.update:
        put_into(DOCUMENT, "resources", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
