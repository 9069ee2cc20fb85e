"""The tables of docs/results/zoo.md: trained networks, from bench/results/zoo/*.json, and their
logits of 8 and 16 bits, from bench/results/logits.json."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown

STORE = RESULTS / "zoo"
LOGITS = RESULTS / "logits.json"
DOCUMENTS = (ROOT / "docs" / "results" / "zoo.md",)

COLUMNS = (
    "network",
    "schedule",
    "epochs",
    "accuracy, float",
    "integer",
    "MACs dense",
    "executed",
    "cycles dense",
    "executed",
    "realisation",
    "images",
    "mismatches",
)
LOGIT_COLUMNS = (
    "logits",
    "scale",
    "images that tie at the top",
    "accuracy",
    "cycles",
    "of the cost model",
    "mismatches",
)
#: LC-Net, table 1 (CIFAR-10, the original pixels): (network, GFLOPs, accuracy in percent).
PUBLISHED = (
    ("ResNet-18", 0.55, 93.02),
    ("LC-Net on ResNet-18", 0.33, 95.25),
    ("LC-Net pre-trained (parallel)", 0.19, 93.27),
    ("LC-Net pre-trained (sequential)", 0.06, 93.27),
)


def stored() -> list[dict[str, Any]]:
    """Every stored result, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(STORE.glob("*.json"))]


def lines(results: list[dict[str, Any]]) -> Iterator[str]:
    """Our networks, then what the two schedules cost, then the published figures apart."""
    runs = ((result, *run) for result in results for run in result["schedules"].items())
    yield markdown(COLUMNS, (_cells(*run) for run in runs), words=2)
    for result in results:
        if len(result["schedules"]) == 2:
            yield ""
            yield _cost_of_sequential(result)
    for result in results:
        if "activity" in result:
            yield ""
            yield _decisions(result)
    names = {result["name"]: result for result in results}
    for name, result in names.items():
        static = names.get(name.partition("-")[2])  # the same network without gates
        if static is not None:
            yield ""
            yield _cost_of_gates(result, static)
    yield ""
    yield "Published, not measured here (LC-Net, table 1; CIFAR-10, GFLOPs of that paper):"
    yield ""
    rows = ([network, f"{flops:.2f}", f"{accuracy:.2f}%"] for network, flops, accuracy in PUBLISHED)
    yield markdown(["network", "GFLOPs", "accuracy"], rows)


def _cells(result: dict[str, Any], schedule: str, figures: dict[str, Any]) -> list[str]:
    card = result["card"]
    macs, cycles = figures["macs"], figures["cycles"]
    return [
        result["name"],
        how_it_runs(result, schedule),
        f"{card['metrics']['epochs']:.0f}",
        f"{card['accuracy']['float']:.2%}",
        f"{integer_accuracy(card):.2%}",
        f"{macs['dense']:,.0f}",
        f"{macs['executed']:,.0f} ({macs['executed'] / macs['dense']:.1%})",
        f"{cycles['dense']:,.0f}",
        f"{cycles['dynamic']:,.0f}",
        f"{figures['realisation_ratio']:.3f}",
        f"{result['images']:,}",
        f"{figures['mismatches'] + result['dense_mismatches']}",
    ]


def how_it_runs(result: dict[str, Any], schedule: str) -> str:
    """How it runs: a schedule of gates, or the share of the images that end at each exit."""
    if "images_by_exit" in result:
        shares = [f"{100 * count / result['images']:.0f}" for count in result["images_by_exit"]]
        return f"exits: {', '.join(shares)} %"
    return schedule if len(result["schedules"]) > 1 else "no gates"


def integer_accuracy(card: dict[str, Any]) -> float:
    """Accuracy of the integer network, of one with exits where images end."""
    found: dict[str, float] = card["accuracy"]
    return found.get("integer_with_exits", found["integer"])


def _cost_of_sequential(result: dict[str, Any]) -> str:
    """The same network in both schedules, in one sentence."""
    two = [result["schedules"][name] for name in ("sequential", "parallel")]
    macs = [figures["macs"]["executed"] for figures in two]
    cycles = [figures["cycles"]["dynamic"] for figures in two]
    extra = (cycles[0] / macs[0]) / (cycles[1] / macs[1]) - 1
    return (
        f"{result['name']}, *sequential* against *parallel*: {macs[0] / macs[1]:.3f} of the MACs, "
        f"{cycles[0] / cycles[1]:.3f} of the cycles an image, {extra:+.2%} cycles an executed MAC."
    )


def _decisions(result: dict[str, Any]) -> str:
    """How many gates decide anything, in one sentence."""
    shares = np.concatenate([np.array(table) for table in result["activity"].values()], axis=1)
    some = (shares.max(axis=0) > 0) & (shares.min(axis=0) < 1)
    often = some & (shares.mean(axis=0) > 0.05) & (shares.mean(axis=0) < 0.95)
    never = (shares.max(axis=0) == 0).sum()
    return (
        f"{result['name']}: {some.sum()} of {some.size} gates depend on the image, {often.sum()} "
        f"of them are open for 5 to 95 % of the images; {never} are never open."
    )


def _cost_of_gates(result: dict[str, Any], static: dict[str, Any]) -> str:
    """What the gates cost in accuracy, in one sentence."""
    cards = (result["card"], static["card"])
    points = [100 * integer_accuracy(card) for card in cards]
    epochs = [f"{card['metrics']['epochs']:.0f}" for card in cards]
    macs, cycles = (
        result["schedules"]["sequential"][key][kind] / static["schedules"]["sequential"][key][kind2]
        for key, kind, kind2 in (("macs", "executed", "dense"), ("cycles", "dynamic", "dynamic"))
    )
    return (
        f"{result['name']} against {static['name']} ({epochs[0]} and {epochs[1]} epochs): "
        f"{points[0] - points[1]:+.2f} points of integer accuracy, {macs:.3f} of the MACs, "
        f"{cycles:.3f} of the cycles."
    )


def tables() -> dict[str, str]:
    """The tables by the name of their markers."""
    return {"zoo": "\n".join(lines(stored())), "logits": _logits()}


def _logits() -> str:
    """A row for each width."""
    result = json.loads(LOGITS.read_text(encoding="utf-8"))
    return markdown(LOGIT_COLUMNS, (_row(row, result["images"]) for row in result["rows"]))


def _row(row: dict[str, Any], images: int) -> list[str]:
    return [
        f"int{row['bits']}",
        f"{row['scale']:.6f}",
        f"{row['ties']} of {images:,}",
        f"{row['correct'] / images:.1%}",
        f"{row['cycles']:,.0f}",
        f"{row['predicted'] / row['cycles'] - 1:+.2%}",
        f"{row['mismatches']}",
    ]
