"""The table of docs/results/mlperf.md, from bench/results/mlperf.json."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.mlperf import TASKS
from penstock.boards.board import load_board

STORE = RESULTS / "mlperf.json"
DOCUMENTS = (ROOT / "docs" / "results" / "mlperf.md",)

#: Inferences a second as published (mlcommons/tiny_results_*), not repeated: (task, who, rate).
PUBLISHED = (
    ("ic", "fpgaConvNet, ZedBoard (XC7Z020), 143 MHz, round 1.1 closed", "2,431"),
    ("ic", "hls4ml RN07, PYNQ-Z2, 100 MHz, round 0.7 open", "36.6"),
    ("ic", "hls4ml RN08, PYNQ-Z2, round 1.0 open", "130.8"),
    ("ic", "FINN CNV-W1A1, PYNQ-Z2, 100 MHz, round 0.7 open (another network)", "661"),
    ("vww", "fpgaConvNet, ZedBoard (XC7Z020), 143 MHz, round 1.1 closed", "105"),
    ("kws", "fpgaConvNet, ZedBoard (XC7Z020), 143 MHz, round 1.1 closed", "3,088"),
    ("kws", "FINN MLP-W3A3, PYNQ-Z2, 100 MHz, round 0.7 open (another network)", "57,268"),
    ("ad", "hls4ml AD08, PYNQ-Z2, 100 MHz, round 0.7 open (another network)", "53,365"),
)


def lines(stored: dict[str, Any]) -> Iterator[str]:
    """Our rows, then the published ones."""
    board = load_board(stored["board"])
    clock = board.clock("rtl", stored["config"])
    yield (
        "| network | MACs as run | cycles an image (rtl-sim) | predicted | weight bytes "
        f"| bytes read | ms at {clock:g} MHz (estimate) | images a second (estimate) "
        "| bytes that differ | host |"
    )
    yield "|---|" + "---:|" * 8 + "---|"
    for name, result in stored["networks"].items():
        task, form = name.split("_")
        title = f"{TASKS[task]}, {form}"
        yield _row(title, result, clock)
    for config, results in stored.get("others", {}).items():
        clock = board.clock("rtl", config)
        for name, result in results.items():
            task, form, *at_once = name.split("_")
            title = f"{TASKS[task]}, {form}, on `{config}` at {clock} MHz"
            yield _row(", ".join([title, *(f"{n} images a run" for n in at_once)]), result, clock)
    for name, result in stored["networks"].items():
        if "accuracy" in result:
            found = result["accuracy"]
            yield ""
            text = f"{name}, accuracy over {found['images']:,} images: as published "
            text += f"{found['published']:.2%} (onnxruntime)"
            if "integer" in found:
                text += f", in integers {found['integer']:.2%} (golden)"
                text += f", the quantised file {found['onnxruntime']:.2%} (onnxruntime)"
            yield text + "."
    yield ""
    yield "| published, read in its source, not repeated | task | images a second |"
    yield "|---|---|---:|"
    for task, who, rate in PUBLISHED:
        yield f"| {who} | {TASKS[task].split(',')[0]} | {rate} |"


def _row(title: str, result: dict[str, Any], clock: float) -> str:
    """A network's row; of a refused one the reason."""
    if "refused" in result:
        reason = result["refused"].split("): ", 1)[-1].split(";")[0]
        return f"| {title} | refused: {reason} |" + " |" * 8
    return "| " + " | ".join([title, *_cells(result, clock)]) + " |"


def _cells(result: dict[str, Any], clock: float) -> list[str]:
    cycles = result["cycles"]
    return [
        f"{result['macs']:,.0f}",
        f"{cycles:,.0f}",
        f"{result['predicted'] / cycles - 1:+.2%}",
        f"{result['weight_bytes']:,.0f}",
        f"{result['read_bytes']:,.0f}",
        f"{cycles / clock / 1e3:.3f}",
        f"{clock * 1e6 / cycles:,.0f}",
        str(sum(result["mismatches"].values())),
        "; ".join(result["host"]),
    ]


def tables() -> dict[str, str]:
    """The table by the name of its markers."""
    return {"mlperf": "\n".join(lines(json.loads(STORE.read_text(encoding="utf-8"))))}
