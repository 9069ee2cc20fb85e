"""The table of docs/results/resources.md: each core's cells against a board and the bars."""

import json
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown
from penstock.boards.board import Board, load_board

STORE = RESULTS / "resources.json"
DOCUMENTS = (ROOT / "docs" / "results" / "resources.md",)
BOARD = "pynq-z2"
#: Bars of the project for a core on a Zynq-7020.
BARS = {"lut": 40_000, "dsp": 170, "bram36": 130}
NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP48E1", "bram36": "RAMB36 (a RAMB18 is half)"}


def resource_table(rows: dict[str, dict[str, Any]], board: Board) -> str:
    """Cells by kind, a column a core."""
    totals = {**board.resources, "ff": 2 * board.resources["lut"]}
    lines = []
    for key, name in NAMES.items():
        cells = [f"{row[key]:,.10g} ({row[key] / totals[key]:.0%})" for row in rows.values()]
        bar = f"{BARS[key]:,}" if key in BARS else ""
        lines.append([name, f"{totals[key]:,}", bar, *cells])
    depths = [str(row["depth"]) for row in rows.values()]
    lines.append(["deepest logic, levels", "", "", *depths])
    return markdown(["cells (*estimate*)", f"{board.title} has", "bar", *rows], lines)


def tables() -> dict[str, str]:
    """The table by the name of its markers."""
    rows = json.loads(STORE.read_text(encoding="utf-8"))
    return {"resources": resource_table(rows, load_board(BOARD))}
