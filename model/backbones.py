"""Networks without gates beside the ResNets: VGG16-BN and MobileNetV2 in their CIFAR forms.

Both are *units* in a row: convolutions with batch norms, perhaps added to the unit's input (or to
a 1x1 convolution of it), perhaps followed by a 2x2 max-pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.errors import ConfigError
from penstock.model.gates import global_average_pool
from penstock.model.geometry import ConvPlan, NetworkGeometry, Schedule, SplitRow, halved
from penstock.model.masked_conv import linked_conv
from penstock.model.networks import BlockScores, Outputs
from penstock.model.split import SplitConv, split_network
from penstock.model.split_plan import SplitPlan, plain_split

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


class _Units(NetworkGeometry):
    """What the configurations of networks made of units have in common."""

    __slots__ = ()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class VggConfig(_Units):
    """VGG with batch norm and one fully connected layer; `stages`: (channels, convolutions).

    `split`: it runs in stages of its channels, as S2DNAS has it (`penstock.model.split`).
    """

    stages: tuple[tuple[int, int], ...] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)
    classes: int = 10
    schedule: Schedule = "sequential"
    split: SplitPlan | None = None

    @property
    def name(self) -> str:
        """For example "vgg16"; "s2d-" in front where it is split."""
        depth = sum(count for _, count in self.stages) + 3  # as named, with three FC layers
        return f"{'s2d-' if self.split else ''}vgg{depth}"

    def units(self) -> list[UnitPlan]:
        """One convolution each; a pool behind the last of a stage."""
        plans: list[UnitPlan] = []
        channels, size = self.in_channels, self.input_size
        for stage, (width, count) in enumerate(self.stages):
            for index in range(count):
                name = f"stage{stage}.conv{index + 1}"
                conv = ConvPlan(
                    name=name,
                    in_channels=channels,
                    channels=width,
                    kernel=3,
                    stride=1,
                    out_size=size,
                )
                last = index == count - 1
                plans.append(UnitPlan(name=name, convs=(conv,), activations=("relu",), pool=last))
                channels = width
            size = (size[0] // 2, size[1] // 2)
        return plans


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetConfig(_Units):
    """MobileNetV2; `stages`: (expansion, channels, units, stride), the CIFAR form by default.

    `shortcut_convs`: units of stride 1 that change the number of channels have a 1x1 convolution
    on a shortcut, and those without expansion keep their first 1x1 convolution (a widespread CIFAR
    form, 91.15 M MACs); without, the network is as published (87.98 M).
    `split`: it runs in stages of its channels, as S2DNAS has it (`penstock.model.split`).
    """

    stages: tuple[tuple[int, int, int, int], ...] = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    stem: int = 32
    head: int = 1280
    shortcut_convs: bool = False
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)
    classes: int = 10
    schedule: Schedule = "sequential"
    split: SplitPlan | None = None

    @property
    def name(self) -> str:
        """ "mobilenetv2", "-shortcuts" behind it for the form with shortcut convolutions, "s2d-" in
        front where it is split."""
        shortcuts = "-shortcuts" if self.shortcut_convs else ""
        return f"{'s2d-' if self.split else ''}mobilenetv2{shortcuts}"

    def units(self) -> list[UnitPlan]:
        """The stem, the inverted residuals, the head."""
        plans = [_single("stem", self.in_channels, self.stem, 3, self.input_size)]
        channels, size = self.stem, self.input_size
        for stage, (expansion, width, count, first_stride) in enumerate(self.stages):
            for index in range(count):
                stride = first_stride if index == 0 else 1
                name = f"stage{stage}.block{index}"
                plans.append(self._inverted(name, channels, width, expansion, stride, size))
                channels, size = width, halved(size, stride)
        return [*plans, _single("head", channels, self.head, 1, size)]

    def _inverted(
        self,
        name: str,
        inputs: int,
        outputs: int,
        expansion: int,
        stride: int,
        size: tuple[int, int],
    ) -> UnitPlan:
        width, out_size = inputs * expansion, halved(size, stride)
        rows = [
            ("expand", inputs, width, 1, 1, size, 1),
            ("depthwise", width, width, 3, stride, out_size, width),
            ("project", width, outputs, 1, 1, out_size, 1),
        ]
        if expansion == 1 and not self.shortcut_convs:
            rows = rows[1:]
        convs = tuple(
            ConvPlan(
                name=f"{name}.{kind}",
                in_channels=source,
                channels=channels,
                kernel=kernel,
                stride=step,
                out_size=at,
                groups=groups,
            )
            for kind, source, channels, kernel, step, at, groups in rows
        )
        shortcut = None
        if self.shortcut_convs and stride == 1 and inputs != outputs:
            shortcut = ConvPlan(
                name=f"{name}.shortcut",
                in_channels=inputs,
                channels=outputs,
                kernel=1,
                stride=1,
                out_size=out_size,
            )
        inner: list[Activation] = ["relu6"] * (len(convs) - 1)
        return UnitPlan(
            name=name,
            convs=convs,
            activations=(*inner, "none"),
            residual=stride == 1 and inputs == outputs,
            shortcut=shortcut,
        )


BackboneConfig = VggConfig | MobileNetConfig


def _single(name: str, inputs: int, outputs: int, kernel: int, size: tuple[int, int]) -> UnitPlan:
    conv = ConvPlan(
        name=f"{name}.conv",
        in_channels=inputs,
        channels=outputs,
        kernel=kernel,
        stride=1,
        out_size=size,
    )
    return UnitPlan(name=name, convs=(conv,), activations=("relu6",))


def unit_resolutions(units: Sequence[UnitPlan]) -> list[int]:
    """Number of the resolution that each unit's convolutions end in, from 0."""
    sizes = list(dict.fromkeys(unit.convs[-1].out_size for unit in units))
    return [sizes.index(unit.convs[-1].out_size) for unit in units]


def parse_backbone(name: str) -> BackboneConfig:
    """The network of a name: vgg16, mobilenetv2, mobilenetv2-shortcuts; "s2d-" splits it evenly."""
    plain = (VggConfig(), MobileNetConfig(), MobileNetConfig(shortcut_convs=True))
    known: dict[str, BackboneConfig] = {config.name: config for config in plain}
    for config in plain:
        split = plain_split(config.resolutions)
        known[f"s2d-{config.name}"] = replace(config, split=split)
    if name not in known:
        raise ConfigError(f"unknown network {name!r}", f"one of {', '.join(known)}")
    return known[name]


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


class Backbone(nn.Module):
    """Units, then a global average and one fully connected layer.

    `early`: logits of the stages before a split network's last, float [N, classes] each, from the
    last forward pass.
    """

    early: list[Tensor]

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        network = None if config.split is None else split_network(config)
        links = None if network is None else network.convs
        self.units = nn.ModuleList(Unit(plan, links) for plan in config.units())
        widths = () if network is None else network.heads[:-1]
        self.heads = nn.ModuleList(nn.Linear(width, config.classes) for width in widths)
        self.early = []
        self.fc = nn.Linear(config.out_channels, config.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes]; no gate has scores."""
        (*self.early, logits), _ = self.outputs(x)
        return logits, []

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((early exits..., logits), []), for the trace."""
        for unit in self.units:
            x = unit(x)
        pooled = global_average_pool(x)
        early = [head(pooled[:, : head.in_features]) for head in self.heads]
        return (*early, self.fc(pooled)), []


def build_backbone(config: BackboneConfig, seed: int) -> Backbone:
    """A freshly initialised network; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone(config)
