"""The project's bars, and whether the rows of the benchmark reach them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from penstock.bench.tables.documents import markdown
from penstock.program.core.config import CONFIGS

Row = dict[str, Any]

BASE_MACS = 128


def _macs(row: Row) -> int:
    config = CONFIGS[row["config"]]
    return config.p_oc * config.p_px


def _forced(row: Row) -> bool:
    """A row of the headline: reshaping, gates before their blocks, masks of our choice."""
    forced = row["split"] and row["schedule"] == "sequential" and row["keep"] is not None
    return bool(forced) and "trained" not in row["network"]


def _channels(network: str, keep: float, macs: int = BASE_MACS) -> Callable[[Row], bool]:
    return lambda row: (
        _forced(row)
        and _macs(row) == macs
        and (row["network"], row["keep"], row["blocks_skipped"]) == (network, keep, 0.0)
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`limit` is the least value of the rows it holds for, or the largest if `at_most`."""

    figure: str
    limit: float
    rows: Callable[[Row], bool]
    value: Callable[[Row], float]
    at_most: bool = False

    def worst(self, rows: Sequence[Row]) -> float | None:
        """The value furthest on the wrong side; None if no row was measured."""
        values = [self.value(row) for row in rows if self.rows(row)]
        return None if not values else max(values) if self.at_most else min(values)

    def is_met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value <= self.limit if self.at_most else value >= self.limit


def _key(name: str) -> Callable[[Row], float]:
    return lambda row: float(row[name])


def _model_error(row: Row) -> float:
    return abs(float(row["predicted"]) / float(row["cycles"]) - 1)


def _realisation(network: str, keep: float, limit: float, macs: int = BASE_MACS) -> Bar:
    return Bar(
        figure=f"realisation ratio, {network}, keep {keep}, {macs} MACs",
        limit=limit,
        rows=_channels(network, keep, macs),
        value=_key("realisation_ratio"),
    )


def _fetch(network: str, keep: float, limit: float) -> Bar:
    return Bar(
        figure=f"fetch ratio, {network}, keep {keep}",
        limit=limit,
        rows=_channels(network, keep),
        value=_key("fetch_ratio"),
        at_most=True,
    )


BARS = (
    *(
        Bar(
            figure=f"MAC utilisation, {network}, dense, 8x16",
            limit=0.95,
            rows=_channels(network, 1.0),
            value=_key("utilisation"),
        )
        for network in ("resnet20", "resnet18")
    ),
    *(
        Bar(
            figure=f"MAC utilisation, {network}, dense, 8x16",
            limit=limit,
            rows=_channels(network, 1.0),
            value=_key("utilisation"),
        )
        for network, limit in (("mobilenetv2", 0.7), ("vgg16", 0.93))
    ),
    Bar(
        figure="MAC utilisation, resnet20, dense, 256 MACs",
        limit=0.93,
        rows=_channels("resnet20", 1.0, 2 * BASE_MACS),
        value=_key("utilisation"),
    ),
    _realisation("resnet20", 0.5, 0.95),
    _realisation("resnet20", 0.3, 0.93),
    _realisation("resnet18", 0.5, 0.97),
    _realisation("resnet18", 0.3, 0.95),
    _realisation("resnet20", 0.5, 0.96, 2 * BASE_MACS),
    _realisation("resnet20", 0.3, 0.93, 2 * BASE_MACS),
    Bar(
        figure="realisation ratio, 1/3 and 2/3 of the blocks skipped",
        limit=0.97,
        rows=lambda r: _forced(r) and r["keep"] == 1.0 and r["blocks_skipped"] > 0,
        value=_key("realisation_ratio"),
    ),
    *(
        _fetch(n, k, limit)
        for n in ("resnet20", "resnet18")
        for k, limit in ((0.5, 1.05), (0.3, 1.1))
    ),
    Bar(
        figure="gate exposure, resnet20",
        limit=0.01,
        rows=lambda r: _forced(r) and r["network"] == "resnet20",
        value=_key("gate_exposure"),
        at_most=True,
    ),
    Bar(
        figure="cost model against the core, every row",
        limit=0.02,
        rows=lambda r: True,
        value=_model_error,
        at_most=True,
    ),
    Bar(
        figure="mismatches, every row",
        limit=0,
        rows=lambda r: True,
        value=_key("mismatches"),
        at_most=True,
    ),
)


def bar_table(rows: Sequence[Row]) -> str:
    """Every bar with the worst row it holds for, as Markdown; those that are missed first."""
    lines = []
    for bar in BARS:
        worst = bar.worst(rows)
        limit = f"{'<=' if bar.at_most else '>='} {bar.limit:g}"
        if worst is None:
            lines.append([bar.figure, "not measured", limit, ""])
            continue
        verdict = "met" if bar.is_met(worst) else "**missed**"
        lines.append([bar.figure, verdict, limit, f"{worst:.4g}"])
    lines.sort(key=lambda line: "missed" not in line[1])
    return markdown(["figure", "", "bar", "measured, worst row"], lines, words=2)
