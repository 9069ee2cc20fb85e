"""The network that a run starts from."""

from __future__ import annotations

import re
from dataclasses import replace

from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.data.dataset import Dataset
from penstock.model.errors import CheckpointError
from penstock.model.networks.own import OwnConfig, arguments_text, examined
from penstock.model.networks.registry import OWN, AnyConfig, AnyNet, build_any, shaped_network
from penstock.model.plans.split import parse_split
from penstock.model.train.config import TrainConfig
from penstock.model.train.early_exit import inherit_heads

# Parameters of gates in a state dict: of LC-Net, of gate networks, of a policy; heads of exits.
GATE_NAMES = re.compile(r"\.(lnet|cnets|gate|gates|gate2|router)\.|^policy\.|^heads\.")


def network_config(config: TrainConfig, data: Dataset) -> AnyConfig:
    """The network that `config` names, shaped for the images of `data`."""
    settings = {name: getattr(config, name) for name in OWN}
    settings |= {"schedule": config.schedule}
    settings["split"] = parse_split(config.split) if config.split else None
    settings["network_args"] = arguments_text(config.network_args)
    shaped = shaped_network(config.network, data.in_channels, data.input_size, settings)
    network: AnyConfig = replace(shaped, classes=data.classes)
    return examined(network) if isinstance(network, OwnConfig) else network


def initial_network(config: TrainConfig, data: Dataset) -> tuple[AnyNet, float]:
    """Fresh, or with the backbone of the checkpoint `config.init`; epochs trained so far."""
    net = build_any(network_config(config, data), config.seed)
    if config.init is None:
        return net, 0.0
    loaded = load_checkpoint(config.init, config.network)
    donor, own = loaded.net.state_dict(), net.state_dict()
    gates = {name for name in own if GATE_NAMES.search(name)}
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
