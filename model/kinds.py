"""Kinds of networks: ResNets, DenseNets, and the backbones made of units.

Configuration and float network of each, behind one set of functions: what trains, evaluates and
exports a network asks for no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from penstock.model.backbones import (
    BackboneConfig,
    MobileNetConfig,
    VggConfig,
    build_backbone,
    parse_backbone,
)
from penstock.model.checked import plain_values
from penstock.model.dense_geometry import DenseNetConfig, densenet_for_images, parse_densenet
from penstock.model.densenet import build_densenet
from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.geometry import NetworkConfig, for_images, network_from_plain, parse_network
from penstock.model.networks import build_network
from penstock.model.own.config import OwnConfig, build_own, own_for_images, parse_own
from penstock.model.quantize import AnyNet
from penstock.model.reference import is_reference

AnyConfig = NetworkConfig | DenseNetConfig | BackboneConfig | OwnConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How networks of one kind are made; `name` is part of each one's name and in checkpoints."""

    name: str
    config: type[Any]
    parse: Callable[[str], Any]
    shape: Callable[[Any, int, tuple[int, int]], Any]  # for images: channels, (height, width)
    build: Callable[[Any, int], Any]


def _shaped(config: Any, in_channels: int, input_size: tuple[int, int]) -> Any:
    return replace(config, in_channels=in_channels, input_size=input_size)


def _units(name: str, config: type[Any]) -> Kind:
    return Kind(
        name=name,
        config=config,
        parse=parse_backbone,
        shape=_shaped,
        build=build_backbone,
    )


KINDS = (
    Kind(
        name="resnet",
        config=NetworkConfig,
        parse=parse_network,
        shape=for_images,
        build=build_network,
    ),
    Kind(
        name="densenet",
        config=DenseNetConfig,
        parse=parse_densenet,
        shape=densenet_for_images,
        build=build_densenet,
    ),
    _units("vgg", VggConfig),
    _units("mobilenet", MobileNetConfig),
)
#: A network of the caller's, named `pkg.module:factory`.
MODULE = Kind(
    name="module", config=OwnConfig, parse=parse_own, shape=own_for_images, build=build_own
)
#: Settings of a training that not every kind of network has.
OWN = ("widths", "exits", "split", "layers", "growth", "network_args")


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
    named = parse_any(name)
    given = {key: value for key, value in settings.items() if value is not None}
    known = {field.name for field in fields(named)}
    foreign = sorted((given.keys() & set(OWN)) - known)
    if foreign:
        own = ", ".join(key for key in OWN if key in known)
        raise ConfigError(f"{name} has no setting '{foreign[0]}'", f"of these it has {own}")
    config: AnyConfig = replace(kind_of(named).shape(named, in_channels, input_size), **given)
    return config


def build_any(config: AnyConfig, seed: int) -> AnyNet:
    """A freshly initialised network; torch's global generator is left as it was."""
    net: AnyNet = kind_of(config).build(config, seed)
    return net


def config_from_plain(kind: str, plain: Mapping[str, Any]) -> AnyConfig:
    """The configuration in a checkpoint.  Raises CheckpointError."""
    found = next((known for known in (*KINDS, MODULE) if known.name == kind), None)
    if found is None:
        raise CheckpointError(
            f"a network of the unknown kind '{kind}'", "load it with the version that wrote it"
        )
    if found.config is NetworkConfig:
        return network_from_plain(plain)
    config: AnyConfig = found.config(**plain_values(found.config, plain))
    return config


def network_size(config: AnyConfig) -> tuple[int, int]:
    """(layers, channels of the widest), roughly and from above: what building one may take.

    (0, 0) of a module of the caller's, who knows.
    """
    if isinstance(config, OwnConfig):
        return 0, 0
    if isinstance(config, DenseNetConfig):
        layers = sum(config.layers)
        return layers, config.stem + (layers + config.width) * config.growth
    if isinstance(config, NetworkConfig):
        return sum(config.blocks), 4 * max(config.widths, default=0)
    if isinstance(config, VggConfig):
        return sum(row[1] for row in config.stages), max(row[0] for row in config.stages)
    assert isinstance(config, MobileNetConfig)
    wide = max(row[0] * row[1] for row in config.stages)
    return sum(row[2] for row in config.stages), max(wide, config.head)
