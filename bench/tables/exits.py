"""The tables of early exits in docs/results/exits.md, from bench/results/exits/*.json."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown

STORE = RESULTS / "exits"
COLUMNS = ("network", "thresholds", "images", "MACs without exits", "with", "cycles without exits",
           "with", "predicted", "cycles of exits not taken", "network realisation",
           "mismatches")  # fmt: skip
DOCUMENTS = (ROOT / "docs" / "results" / "exits.md",)


def lines(results: list[dict[str, Any]]) -> Iterator[str]:
    """What each network gains, then each one's sweep."""
    yield markdown(COLUMNS, map(_cells, results), words=2)
    for result in results:
        if result.get("static_network"):
            yield ""
            yield _against_static(result)
    for result in results:
        exits = len(result["thresholds"])
        yield ""
        yield f"{result['name']}, one threshold at every exit, {result['test_images']} test images:"
        yield ""
        heads = [f"exit {index}" for index in range(exits)]
        titles = ["threshold", "accuracy", "MACs", "cycles, predicted", *heads, "end"]
        yield markdown(titles, map(_sweep_cells, (*result["sweep"], result["chosen"])), words=0)


def _cells(result: dict[str, Any]) -> list[str]:
    macs, cycles = result["macs"], result["cycles"]
    return [
        result["name"],
        ", ".join(f"{value:g}" for value in result["thresholds"]),
        f"{result['images']}",
        f"{macs['static']:,.0f}",
        f"{macs['exits']:,.0f} ({macs['exits'] / macs['static']:.1%})",
        f"{cycles['static']:,.0f}",
        f"{cycles['exits']:,.0f} ({cycles['exits'] / cycles['static']:.1%})",
        f"{cycles['predicted'] / cycles['exits'] - 1:+.2%}",
        f"{result['untaken_cycles']:,.0f} ({result['untaken_cycles'] / cycles['static']:.1%})",
        f"{result['network_realisation']:.3f}",
        f"{sum(result['mismatches'].values())}",
    ]


def _against_static(result: dict[str, Any]) -> str:
    """What stages and exits leave of the network that was split."""
    static = result["static_network"]
    macs, cycles = result["macs"]["exits"], result["cycles"]["exits"]
    return (
        f"{result['name']} against the static network that it splits: "
        f"{macs / static['macs']:.1%} of its {static['macs']:,.0f} MACs, "
        f"{cycles / static['predicted_cycles']:.1%} of its {static['predicted_cycles']:,.0f} "
        "cycles (the static network's predicted)."
    )


def _sweep_cells(row: dict[str, Any]) -> list[str]:
    threshold = row["threshold"]
    name = "chosen" if threshold is None else "never" if threshold > 1 else f"{threshold:g}"
    return [
        name,
        f"{row['accuracy']:.2%}",
        f"{row['macs']:,.0f}",
        f"{row['predicted_cycles']:,.0f}",
        *(f"{share:.1%}" for share in row["shares"]),
    ]


def tables() -> dict[str, str]:
    """The tables by the name of their markers."""
    results = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(STORE.glob("*.json"))
    ]
    return {"exits": "\n".join(lines(results))}
