"""What the command line calls: train a network, export a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from penstock.model.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    write_atomically,
)
from penstock.model.config import TrainConfig
from penstock.model.data import Dataset, load_dataset
from penstock.model.export import build_onnx
from penstock.model.export_float import build_float_onnx
from penstock.model.geometry import NetworkConfig, for_images, parse_network
from penstock.model.networks import build_network
from penstock.model.quantize import QuantLCNet
from penstock.model.train import Evaluation, evaluate, fit, phases

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Where the checkpoint lies, and its figures (see `_metrics`)."""

    checkpoint: Path
    metrics: dict[str, float]


def network_config(config: TrainConfig, data: Dataset) -> NetworkConfig:
    """The network that `config` names, shaped for the images of `data`."""
    named = parse_network(config.network)
    shaped = for_images(named, data.in_channels, data.input_size)
    return replace(shaped, widths=config.widths or named.widths, schedule=config.schedule)


def train_network(config: TrainConfig) -> TrainResult:
    """Train in floating point, then quantisation-aware; write the checkpoint.

    The same configuration gives the same checkpoint on the same machine.  Raises ModelError.
    """
    console = Console(quiet=config.quiet)
    console.print(f"{config.network} on {config.dataset}, seed {config.seed}", highlight=False)
    data = load_dataset(config.dataset, config.data_dir)
    generator = torch.Generator().manual_seed(config.seed)
    in_float, in_integers = phases(config)
    with _threads(config.threads):
        net = build_network(network_config(config, data), config.seed).to(config.device)
        fit(net, data, config, in_float, generator)
        float_figures = evaluate(net, data, config.device)
        quantized = QuantLCNet(net).to(config.device)
        calibration = data.normalize(data.train_images[:CALIBRATION_IMAGES]).to(config.device)
        quantized.calibrate(calibration.split(CALIBRATION_BATCH))
        fit(quantized, data, config, in_integers, generator)
        figures = evaluate(quantized, data, config.device)
    checkpoint = Checkpoint(
        net=net.cpu(),
        quantized=quantized.cpu(),
        training=_plain(config),
        normalization=_normalization(data),
        metrics=_metrics(float_figures, figures),
    )
    save_checkpoint(config.out, checkpoint)
    return TrainResult(checkpoint=config.out, metrics=checkpoint.metrics)


def export_checkpoint(
    checkpoint: Path | str, onnx_path: Path | str, *, quantized: bool = True
) -> dict[str, float]:
    """Write the network of a checkpoint as ONNX; returns its figures.

    The quantised one as QDQ, or the floating-point one for `penstock compile --calibration`.
    """
    loaded = load_checkpoint(checkpoint)
    metadata = {key: str(loaded.training[key]) for key in ("dataset", "seed")}
    for key, values in loaded.normalization.items():
        metadata[key] = ",".join(f"{value:g}" for value in values)
    if quantized:
        model = build_onnx(loaded.quantized, metadata)
    else:
        model = build_float_onnx(loaded.net, metadata)
    content = model.SerializeToString()
    write_atomically(Path(onnx_path), lambda file: file.write(content))
    return loaded.metrics


def _metrics(in_float: Evaluation, in_integers: Evaluation) -> dict[str, float]:
    """Accuracies in [0, 1]; MACs an image (convention `macs`), means over the test set."""
    return {
        "float_accuracy": in_float.accuracy,
        "qat_accuracy": in_integers.accuracy,
        "dense_macs": float(in_integers.dense_macs),
        "executed_macs": in_integers.executed_macs,
        "executed_macs_without_gates": in_integers.executed_macs_without_gates,
        "mac_ratio": in_integers.mac_ratio,
    }


def _normalization(data: Dataset) -> dict[str, list[float]]:
    """What turns raw images into network input: (raw / full_scale - mean) / std."""
    return {
        "full_scale": [float(data.full_scale)],
        "mean": list(data.mean),
        "std": list(data.std),
    }


def _plain(config: TrainConfig) -> dict[str, object]:
    """The configuration with paths as text: a checkpoint holds plain values only."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run torch on that many threads, and give the setting back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
