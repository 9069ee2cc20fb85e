"""The tables of gate families in docs/results/families.md, from bench/results/families.json."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown

STORE = RESULTS / "families.json"
DOCUMENTS = (ROOT / "docs" / "results" / "families.md",)

COLUMNS = (
    "scores",
    "depend on the image",
    "MACs static",
    "executed",
    "of them gates",
    "cycles static",
    "executed",
    "model",
    "weight bytes static",
    "executed",
    "network realisation",
    "images",
    "mismatches",
)
ACCURACIES = ("accuracy, float", "quantised", "integer, these images")


def networks(results: list[dict[str, Any]]) -> str:
    """One row a network; accuracies where it was trained."""
    titles = ("network", *(ACCURACIES if "accuracy" in results[0] else ()), *COLUMNS)
    lines = []
    for result in results:
        shown = [f"{share:.2%}" for share in result.get("accuracy", {}).values()]
        name = ", ".join(result[key] for key in ("network", "training") if key in result)
        lines.append([name, *shown, *_cells(result)])
    return markdown(titles, lines)


def _cells(result: dict[str, Any]) -> list[str]:
    macs, cycles, scores = result["macs"], result["cycles"], result["scores"]
    loaded = result["weight_bytes"]
    executed = macs["executed"] + macs["gates"]
    return [
        f"{scores['count']:,}",
        f"{scores['undecided']:,}",
        f"{macs['dense']:,.0f}",
        f"{executed:,.0f} ({executed / macs['dense']:.1%})",
        f"{macs['gates']:,.0f}",
        f"{cycles['static']:,.0f}",
        f"{cycles['dynamic']:,.0f} ({cycles['dynamic'] / cycles['static']:.1%})",
        f"{cycles['predicted'] / cycles['dynamic'] - 1:+.2%}",
        f"{loaded['static']:,.0f}",
        f"{loaded['dynamic']:,.0f}",
        f"{result['network_realisation']:.3f}",
        f"{result['images']}",
        f"{sum(result['mismatches'].values())}",
    ]


def experts(results: list[dict[str, Any]]) -> str:
    """One row a router: how many images run which of its experts."""
    rows = (
        [result["network"], block, f"{share:.1%}", f"{1 - share:.1%}"]
        for result in results
        for block, share in result.get("experts", {}).items()
    )
    return markdown(["network", "block", "first expert", "second"], rows, words=2)


def first_steps(results: list[dict[str, Any]]) -> Iterator[str]:
    """What each network was before its gates were made to skip, in one sentence."""
    for result in results:
        before = result["first_step"]
        yield ""
        yield (
            f"{result['network']} before its second step: {before['float_accuracy']:.2%} in "
            f"floating point, {before['mac_ratio']:.1%} of the static network's MACs."
        )


def tables() -> dict[str, str]:
    """The tables by the name of their markers."""
    results = json.loads(STORE.read_text(encoding="utf-8"))
    trained = [result for name, result in results.items() if name.endswith("-digits")]
    cifar = [result for name, result in results.items() if "-cifar10-" in name]
    large = [result for result in results.values() if "accuracy" not in result]
    return {
        "families": networks(trained),
        "families, CIFAR-10": "\n".join((networks(cifar), *first_steps(cifar))),
        "families, large": networks(large),
        "families, experts": experts(trained),
    }
