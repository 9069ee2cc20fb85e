"""Puts the demo's figures into README.md and docs/results.md, between their markers.

    python docs/update.py build/demo/report.json    a new run: also replaces docs/results.json
    python docs/update.py                           rewrites the documents from docs/results.json
    python docs/update.py --check                   exit code 1 if a document is not current

The figures are never typed: docs/results.json is the report of the demo that was run last.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from penstock.cli.report import rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "results.md")
BEGIN = "<!-- results: begin (make readme) -->"
END = "<!-- results: end -->"


def markdown(report: dict[str, Any]) -> str:
    """The results table as Markdown."""
    lines = ["| figure | value | measured by |", "|---|---:|---|"]
    lines += [f"| {name} | {value} | {source} |" for name, value, source in rows(report)]
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
        RESULTS.write_text(json.dumps(json.loads(arguments.report.read_text()), indent=2) + "\n")
    table = markdown(json.loads(RESULTS.read_text()))
    stale = 0
    for document in DOCUMENTS:
        old = document.read_text()
        new = with_results(old, table)
        if new != old and arguments.check:
            print(f"{document.relative_to(ROOT)} is not current: run `python docs/update.py`")
            stale = 1
        elif new != old:
            document.write_text(new)
            print(f"updated {document.relative_to(ROOT)}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
