"""Trained, quantised networks: `NAME.onnx` (ONNX QDQ) and `NAME.json`, where each comes from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from penstock.model.errors import ConfigError

FOLDER = Path(__file__).parent
#: The network that the demo runs on a data set it does not train on.
DEMO_NETWORKS = {"cifar10": "lcnet-resnet20-cifar10"}


def zoo_names() -> list[str]:
    """The networks that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.onnx"))


def zoo_onnx(name: str) -> Path:
    """The ONNX file of a network.  Raises ConfigError."""
    if name not in zoo_names():
        raise ConfigError(f"no trained network {name!r}", f"one of {zoo_names()}")
    return FOLDER / f"{name}.onnx"


def zoo_card(name: str) -> dict[str, Any]:
    """How a network was trained and what it reached: the keys that `add_to_zoo` writes."""
    card: dict[str, Any] = json.loads(
        zoo_onnx(name).with_suffix(".json").read_text(encoding="utf-8")
    )
    return card


def add_to_zoo(
    checkpoint: Path,
    name: str,
    evaluation: dict[str, Any],
    commands: list[str],
    folder: Path = FOLDER,
) -> None:
    """Export a checkpoint into the zoo.

    `evaluation`: what `penstock evaluate --json` wrote for it; `commands`: what trained it, in
    order.  Raises ModelError.
    """
    from penstock.model.checkpoint.export import export_checkpoint
    from penstock.model.checkpoint.file import load_checkpoint
    from penstock.model.files.atomic import write_atomically
    from penstock.model.train.recipe import PLACES

    onnx_path = folder / f"{name}.onnx"
    metrics = export_checkpoint(checkpoint, onnx_path)
    training = load_checkpoint(checkpoint).training
    card = {
        "network": training["network"],
        "dataset": training["dataset"],
        "commands": commands,
        "training": {k: v for k, v in training.items() if k not in PLACES},
        "metrics": metrics,
        "accuracy": evaluation["accuracy"],
        "test_images": evaluation["images"],
        "sha256": hashlib.sha256(onnx_path.read_bytes()).hexdigest(),
    }
    text = json.dumps(card, indent=2) + "\n"
    write_atomically(folder / f"{name}.json", lambda file: file.write(text.encode()))
