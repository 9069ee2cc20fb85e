"""Tables of docs/results/static.md: networks without gates by layer, and several images a run."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.bench.figures import ROOT
from penstock.bench.rows import layers, several
from penstock.bench.tables.documents import markdown
from penstock.boards.board import load_board
from penstock.program.core.config import get_config

DOCUMENTS = (ROOT / "docs" / "results" / "static.md",)
#: Whose clock gives the milliseconds, an estimate (docs/timing.md).
BOARD = "pynq-z2"


def _used(macs: float, cycles: float, config: str) -> str:
    core = get_config(config)
    return f"{macs / (cycles * core.p_oc * core.p_px):.3f}" if macs and cycles else ""


def layer_table(name: str, found: dict[str, Any]) -> str:
    """Kinds of layers of a network, and what their cycles are lost to."""
    lines = []
    for kind in found["kinds"]:
        lost = ", ".join(f"{what} {share:.0%}" for what, share in kind["lost"].items())
        used = _used(kind["macs"], kind["cycles"], found["config"])
        lines.append([kind["name"], f"{kind['macs']:,.0f}", f"{kind['cycles']:,.0f}", used, lost])
    head = [f"{name} on {found['config']}", "MACs", "cycles", "utilisation", "cycles lost to"]
    return markdown(head, lines)


def run_table(rows: list[dict[str, Any]]) -> str:
    """Runs of several images."""
    clock = load_board(BOARD).clock("rtl", several.CONFIG)
    head = ["network", "images a run", "cycles a run", "cycles an image", "model", "utilisation"]
    head += ["weight bytes an image", f"latency, ms at {clock:g} MHz (*estimate*)"]
    lines = []
    for row in rows:
        each = row["cycles"] / row["images"]
        lines.append(
            [
                row["network"],
                f"{row['images']}",
                f"{row['cycles']:,}",
                f"{each:,.0f}",
                f"{row['predicted'] / row['cycles'] - 1:+.2%}",
                _used(row["macs"], each, several.CONFIG),
                f"{row['weight_bytes'] / row['images']:,.0f}",
                f"{row['cycles'] / clock / 1e3:.1f}",
                f"{row['mismatches']}",
            ]
        )
    return markdown([*head, "bytes that differ"], lines)


def several_layers(network: str, cycles_macs: dict[str, dict[str, list[float]]]) -> str:
    """Cycles an image and utilisation by stage and kind, for one and for several images a run."""
    head = [f"{network} on {several.CONFIG}"]
    for images in cycles_macs:
        run = "one image" if images == "1" else f"{images} images"
        head += [f"cycles, {run} a run", "utilisation"]
    return markdown(head, _by_kind(list(cycles_macs.values())))


def _by_kind(runs: list[dict[str, list[float]]]) -> Iterator[list[str]]:
    for name in dict.fromkeys(name for run in runs for name in run):
        cells = [name]
        for run in runs:
            cycles, macs = run.get(name, (0.0, 0.0))
            cells += [f"{cycles:,.0f}" if cycles else "", _used(macs, cycles, several.CONFIG)]
        yield cells


def tables() -> dict[str, str]:
    """The tables by the names of their markers."""
    found = json.loads(layers.STORE.read_text(encoding="utf-8"))
    made = {f"layers-{name}": layer_table(name, figures) for name, figures in found.items()}
    runs = json.loads(several.STORE.read_text(encoding="utf-8"))
    made["several"] = run_table(runs["rows"])
    made["several-layers"] = several_layers(**runs["layers"])
    return made
