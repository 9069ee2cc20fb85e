"""`penstock bench tables`: puts every table into its document, between its markers."""

import json
from pathlib import Path

import rich_click as click

from penstock.bench.peers import tables as peers
from penstock.bench.tables import (
    api,
    coverage,
    demo,
    exits,
    families,
    lanes,
    mlperf,
    page,
    resources,
    rows,
    static,
    zoo,
)  # fmt: skip
from penstock.bench.tables.documents import update_document
from penstock.program.base.files import write_text

#: Name -> module; each has its DOCUMENTS and `tables()`, by the names of their markers.
MODULES = {
    "api": api,
    "coverage": coverage,
    "demo": demo,
    "exits": exits,
    "families": families,
    "lanes": lanes,
    "mlperf": mlperf,
    "page": page,
    "peers": peers,
    "resources": resources,
    "rows": rows,
    "static": static,
    "zoo": zoo,
}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice([*MODULES]))
@click.option("--check", is_flag=True, help="Only compare; exit code 1 if one is not current.")
@click.option(
    "--demo",
    "report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="report.json of a new run of the demo, which is stored first.",
)
def main(names: tuple[str, ...], check: bool, report: Path | None) -> int:
    """Write the tables of the documents anew from bench/results (default: all of them)."""
    if report is not None:
        figures = json.loads(report.read_text(encoding="utf-8"))
        write_text(demo.STORE, json.dumps(figures, indent=2) + "\n")
    stale = False
    for name in names or MODULES:
        module = MODULES[name]
        made = module.tables()
        for document in module.DOCUMENTS:
            stale |= update_document(document, made, f"penstock bench tables {name}", check=check)
    return int(stale and check)
