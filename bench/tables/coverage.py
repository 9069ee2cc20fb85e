"""The table of coverage in docs/verification.md.

Made of bench/results/coverage.json, which `make coverage` writes."""

import json
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown

FIGURES = RESULTS / "coverage.json"
DOCUMENTS = (ROOT / "docs" / "verification.md",)


def table(figures: dict[str, Any]) -> str:
    """A row a module, and the sums."""
    modules, rows = figures["modules"], []
    for module in modules:
        cells = [_cell(module[key]) for key in ("lines", "branches", "toggles")]
        cells += [f"{module['toggle_floor']:.0%}", str(module["excluded_lines"] or "")]
        rows.append([f"`{module['name']}`", *cells])
    sums = [
        _cell([sum(module[key][i] for module in modules) for i in range(2)])
        for key in ("lines", "branches", "toggles")
    ]
    excluded = sum(module["excluded_lines"] for module in modules)
    rows.append(["all", *sums, "", f"{excluded}"])
    head = ["module", "lines", "branches", "toggles", "floor of toggles", "lines left out"]
    return markdown(head, rows)


def _cell(pair: list[int]) -> str:
    hit, total = pair
    return f"{hit:,} / {total:,} ({hit / total:.1%})" if total else "-"


def tables() -> dict[str, str]:
    """The tables by the name of their markers."""
    return {"coverage": table(json.loads(FIGURES.read_text(encoding="utf-8")))}
