"""The table of coverage in docs/verification.md, from docs/coverage.json (`make coverage`).

python docs/coverage_table.py            prints it and puts it between its markers
python docs/coverage_table.py --check    exit code 1 if the document is not current
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.bench.documents import update_document

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "coverage.json"
DOCUMENT = ROOT / "docs" / "verification.md"


def lines(figures: dict[str, Any]) -> Iterator[str]:
    """A row a module, and the sums."""
    yield "| module | lines | branches | toggles | floor of toggles | lines left out |"
    yield "|---|---:|---:|---:|---:|---:|"
    modules = figures["modules"]
    for module in modules:
        cells = [_cell(module[key]) for key in ("lines", "branches", "toggles")]
        cells += [f"{module['toggle_floor']:.0%}", str(module["excluded_lines"] or "")]
        yield f"| `{module['name']}` | " + " | ".join(cells) + " |"
    sums = [
        _cell([sum(module[key][i] for module in modules) for i in range(2)])
        for key in ("lines", "branches", "toggles")
    ]
    excluded = sum(module["excluded_lines"] for module in modules)
    yield f"| all | {' | '.join(sums)} | | {excluded} |"


def _cell(pair: list[int]) -> str:
    hit, total = pair
    return f"{hit:,} / {total:,} ({hit / total:.1%})" if total else "-"


def tables() -> dict[str, str]:
    """The tables by the name of their markers."""
    return {"coverage": "\n".join(lines(json.loads(FIGURES.read_text(encoding="utf-8"))))}


if __name__ == "__main__":
    sys.exit(update_document(DOCUMENT, tables, "python docs/coverage_table.py"))
