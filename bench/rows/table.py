"""The stored rows: their keys, and bench/results/rows.json."""

import json
from collections.abc import Sequence
from typing import Any

from penstock.bench.figures import RESULTS
from penstock.bench.rows.cases import Case
from penstock.bench.rows.measure import Measured, row_figures
from penstock.program.base.files import write_text
from penstock.program.core.config import CONFIGS

STORE = RESULTS / "rows.json"
#: First keys of a row: what was run.
CASE_KEYS = ("network", "config", "schedule", "split", "keep", "blocks_skipped")
#: All of them, in order.
KEYS = (
    *CASE_KEYS,
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
    "counters",
)

#: Counters that add up to the cycles of an image.
CYCLE_COUNTERS = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")


def stored() -> list[dict[str, Any]]:
    """The rows that were measured last."""
    rows: list[dict[str, Any]] = json.loads(STORE.read_text(encoding="utf-8"))
    return rows


def store(rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into bench/results in the places of those of the same cases, new ones last."""
    cases = len(CASE_KEYS)
    merged = {tuple(row.values())[:cases]: row for row in (*stored(), *rows)}
    write_text(STORE, "[\n" + ",\n".join(map(json.dumps, merged.values())) + "\n]\n")


def bench_row(case: Case, measured: Measured, dense: Measured) -> dict[str, Any]:
    """A row of rows.json; `dense` is the best dense run of the same network and core."""
    config = CONFIGS[case.config]
    row = {
        **{key: getattr(case, key) for key in CASE_KEYS},
        "macs_dense": measured.macs_dense,
        "macs_executed": measured.macs_executed,
        "cycles": measured.cycles,
        "predicted": measured.predicted,
        **row_figures(measured, dense, config.p_oc * config.p_px),
        "mismatches": measured.mismatches,
        "counters": {name: measured.counters[name] for name in CYCLE_COUNTERS},
    }
    return {key: row[key] for key in KEYS}
