"""Networks of *units* in a row, without gates: convolutions with batch norms, perhaps added to the
unit's input (or to a 1x1 convolution of it), perhaps followed by a 2x2 max-pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.errors import ConfigError
from penstock.model.gates.score import global_average_pool
from penstock.model.networks.network import Network, exit_heads
from penstock.model.networks.scores import Outputs
from penstock.model.plans.layers import ConvPlan, SplitRow
from penstock.model.plans.network import NetworkGeometry
from penstock.model.plans.split import plain_split
from penstock.model.stages.masked_conv import linked_conv
from penstock.model.stages.split import SplitConv, split_network

Activation = Literal["none", "relu", "relu6"]
RELU6 = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPlan:
    """Convolutions in a row; `activations` has one entry each.

    `residual`: the unit's input is added to the last one's output, `shortcut`: a 1x1 convolution
    of it.  `pool`: a 2x2 max-pool of stride 2 follows.
    """

    name: str
    convs: tuple[ConvPlan, ...]
    activations: tuple[Activation, ...]
    residual: bool = False
    shortcut: ConvPlan | None = None
    pool: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsConfig(NetworkGeometry):
    """What the configurations of networks made of units have in common."""

    def units(self) -> list[UnitPlan]:
        raise NotImplementedError

    def __post_init__(self) -> None:
        if min(side for conv in self.convs() for side in conv.out_size) < 1:
            raise ConfigError(f"{self.input_size} pixels are too few", "larger images")
        if self.split is not None:
            self.split.check_resolutions(self.resolutions)
            self.split.check_channels([c.channels for unit in self.units() for c in unit.convs])

    @property
    def out_channels(self) -> int:
        """Channels that the classifier's average sees."""
        return self.units()[-1].convs[-1].channels

    @property
    def resolutions(self) -> int:
        """Resolutions that a split plan has stages for."""
        return unit_resolutions(self.units())[-1] + 1

    def convs(self) -> Iterator[ConvPlan]:
        """Every convolution in the order they run."""
        for unit in self.units():
            yield from unit.convs
            if unit.shortcut is not None:
                yield unit.shortcut

    def split_rows(self) -> Iterator[SplitRow]:
        """All of a unit but its last convolution is split as its input is.

        So a depthwise convolution, of stride 2 too, has in every stage what that stage expanded.
        """
        before: int | None = None
        units = self.units()
        for unit, resolution in zip(units, unit_resolutions(units), strict=True):
            if unit.shortcut is not None:
                yield unit.shortcut, before, resolution
            *inner, last = unit.convs
            for conv in inner:
                yield conv, before, resolution if before is None else before
            yield last, before, resolution
            before = resolution


def unit_resolutions(units: Sequence[UnitPlan]) -> list[int]:
    """Number of the resolution that each unit's convolutions end in, from 0."""
    sizes = list(dict.fromkeys(unit.convs[-1].out_size for unit in units))
    return [sizes.index(unit.convs[-1].out_size) for unit in units]


def activate(x: Tensor, activation: Activation) -> Tensor:
    """ReLU, ReLU6, or the tensor itself."""
    if activation == "none":
        return x
    return F.relu(x) if activation == "relu" else x.clamp(0.0, RELU6)


class Unit(nn.Module):
    """One unit in floating point."""

    def __init__(self, plan: UnitPlan, links: Mapping[str, SplitConv] | None = None) -> None:
        """`links`: of a split network's convolutions."""
        super().__init__()
        self.plan = plan
        self.convs = nn.ModuleList(linked_conv(conv, links) for conv in plan.convs)
        self.bns = nn.ModuleList(nn.BatchNorm2d(conv.channels) for conv in plan.convs)
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_bn: nn.BatchNorm2d | None = None
        if plan.shortcut is not None:
            self.shortcut = linked_conv(plan.shortcut, links)
            self.shortcut_bn = nn.BatchNorm2d(plan.shortcut.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, Cin, H, W] -> float [N, C, H', W']."""
        y = x
        for conv, bn, activation in zip(self.convs, self.bns, self.plan.activations, strict=True):
            y = activate(bn(conv(y)), activation)
        if self.shortcut is not None and self.shortcut_bn is not None:
            y = y + self.shortcut_bn(self.shortcut(x))
        elif self.plan.residual:
            y = y + x
        return F.max_pool2d(y, 2) if self.plan.pool else y


class UnitNet(Network):
    """Units, then a global average and one fully connected layer."""

    config: UnitsConfig

    def __init__(self, config: UnitsConfig) -> None:
        super().__init__(config)
        network = None if config.split is None else split_network(config)
        links = None if network is None else network.convs
        self.units = nn.ModuleList(Unit(plan, links) for plan in config.units())
        widths = () if network is None else network.heads[:-1]
        self.heads = exit_heads(widths, config.classes)
        self.fc = nn.Linear(config.out_channels, config.classes)
        self.start()

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((early exits..., logits), []), for the trace."""
        for unit in self.units:
            x = unit(x)
        pooled = global_average_pool(x)
        early = [head(pooled[:, : head.in_features]) for head in self.heads]
        return (*early, self.fc(pooled)), []


def parse_units(name: str, *plain: Any) -> Any:
    """The network of a name, of configurations that have one each; "s2d-" splits it evenly.

    Raises ConfigError.
    """
    known = {config.name: config for config in plain}
    for config in plain:
        known[f"s2d-{config.name}"] = replace(config, split=plain_split(config.resolutions))
    if name not in known:
        raise ConfigError(f"unknown network {name!r}", f"one of {', '.join(known)}")
    return known[name]
