"""The table of logits of 8 and 16 bits in docs/results/zoo.md, from bench/results/logits.json."""

import json
from typing import Any

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.tables.documents import markdown

STORE = RESULTS / "logits.json"
DOCUMENTS = (ROOT / "docs" / "results" / "zoo.md",)
COLUMNS = (
    "logits",
    "scale",
    "images that tie at the top",
    "accuracy",
    "cycles",
    "of the cost model",
    "mismatches",
)


def tables() -> dict[str, str]:
    """Marker -> table."""
    result = json.loads(STORE.read_text(encoding="utf-8"))
    text = markdown(COLUMNS, (_cells(row, result["images"]) for row in result["rows"]))
    return {"logits": text}


def _cells(row: dict[str, Any], images: int) -> list[str]:
    return [
        f"int{row['bits']}",
        f"{row['scale']:.6f}",
        f"{row['ties']} of {images:,}",
        f"{row['correct'] / images:.1%}",
        f"{row['cycles']:,.0f}",
        f"{row['predicted'] / row['cycles'] - 1:+.2%}",
        f"{row['mismatches']}",
    ]
