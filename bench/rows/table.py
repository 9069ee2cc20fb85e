"""Rows as JSON and as Markdown."""

from collections.abc import Sequence
from typing import Any

from penstock.bench.rows.cases import Case
from penstock.bench.rows.measure import Measured, row_figures
from penstock.program.config import CONFIGS

#: Keys of a row of bench.json, in order.
KEYS = (
    "network",
    "config",
    "schedule",
    "split",
    "keep",
    "blocks_skipped",
    "macs_dense",
    "macs_executed",
    "cycles",
    "predicted",
    "utilisation",
    "realisation_ratio",
    "fetch_ratio",
    "gate_exposure",
    "lost_to_remainder",
    "mismatches",
)

#: Counters that add up to the cycles of an image.
CYCLE_COUNTERS = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")

Results = Sequence[tuple[Case, Measured, Measured]]


def bench_row(case: Case, measured: Measured, dense: Measured) -> dict[str, Any]:
    """A row of bench.json; `dense` is the best dense run of the same network and core."""
    config = CONFIGS[case.config]
    row = {
        "network": case.network,
        "config": case.config,
        "schedule": case.schedule,
        "split": case.split,
        "keep": case.keep,
        "blocks_skipped": case.blocks_skipped,
        "macs_dense": measured.macs_dense,
        "macs_executed": measured.macs_executed,
        "cycles": measured.cycles,
        "predicted": measured.predicted,
        **row_figures(measured, dense, config.p_oc * config.p_px),
        "mismatches": measured.mismatches,
    }
    return {key: row[key] for key in KEYS}


def _share(value: float | None) -> str:
    return "own" if value is None else f"{value:.2g}"


def bench_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown: executed MACs, cycles, what the model says, and the ratios."""
    head = ["network", "core", "schedule", "array", "keep", "blocks skipped", "MACs", "cycles"]
    head += ["model", "utilisation", "realisation", "fetch", "gates", "remainder", "mismatches"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|---|" + "---:|" * (len(head) - 4)]
    for row in rows:
        cells = [
            row["network"],
            row["config"],
            row["schedule"],
            "reshaping" if row["split"] else "fixed",
            _share(row["keep"]),
            _share(row["blocks_skipped"]),
            f"{row['macs_executed']:,.0f}",
            f"{row['cycles']:,.0f}",
            f"{row['predicted'] / row['cycles'] - 1:+.2%}",
            *(f"{row[key]:.3f}" for key in ("utilisation", "realisation_ratio", "fetch_ratio")),
            f"{row['gate_exposure']:.2%}",
            f"{abs(row['lost_to_remainder']):.2%}",
            str(row["mismatches"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def counter_table(results: Results) -> str:
    """Where the cycles of an image go, in every row with reshaping; they add up to the total."""
    head = ["network", "core", "schedule", "keep", "blocks skipped", "cycles", *CYCLE_COUNTERS]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for case, measured, _ in results:
        if not case.split:
            continue
        cells = [case.network, case.config, case.schedule]
        cells += [_share(case.keep), _share(case.blocks_skipped), f"{measured.cycles:,.0f}"]
        cells += [f"{measured.counters[name]:,.0f}" for name in CYCLE_COUNTERS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def merged(old: str, new: str) -> str:
    """A table's Markdown with its rows replaced by those of `new` that are of the same run.

    Two rows are of the same run if their cells up to "blocks skipped" agree.  Rows that only `new`
    has come last; a table with other columns is replaced.
    """
    keys = _cells(new.splitlines()[0]).index("blocks skipped") + 1
    if old.splitlines()[:1] != new.splitlines()[:1]:
        return new
    rows = {tuple(_cells(line)[:keys]): line for line in old.splitlines()}
    rows |= {tuple(_cells(line)[:keys]): line for line in new.splitlines()}
    return "\n".join(rows.values())


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
