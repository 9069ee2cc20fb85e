"""ONNX files of a checkpoint's networks."""

from __future__ import annotations

import json
from pathlib import Path

from penstock.model.checkpoint.file import Checkpoint, load_checkpoint
from penstock.model.errors import CheckpointError
from penstock.model.export.networks import build_float_onnx, build_onnx, exit_name
from penstock.model.export.qdq import OUTPUT
from penstock.model.files.atomic import write_atomically
from penstock.program.network.pixels import Pixels

#: Metric of a checkpoint, with the number of the early exit behind it.
THRESHOLD = "threshold"


def export_checkpoint(
    checkpoint: Path | str,
    onnx_path: Path | str,
    *,
    quantized: bool = True,
    network: str | None = None,
) -> dict[str, float]:
    """Write the network of a checkpoint as ONNX; returns its figures.

    The quantised one as QDQ, or the floating-point one for `penstock compile --calibration`.
    `network` as `load_checkpoint` has it.  Raises CheckpointError, also where a parameter is no
    finite number: nothing is written then.
    """
    loaded = load_checkpoint(checkpoint, network)
    metadata = {key: str(loaded.training[key]) for key in ("dataset", "seed")}
    metadata |= pixels_of_checkpoint(loaded).properties()
    if loaded.class_names:
        metadata["class_names"] = json.dumps(loaded.class_names)
    exits = range(loaded.net.config.early_exits)
    if exits:
        thresholds = exit_thresholds(loaded)
        metadata["exits"] = ",".join([*map(exit_name, exits), OUTPUT])
        metadata["thresholds"] = ",".join(f"{value:g}" for value in thresholds)
    if exits and not quantized:
        raise CheckpointError(
            f"{checkpoint}: early exits are not exported in floating point",
            "export the quantised network",
        )
    if quantized:
        model = build_onnx(loaded.quantized, metadata)
    else:
        model = build_float_onnx(loaded.net, metadata)
    content = model.SerializeToString()
    write_atomically(Path(onnx_path), lambda file: file.write(content))
    return loaded.metrics


def pixels_of_checkpoint(loaded: Checkpoint) -> Pixels:
    """How the pixels that the network was trained on became its input."""
    known = loaded.normalization
    return Pixels(
        name=str(loaded.training["dataset"]),
        full_scale=known["full_scale"][0],
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )


def exit_thresholds(loaded: Checkpoint) -> list[float]:
    """The thresholds of the early exits of a checkpoint's network, in order."""
    exits = range(loaded.net.config.early_exits)
    return [loaded.metrics[f"{THRESHOLD}{index}"] for index in exits]
