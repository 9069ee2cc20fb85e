"""The table of coverage in docs/verification.md.

Made of bench/results/coverage.json, which `make coverage` writes."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.bench.figures import RESULTS, ROOT

FIGURES = RESULTS / "coverage.json"
DOCUMENTS = (ROOT / "docs" / "verification.md",)


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
