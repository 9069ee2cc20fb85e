"""`make timing`: how fast each core could run, estimated from its netlist.

Every configuration that boards/*.yaml name, with the delays of those boards' parts.  Writes
bench/results/timing.json and the tables of docs/timing.md.  Yosys takes minutes for a
core whose sources changed; --check runs nothing: it compares the boards' clocks with what is
stored.
"""

import argparse
import dataclasses
import json
import sys

from penstock.bench.cache import ROOT
from penstock.bench.synthesis import yosys
from penstock.bench.tables.documents import put_into
from penstock.bench.timing import stored
from penstock.bench.timing.delays import load_delays
from penstock.bench.timing.graph import Graph, Netlist
from penstock.bench.timing.report import report
from penstock.bench.timing.tables import screen, summary, worst
from penstock.program.errors import PenstockError

DOCUMENT = ROOT / "docs" / "timing.md"
#: The cores whose worst paths the document shows.
SHOWN = (("z7020", "xc7-1"), ("z7020x2", "xc7-1"))


def time_core(config: str) -> stored.Core:
    """Synthesise and time one configuration with the delays of all its boards."""
    netlist = Netlist.read(yosys.synthesize(config))
    reports = {}
    for name in stored.needed()[config]:
        reports[name] = report(Graph.build(netlist, load_delays(name)))
    return stored.Core(key=yosys.key(config), reports=reports)


def check() -> int:
    """1 if a clock is above its estimate, or if the estimate is of other sources."""
    cores = stored.load()
    wrong = list(stored.too_fast(cores))
    wrong += [
        f"{name}: not timed, or its sources or boards changed: run `make timing`"
        for name in stored.stale(cores)
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


def update(configs: list[str], rows: int, to_json: bool) -> None:
    """Time these cores and those of the stored ones that are current; rewrite the documents."""
    from rich.console import Console

    cores = stored.load() if stored.STORED.is_file() else {}
    for name in configs:
        if name in stored.stale(cores):
            cores[name] = time_core(name)
    stored.save(cores)
    put_into(DOCUMENT, "timing", summary(cores))
    for config, delays in SHOWN:
        if config in cores and f"paths-{config}: begin" in DOCUMENT.read_text(encoding="utf-8"):
            put_into(DOCUMENT, f"paths-{config}", worst(cores, config, delays))
    if to_json:
        print(json.dumps({name: dataclasses.asdict(cores[name]) for name in configs}, indent=1))
        return
    for name in configs:
        for found in cores[name].reports.values():
            for table in screen(name, found, rows):
                Console().print(table)


def main() -> int:
    """The command line; 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    choices = sorted(stored.needed())
    parser.add_argument("--config", action="append", choices=choices, help="default: all")
    parser.add_argument("--rows", type=int, default=12, help="worst pairs of modules to print")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", action="store_true", help="only compare clocks and sources")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            return check()
        update(arguments.config or choices, arguments.rows, arguments.json)
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
