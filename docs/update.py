"""Puts the demo's figures into README.md and docs/results.md, between their markers.

    python docs/update.py build/demo/report.json    a new run: also replaces docs/results.json
    python docs/update.py                           rewrites the documents from docs/results.json
    python docs/update.py --check                   exit code 1 if a document is not current

The figures are never typed: docs/results.json is the report of the demo that was run last.  Beside
it stands the trained network that the demo runs on CIFAR-10, as `make bench-zoo` measured it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from penstock.boards.board import load_board
from penstock.cli.report import BOARD, rows
from penstock.model.zoo import DEMO_NETWORKS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.json"
ZOO = ROOT / "docs" / "zoo" / f"{DEMO_NETWORKS['cifar10']}.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "results.md")
BEGIN = "<!-- results: begin (make readme) -->"
END = "<!-- results: end -->"


def zoo_report(stored: dict[str, Any]) -> dict[str, Any]:
    """A result of `make bench-zoo` in the form of a demo's report."""
    accuracy, figures = stored["card"]["accuracy"], stored["schedules"]["sequential"]
    cycles = figures["cycles"]
    return {
        "network": stored["card"]["network"],
        "dataset": "CIFAR-10 (JPEG q75)",
        "accuracy": {
            "float": accuracy["float"],
            "qat": accuracy["fake_quantized"],
            "integer": accuracy["integer"],
        },
        "engines": {
            "rtl": {
                "images": stored["images"],
                "mismatches": figures["mismatches"] + stored["dense_mismatches"],
            }
        },
        **{key: figures[key] for key in ("macs", "weight_bytes")},
        **{key: figures[key] for key in ("utilisation", "realisation_ratio", "fetch_ratio")},
        "cycles": cycles,
    }


def markdown(report: dict[str, Any], trained: dict[str, Any]) -> str:
    """The results table as Markdown: the demo's figures, the trained network's beside them."""
    clock = load_board(BOARD).clock_mhz
    beside = {name: value for name, value, _ in rows(trained, clock)}
    # The card's accuracy is over the whole test set, which only golden has seen.
    beside["accuracy, integer"] += " (golden)"
    lines = ["| figure | digits | CIFAR-10 | measured by |", "|---|---:|---:|---|"]
    for name, value, source in rows(report, clock):
        lines.append(f"| {name} | {value} | {beside.get(name, '')} | {source} |")
    return "\n".join(lines)


def with_results(text: str, table: str) -> str:
    """`text` with `table` between its markers; ValueError if it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("no results markers")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> int:
    """Rewrite or check both documents."""
    parser = argparse.ArgumentParser(description="put the demo's figures into the documents")
    parser.add_argument("report", nargs="?", type=Path, help="report.json of a new demo run")
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    if arguments.report:
        RESULTS.write_text(
            json.dumps(json.loads(arguments.report.read_text(encoding="utf-8")), indent=2) + "\n",
            encoding="utf-8",
        )
    table = markdown(
        json.loads(RESULTS.read_text(encoding="utf-8")),
        zoo_report(json.loads(ZOO.read_text(encoding="utf-8"))),
    )
    stale = 0
    for document in DOCUMENTS:
        old = document.read_text(encoding="utf-8")
        new = with_results(old, table)
        if new != old and arguments.check:
            print(f"{document.relative_to(ROOT)} is not current: run `python docs/update.py`")
            stale = 1
        elif new != old:
            document.write_text(new, encoding="utf-8")
            print(f"updated {document.relative_to(ROOT)}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
