"""Kinds of networks by name.

Configuration and float network of each, behind one set of functions: what trains, evaluates and
exports a network asks for no kind.  A new kind is a file and its line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.files.reference import is_reference
from penstock.model.networks import densenet, mobilenet, own, resnet, vgg
from penstock.model.networks.network import Kind, Network, build
from penstock.model.networks.own import OwnConfig
from penstock.model.plans.network import NetworkGeometry

AnyNet = Network
AnyConfig = NetworkGeometry

#: The first takes what no other's name is in.
KINDS = (resnet.KIND, densenet.KIND, vgg.KIND, mobilenet.KIND)
#: A network of the caller's, named `pkg.module:factory`.
MODULE = own.KIND
#: Settings of a training that not every kind of network has.
OWN = ("widths", "shortcuts", "exits", "split", "layers", "growth", "network_args")


def kind_of(config: AnyConfig) -> Kind:
    """The kind of a configuration."""
    return next(kind for kind in (*KINDS, MODULE) if isinstance(config, kind.config))


def parse_any(name: str) -> AnyConfig:
    """The network of a name of any kind.  Raises ConfigError."""
    named = [MODULE] if is_reference(name) else [kind for kind in KINDS if kind.name in name]
    config: AnyConfig = (named or KINDS)[0].parse(name)
    return config


def shaped_network(
    name: str, in_channels: int, input_size: tuple[int, int], settings: Mapping[str, Any]
) -> AnyConfig:
    """The network of a name for such images, changed by those of `OWN` that are not None.

    Raises ConfigError, also of a setting that such networks do not have.
    """
    named: Any = parse_any(name)
    given = {key: value for key, value in settings.items() if value is not None}
    known = {field.name for field in fields(named)}
    foreign = sorted((given.keys() & set(OWN)) - known)
    if foreign:
        has = ", ".join(key for key in OWN if key in known)
        raise ConfigError(f"{name} has no setting '{foreign[0]}'", f"of these it has {has}")
    config: AnyConfig = replace(kind_of(named).shape(named, in_channels, input_size), **given)
    return config


def build_any(config: AnyConfig, seed: int) -> Any:
    """A freshly initialised `Network`; torch's global generator is left as it was."""
    if isinstance(config, OwnConfig):
        return own.build_own(config, seed)
    return build(kind_of(config).net, config, seed)


def config_from_plain(kind: str, plain: Mapping[str, Any]) -> AnyConfig:
    """The configuration in a checkpoint.  Raises CheckpointError."""
    found = next((known for known in (*KINDS, MODULE) if known.name == kind), None)
    if found is None:
        raise CheckpointError(
            f"a network of the unknown kind '{kind}'", "load it with the version that wrote it"
        )
    return found.config.from_plain(plain)
