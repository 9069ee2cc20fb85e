"""The network that a run starts from."""

from __future__ import annotations

from dataclasses import replace

import torch

from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.checkpoint.foreign import (
    foreign_shortcuts,
    inherit_foreign,
    is_foreign,
    pixels_of,
)
from penstock.model.data.dataset import Dataset
from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.gates.lcnet import Gate
from penstock.model.networks.own import OwnConfig, arguments_text, examined
from penstock.model.networks.registry import (
    OWN,
    AnyConfig,
    AnyNet,
    build_any,
    parse_any,
    shaped_network,
)
from penstock.model.networks.resnet_config import ResNetConfig
from penstock.model.plans.split import parse_split
from penstock.model.quantize.twin import gate_paths
from penstock.model.train.config import TrainConfig
from penstock.model.train.early_exit import inherit_heads


def as_told(config: TrainConfig, data: Dataset) -> Dataset:
    """The data as a run takes it: pixels as told, as `init` has them, or the data's own;
    augmentation as told."""
    mean, std = config.mean, config.std
    if config.init is not None:
        known = pixels_of(config.init)
        if len(known[0]) == data.in_channels:  # else it is no backbone for these images
            mean, std = mean or known[0], std or known[1]
    mean, std = mean or data.mean, std or data.std
    if not len(mean) == len(std) == data.in_channels:
        raise ConfigError(
            f"mean {mean} and std {std} for images of {data.in_channels} channels", "one a channel"
        )
    told = {name: getattr(config, name) for name in ("mirror", "shift", "augment_share")}
    told = {name: value for name, value in told.items() if value is not None}
    if told.get("shift", 0) >= min(data.input_size):
        raise ConfigError(f"shift is {told['shift']}", f"less than an image's {data.input_size}")
    return replace(data, mean=mean, std=std, **told)


def network_config(config: TrainConfig, data: Dataset) -> AnyConfig:
    """The network that `config` names, shaped for the images of `data`.

    Its shortcuts are those of a foreign `init`, unless `config` tells others.
    """
    settings = {name: getattr(config, name) for name in OWN}
    if config.init is not None and config.shortcuts is None and is_foreign(config.init):
        if isinstance(parse_any(config.network), ResNetConfig):
            settings["shortcuts"] = foreign_shortcuts(config.init)
    settings |= {"schedule": config.schedule}
    settings["split"] = parse_split(config.split) if config.split else None
    settings["network_args"] = arguments_text(config.network_args)
    shaped = shaped_network(config.network, data.in_channels, data.input_size, settings)
    network: AnyConfig = replace(shaped, classes=data.classes)
    return examined(network) if isinstance(network, OwnConfig) else network


def initial_network(config: TrainConfig, data: Dataset) -> tuple[AnyNet, float]:
    """Fresh, or with the backbone of the file `config.init`; epochs trained so far, as known."""
    net = build_any(network_config(config, data), config.seed)
    _start_gates(net, config)
    if config.init is None:
        return net, 0.0
    gates = {name for name in net.state_dict() if name.startswith(_fresh(net))}
    if is_foreign(config.init):
        inherit_foreign(net, config.init, gates)
        return net, 0.0
    loaded = load_checkpoint(config.init, config.network)
    donor, own = loaded.net.state_dict(), net.state_dict()
    foreign = [
        name
        for name in sorted((own.keys() - gates) | donor.keys())
        if name not in own or name not in donor or own[name].shape != donor[name].shape
    ]
    if foreign:
        raise CheckpointError(
            f"{config.init}: not a backbone of {config.network}: {foreign[0]} does not match",
            "train the network of the same depth and widths first",
        )
    net.load_state_dict(donor, strict=False)
    if net.config.split is not None and loaded.net.config.split is None:
        inherit_heads(net)
    return net, loaded.metrics["epochs"]


def _start_gates(net: AnyNet, config: TrainConfig) -> None:
    """Where LC-Net's gates begin, if `config` says so; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for gate in (module for module in net.modules() if isinstance(module, Gate)):
            gate.start(config.gate_bias, config.gate_spread)


def _fresh(net: AnyNet) -> tuple[str, ...]:
    """How names of parameters begin that a backbone need not have: of gates and exits' heads."""
    return (*(f"{path}." for path in gate_paths(net)), "heads.")
