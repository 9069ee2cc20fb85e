"""Checkpoints: one file with both networks, everything needed to rebuild them, and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from penstock.model.checkpoint.old_names import old_names, renamed, second_names
from penstock.model.errors import CheckpointError
from penstock.model.files.atomic import write_atomically
from penstock.model.files.checked import (
    BUILT_UNSEEN,
    as_checkpoint_error,
    check_shapes,
    entry,
    figures,
    numbers,
    read_torch,
    state_dict,
)
from penstock.model.networks.own import OwnConfig
from penstock.model.networks.registry import (
    AnyConfig,
    AnyNet,
    build_any,
    config_from_plain,
    kind_of,
)
from penstock.model.quantize.twin import QuantNetwork

FORMAT = 3
FORMATS = (1, 2, FORMAT)  # tensors had other names (`penstock.model.checkpoint.old_names`)
HINT = "write one with train_network (penstock train)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained network: `net` in floating point, `quantized` after QAT, both on the CPU."""

    net: AnyNet
    quantized: QuantNetwork
    training: dict[str, object]  # the TrainConfig, as plain values
    normalization: dict[str, list[float]]  # full_scale (one value), mean and std per channel
    metrics: dict[str, float]
    class_names: tuple[str, ...] = ()  # in the order of the logits; empty if they are not known


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
        "class_names": list(checkpoint.class_names),
    }
    write_atomically(path, lambda file: torch.save(content, file))


def load_checkpoint(path: Path | str, network: str | None = None) -> Checkpoint:
    """Read a checkpoint, both networks in evaluation mode.

    `network`: of a network of the caller's its factory, `pkg.module:name`, whose code runs; a file
    alone runs nothing.

    Raises:
        CheckpointError: the network's factory is another than `network`; the file is missing or no
            checkpoint; a field is missing, of another type or of another size than the network's;
            a number in it is NaN or infinite.
    """
    path = Path(path)
    content = read_torch(path, HINT)
    version = content.get("penstock_checkpoint")
    if version not in FORMATS or isinstance(version, bool):
        known = f"1 to {FORMAT}"
        raise CheckpointError(f"{path}: not a Penstock checkpoint of format {known}", HINT)
    with as_checkpoint_error(path, "the network in it", HINT):
        return _checkpoint(content, network, version)


def _checkpoint(content: dict[str, Any], network: str | None, version: int) -> Checkpoint:
    """The checkpoint of a file's content, field by field."""
    # There was no other kind when this was not written.
    kind = entry(content, "kind", str) if "kind" in content else "resnet"
    config = config_from_plain(kind, entry(content, "network", dict))
    if isinstance(config, OwnConfig) and config.factory != network:
        raise CheckpointError(
            f"the network is made by {config.factory}, code that no file may start",
            f"--network {config.factory}, if you trust it",
        )
    in_float = state_dict(content, "float_state")
    quantised = state_dict(content, "quantized_state")
    _check_size(config, in_float, version)
    net = build_any(config, seed=0)
    in_float = _present(net, in_float, version)
    check_shapes(net, in_float, "float_state")
    net.load_state_dict(in_float)
    quantized = QuantNetwork(net)
    if version < FORMAT:
        second = second_names(net, quantized.state_dict())
        names = second if version > 1 else old_names(net, quantized)
        quantised = renamed(quantised, names, "quantized_state")
    check_shapes(quantized, quantised, "quantized_state")
    quantized.load_state_dict(quantised)
    training = entry(content, "training", dict)
    entry(training, "dataset", str)
    entry(training, "seed", int)
    given = entry(content, "normalization", dict)
    numbers(given, "full_scale", 1, above=0)
    numbers(given, "mean", config.in_channels)
    numbers(given, "std", config.in_channels, above=0)
    exits = (f"threshold{index}" for index in range(config.early_exits))
    return Checkpoint(
        net=net.eval(),
        quantized=quantized.eval(),
        training=training,
        normalization=given,
        metrics=figures(content, "epochs", *exits),
        class_names=_class_names(content, config.classes),
    )


def _class_names(content: dict[str, Any], classes: int) -> tuple[str, ...]:
    """Names of the classes; older files have none."""
    names = content.get("class_names", [])
    texts = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    if not texts or len(names) not in (0, classes):
        raise CheckpointError(f"field 'class_names' is not {classes} texts")
    return tuple(names)


def _present(net: AnyNet, state: dict[str, torch.Tensor], version: int) -> dict[str, torch.Tensor]:
    """The state of a floating-point network under the names that it has now."""
    if version == FORMAT:
        return state
    return renamed(state, second_names(net, net.state_dict()), "float_state")


def _check_size(config: AnyConfig, state: dict[str, torch.Tensor], version: int) -> None:
    """CheckpointError of a configuration whose network is not the file's, before it is built.

    A configuration of a few bytes may name a network of terabytes.
    """
    layers, widest = config.extent
    if layers > len(state):
        raise CheckpointError(f"{layers} layers in field 'network', {len(state)} tensors")
    if 4 * 9 * layers * widest**2 > BUILT_UNSEEN:
        with torch.device("meta"):  # shapes alone
            net = build_any(config, seed=0)
            check_shapes(net, _present(net, state, version), "float_state")
