"""Puts every table into its document, between the markers of its name.

python -m penstock.bench.tables                       all of them
python -m penstock.bench.tables zoo exits             those of some modules
python -m penstock.bench.tables --check               exit code 1 if a document is not current
python -m penstock.bench.tables --demo report.json    a new run of the demo, stored first
"""

import json
import sys
from pathlib import Path

import rich_click as click

from penstock.bench.tables import api, coverage, demo, exits, families, lanes, mlperf, zoo
from penstock.bench.tables.documents import update_document
from penstock.program.files import write_text

#: Name -> module; each has its DOCUMENTS and `tables()`, by the names of their markers.
MODULES = {
    "api": api,
    "coverage": coverage,
    "demo": demo,
    "exits": exits,
    "families": families,
    "lanes": lanes,
    "mlperf": mlperf,
    "zoo": zoo,
}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(MODULES)))
@click.option("--check", is_flag=True, help="Only compare.")
@click.option(
    "--demo",
    "report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="report.json of a new run of the demo.",
)
def main(names: tuple[str, ...], check: bool, report: Path | None) -> None:
    if report is not None:
        figures = json.loads(report.read_text(encoding="utf-8"))
        write_text(demo.STORE, json.dumps(figures, indent=2) + "\n")
    stale = False
    for name in names or MODULES:
        module = MODULES[name]
        made = module.tables()
        command = f"python -m penstock.bench.tables {name}"
        for document in module.DOCUMENTS:
            stale |= update_document(document, made, command, check=check)
    sys.exit(int(stale and check))


if __name__ == "__main__":
    main()
