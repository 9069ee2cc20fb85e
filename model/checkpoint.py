"""Checkpoints: one file with both networks, everything needed to rebuild them, and figures."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from penstock.model.errors import CheckpointError
from penstock.model.files import write_atomically
from penstock.model.kinds import (
    AnyNet,
    AnyQuantNet,
    build_any,
    config_from_plain,
    kind_of,
    quantize_any,
)

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained network: `net` in floating point, `quantized` after QAT, both on the CPU."""

    net: AnyNet
    quantized: AnyQuantNet
    training: dict[str, object]  # the TrainConfig, as plain values
    normalization: dict[str, list[float]]  # full_scale (one value), mean and std per channel
    metrics: dict[str, float]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` atomically; only plain values and tensors go into the file."""
    network = asdict(checkpoint.net.config)
    content = {
        "penstock_checkpoint": FORMAT,
        "kind": kind_of(checkpoint.net.config).name,
        "network": network,
        "float_state": checkpoint.net.state_dict(),
        "quantized_state": checkpoint.quantized.state_dict(),
        "training": checkpoint.training,
        "normalization": checkpoint.normalization,
        "metrics": checkpoint.metrics,
    }
    write_atomically(path, lambda file: torch.save(content, file))


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint, both networks in evaluation mode.  Raises CheckpointError."""
    path = Path(path)
    hint = "write one with train_network (penstock train)"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file", hint)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        LookupError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint", hint) from error
    if not isinstance(content, dict) or content.get("penstock_checkpoint") != FORMAT:
        raise CheckpointError(f"{path}: not a Penstock checkpoint of format {FORMAT}", hint)
    kind = content.get("kind", "resnet")  # there was no other when this was not written
    net = build_any(config_from_plain(kind, content["network"]), seed=0)
    net.load_state_dict(content["float_state"])
    quantized = quantize_any(net)
    quantized.load_state_dict(content["quantized_state"])
    return Checkpoint(
        net=net.eval(),
        quantized=quantized.eval(),
        training=content["training"],
        normalization=content["normalization"],
        metrics=content["metrics"],
    )
