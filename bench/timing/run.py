"""`penstock bench timing`: how fast each core could run, estimated from its netlist.

Every configuration that boards/*.yaml name, with the delays of those boards' parts.  Writes
bench/results/timing.json and the tables of docs/timing.md.  Yosys takes minutes for a
core whose sources changed; --check runs nothing: it compares the boards' clocks with what is
stored.
"""

import dataclasses
import json
import sys

import rich_click as click

from penstock.bench.figures import ROOT
from penstock.bench.synthesis import yosys
from penstock.bench.tables.documents import put_into
from penstock.bench.timing import stored
from penstock.bench.timing.delays import load_delays
from penstock.bench.timing.graph import Graph, Netlist
from penstock.bench.timing.report import report
from penstock.bench.timing.tables import screen, summary, worst

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


@click.command()
@click.option("--config", "configs", multiple=True, type=click.Choice(sorted(stored.needed())))
@click.option("--rows", default=12, show_default=True, help="Worst pairs of modules to print.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", "only_check", is_flag=True, help="Only compare clocks and sources.")
def main(configs: tuple[str, ...], rows: int, as_json: bool, only_check: bool) -> int:
    """Estimate how fast cores could run (default: all that boards name), and store it.

    Yosys takes minutes for a core whose sources changed. --check exits with 1 if a board's clock is
    above the stored estimate, or if that is of other sources.
    """
    if only_check:
        return check()
    update(list(configs) or sorted(stored.needed()), rows, as_json)
    return 0
