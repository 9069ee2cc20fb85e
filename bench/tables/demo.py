"""Puts the demo's figures into README.md and docs/results/demo.md, between their markers.

The figures are never typed: bench/results/demo.json is the report of the demo that was run last.
Beside it stands the network that the demo runs on CIFAR-10, as `make bench-zoo` measured it.
"""

import json
from typing import Any

from penstock.bench.demo_report import BOARD, rows
from penstock.bench.figures import RESULTS, ROOT
from penstock.boards.board import load_board
from penstock.model.zoo import DEMO_NETWORKS

STORE = RESULTS / "demo.json"
ZOO = RESULTS / "zoo" / f"{DEMO_NETWORKS['cifar10']}.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "results" / "demo.md")


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
    clock = load_board(BOARD).clock("rtl", "z7020")
    beside = {name: value for name, value, _ in rows(trained, clock)}
    # The card's accuracy is over the whole test set, which only golden has seen.
    beside["accuracy, integer"] += " (golden)"
    lines = ["| figure | digits | CIFAR-10 | measured by |", "|---|---:|---:|---|"]
    for name, value, source in rows(report, clock):
        lines.append(f"| {name} | {value} | {beside.get(name, '')} | {source} |")
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """The table by the name of its markers."""
    new = json.loads(STORE.read_text(encoding="utf-8"))
    trained = zoo_report(json.loads(ZOO.read_text(encoding="utf-8")))
    return {"results": markdown(new, trained)}
