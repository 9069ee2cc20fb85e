"""The tables of docs/results/masks.md and static.md, from the rows of `penstock bench rows`."""

from collections.abc import Sequence
from typing import Any

from penstock.bench.figures import ROOT, realisation_ratio
from penstock.bench.rows.bars import bar_table
from penstock.bench.rows.networks import STATIC
from penstock.bench.rows.table import CYCLE_COUNTERS, stored
from penstock.bench.tables.documents import markdown
from penstock.program.core.config import get_config

DOCUMENTS = tuple(ROOT / "docs" / "results" / name for name in ("masks.md", "static.md"))

Row = dict[str, Any]
CASE = ("network", "core", "schedule", "array", "keep", "blocks skipped")
FIGURES = ("MACs", "cycles", "model", "utilisation", "realisation", "fetch", "gates", "remainder",
           "mismatches")  # fmt: skip


def _case(row: Row) -> list[str]:
    masks = ["own" if row[k] is None else f"{row[k]:.2g}" for k in ("keep", "blocks_skipped")]
    array = "reshaping" if row["split"] else "fixed"
    return [row["network"], row["config"], row["schedule"], array, *masks]


def bench_table(rows: Sequence[Row]) -> str:
    """Executed MACs, cycles, what the model says, and the ratios."""
    lines = []
    for row in rows:
        ratios = ("utilisation", "realisation_ratio", "fetch_ratio")
        figures = [
            f"{row['macs_executed']:,.0f}",
            f"{row['cycles']:,.0f}",
            f"{row['predicted'] / row['cycles'] - 1:+.2%}",
            *(f"{row[key]:.3f}" for key in ratios),
            f"{row['gate_exposure']:.2%}",
            f"{abs(row['lost_to_remainder']):.2%}",
            f"{row['mismatches']}",
        ]
        lines.append(_case(row) + figures)
    return markdown((*CASE, *FIGURES), lines, words=4)


def counter_table(rows: Sequence[Row]) -> str:
    """Where the cycles of an image go, in every row with reshaping; they add up to the total."""
    lines = []
    for row in rows:
        if row["split"]:
            counted = [f"{row['counters'][name]:,.0f}" for name in CYCLE_COUNTERS]
            lines.append([*_case(row)[:3], *_case(row)[4:], f"{row['cycles']:,.0f}", *counted])
    return markdown((*CASE[:3], *CASE[4:], "cycles", *CYCLE_COUNTERS), lines, words=3)


#: What a cycle goes to that is not a MAC -> its counters.
LOSSES = {
    "`weight_wait`: the first weights behind a gate": ("weight_wait",),
    "`drain`, `gate`": ("drain", "gate"),
    "`copy`, `io`, `overhead`: what no gate skips": ("copy", "io", "overhead"),
}


def loss_table(rows: Sequence[Row], network: str, config: str) -> str:
    """Where a core loses, dense and with fewer channels, and its realisation without two of it."""
    case = {"network": network, "config": config, "schedule": "sequential", "split": True}
    case["blocks_skipped"] = 0.0
    found = [row for row in rows if case.items() <= row.items() and row["keep"] in (1.0, 0.5, 0.3)]
    core = get_config(config)
    needed = [row["macs_executed"] / (core.p_oc * core.p_px) for row in found]
    idle = [row["counters"]["mac"] - least for row, least in zip(found, needed, strict=True)]
    waits = [row["counters"]["weight_wait"] for row in found]
    lines = [
        ["the executed MACs / multipliers", *(f"{value:,.0f}" for value in needed)],
        ["remainder: rows and lanes that idle", *(f"{value:,.0f}" for value in idle)],
    ]
    for title, names in LOSSES.items():
        sums = [sum(row["counters"][name] for name in names) for row in found]
        lines.append([title, *(f"{value:,.0f}" for value in sums)])
    for title, left_out in (
        ("realisation", [0.0] * len(found)),
        ("without any `weight_wait` in either run", waits),
        ("without any remainder in either run", idle),
    ):
        cycles = [row["cycles"] - less for row, less in zip(found, left_out, strict=True)]
        ratios = [
            realisation_ratio(dense_cycles=cycles[0], cycles=each, dense_macs=needed[0], macs=least)
            for each, least in zip(cycles, needed, strict=True)
        ]
        lines.append([title, *(f"{ratio:.3f}" for ratio in ratios)])
    return markdown(["cycles", *(f"keep {row['keep']:g}" for row in found)], lines)


def tables() -> dict[str, str]:
    """The tables by the names of their markers; networks without gates have their own."""
    rows = stored()
    made = {"bars": bar_table(rows), "losses": loss_table(rows, "resnet20", "z7020x2")}
    for prefix, static in (("", False), ("static-", True)):
        part = [row for row in rows if (row["network"] in STATIC) == static]
        made |= {f"{prefix}bench": bench_table(part), f"{prefix}counters": counter_table(part)}
    return made
