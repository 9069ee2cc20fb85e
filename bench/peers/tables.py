"""The tables of docs/results/peers.md: others on the same work, and as they are published."""

import json
from collections.abc import Sequence
from typing import Any

from penstock.bench.figures import ROOT
from penstock.bench.peers.published import PUBLISHED
from penstock.bench.peers.run import STORE
from penstock.bench.rows.table import stored
from penstock.bench.tables.documents import markdown
from penstock.program.core.config import CONFIGS

DOCUMENTS = (ROOT / "docs" / "results" / "peers.md",)

NAMES = {"conv": "3x3, 64 -> 64, 16 x 16", "resnet20": "ResNet-20, dense"}


def own_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our dense runs and those at half the channels, on every core, with their multipliers."""
    found = []
    for row in rows:
        shown = row["network"] == "resnet20" and row["split"] and not row["blocks_skipped"]
        if shown and row["schedule"] == "sequential" and row["keep"] in (1.0, 0.5, 0.3):
            config = CONFIGS[row["config"]]
            found.append({**row, "multipliers": config.p_oc * config.p_px})
    return found


def measured_table(own: Sequence[dict[str, Any]], nngen: Sequence[dict[str, Any]]) -> str:
    """Cycles on the same work; all of them counted here."""
    entries = [
        (NAMES[row["network"]], f"NNgen 1.3.4, memory latency {row['latency']}", row)
        for row in nngen
    ]
    for row in own:
        dense = row["keep"] == 1.0
        work = NAMES[row["network"]] if dense else f"ResNet-20, keep {row['keep']:g}"
        entries.append((work, f"Penstock {row['config']}", row))
    lines = [
        [
            work,
            system,
            f"{row['multipliers']}",
            f"{row['cycles']:,.0f}",
            f"{row['utilisation']:.3f}",
        ]
        for work, system, row in sorted(entries, key=lambda entry: entry[:2])
    ]
    return markdown(["work", "system", "multipliers", "cycles", "MAC utilisation"], lines, words=2)


def published_table() -> str:
    """What others say of themselves."""
    head = ["system", "dynamic support", "figure (*published*, not repeated)", "source"]
    return markdown(head, ([p.system, p.dynamic, p.figure, p.source] for p in PUBLISHED), words=4)


def tables() -> dict[str, str]:
    """The tables by the names of their markers."""
    found = json.loads(STORE.read_text(encoding="utf-8"))
    own = own_rows(stored()) + found["conv"]
    return {"peers": measured_table(own, found["nngen"]), "published": published_table()}


def _figures(row: dict[str, Any]) -> list[str]:
    return [f"{row['multipliers']}", f"{row['cycles']:,.0f}", f"{row['utilisation']:.3f}"]
