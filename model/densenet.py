"""DenseNet (Huang et al., CVPR 2017) as in ACS: every layer reads all maps of its block so far.

A layer is BN - ReLU - 1x1 - BN - ReLU - 3x3 and adds `growth` channels to the Concat it read.
Between blocks BN - ReLU - 1x1 halves the channels and a 2x2 average the map.  Static: no gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.errors import ConfigError
from penstock.model.gate_network import plain_conv
from penstock.model.gates import global_average_pool
from penstock.model.geometry import ConvPlan, Schedule, halved
from penstock.model.networks import BlockScores


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseNetConfig:
    """DenseNet-41 by default; DenseNet-53 has eight layers a block (ACS, section 4.1).

    ACS gives depth and growth alone.  Inner width, stem and compression are those with which the
    MACs of everything but the stem come nearest to its figure (0.06965 G; here 69.57 M).
    `transition_last`: the last block has a transition too, as the depth counts it.
    """

    layers: tuple[int, ...] = (6, 6, 6)  # of each block
    growth: int = 32
    width: int = 2  # inner channels of a layer over `growth`
    stem: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    transition_last: bool = False
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)  # height, width
    classes: int = 10
    schedule: Schedule = "sequential"

    def __post_init__(self) -> None:
        if not self.layers or min(self.layers) < 1 or min(self.growth, self.width, self.stem) < 1:
            raise ConfigError("a DenseNet has layers in every block, and channels in every layer")

    @property
    def name(self) -> str:
        """For example "densenet41"."""
        return f"densenet{2 * sum(self.layers) + len(self.layers) + 2}"

    def blocks(self) -> list[DenseBlockPlan]:
        """The blocks in the order they run."""
        plans: list[DenseBlockPlan] = []
        channels, size = self.stem, halved(self.input_size, self.stem_stride)
        for index, count in enumerate(self.layers):
            last = index == len(self.layers) - 1
            plan = DenseBlockPlan(
                name=f"block{index}",
                in_channels=channels,
                layers=count,
                growth=self.growth,
                inner=self.width * self.growth,
                size=size,
                transition=self.transition_last or not last,
            )
            plans.append(plan)
            channels, size = plan.out_channels, plan.out_size
        return plans

    def stem_plan(self) -> ConvPlan:
        """The first convolution; nothing normalises what it puts out."""
        return ConvPlan(
            name="stem.conv",
            in_channels=self.in_channels,
            channels=self.stem,
            kernel=self.stem_kernel,
            stride=self.stem_stride,
            out_size=halved(self.input_size, self.stem_stride),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseBlockPlan:
    """Geometry of one block and of the transition behind it; sizes are (height, width)."""

    name: str
    in_channels: int
    layers: int
    growth: int
    inner: int
    size: tuple[int, int]
    transition: bool

    @property
    def channels(self) -> int:
        """Of all its maps together."""
        return self.in_channels + self.layers * self.growth

    @property
    def out_channels(self) -> int:
        """That the next block begins with."""
        return self.channels // 2 if self.transition else self.channels

    @property
    def out_size(self) -> tuple[int, int]:
        """Of the next block's maps."""
        return (self.size[0] // 2, self.size[1] // 2) if self.transition else self.size

    def layer_convs(self, index: int) -> tuple[ConvPlan, ConvPlan]:
        """The 1x1 and the 3x3 convolution of a layer."""
        name, before = f"{self.name}.layer{index}", self.in_channels + index * self.growth
        return (
            self._conv(f"{name}.conv1", before, self.inner, 1),
            self._conv(f"{name}.conv2", self.inner, self.growth, 3),
        )

    def transition_conv(self) -> ConvPlan:
        """The 1x1 convolution of the transition."""
        return self._conv(f"{self.name}.transition.conv", self.channels, self.out_channels, 1)

    def _conv(self, name: str, inputs: int, outputs: int, kernel: int) -> ConvPlan:
        return ConvPlan(
            name=name,
            in_channels=inputs,
            channels=outputs,
            kernel=kernel,
            stride=1,
            out_size=self.size,
        )


def densenet_convs(config: DenseNetConfig) -> Iterator[ConvPlan]:
    """Every convolution in the order they run."""
    yield config.stem_plan()
    for block in config.blocks():
        for index in range(block.layers):
            yield from block.layer_convs(index)
        if block.transition:
            yield block.transition_conv()


def densenet_macs(config: DenseNetConfig) -> dict[str, int]:
    """MACs of every layer for an image, convention `macs`; names as in the exported graph.

    Normalisations that follow no convolution are none of them (`norm_macs`).
    """
    counts = {conv.name: conv.macs for conv in densenet_convs(config)}
    return {**counts, "classifier.fc": config.blocks()[-1].out_channels * config.classes}


def norm_macs(config: DenseNetConfig) -> int:
    """What the normalisations in front of convolutions and classifier take, one MAC an element."""
    total = 0
    for block in config.blocks():
        pixels = block.size[0] * block.size[1]
        widths = [block.in_channels + index * block.growth for index in range(block.layers)]
        total += pixels * (sum(widths) + block.channels * block.transition)
    last = config.blocks()[-1]
    return total + last.out_channels * last.out_size[0] * last.out_size[1]


def parse_densenet(name: str) -> DenseNetConfig:
    """The network of a name: densenet41, densenet53."""
    known = {c.name: c for c in (DenseNetConfig(), DenseNetConfig(layers=(8, 8, 8)))}
    if name not in known:
        raise ConfigError(f"unknown network {name!r}", f"one of {', '.join(known)}")
    return known[name]


class DenseLayer(nn.Module):
    """One layer: the channels that it adds."""

    def __init__(self, plan: DenseBlockPlan, index: int) -> None:
        super().__init__()
        first, second = plan.layer_convs(index)
        self.norm = nn.BatchNorm2d(first.in_channels)
        self.conv1, self.bn1 = plain_conv(first), nn.BatchNorm2d(first.channels)
        self.conv2 = plain_conv(second)

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, C, H, W] of all maps so far -> [N, growth, H, W]."""
        y = F.relu(self.bn1(self.conv1(F.relu(self.norm(x)))))  # [N, inner, H, W]
        return self.conv2(y)


class DenseBlock(nn.Module):
    """The layers of a block, and the transition behind it."""

    def __init__(self, plan: DenseBlockPlan) -> None:
        super().__init__()
        self.plan = plan
        self.layers = nn.ModuleList(DenseLayer(plan, index) for index in range(plan.layers))
        self.norm: nn.BatchNorm2d | None = None
        self.conv: nn.Conv2d | None = None
        if plan.transition:
            self.norm = nn.BatchNorm2d(plan.channels)
            self.conv = plain_conv(plan.transition_conv())

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, in_channels, H, W] -> [N, out_channels, H', W']."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        if self.norm is None or self.conv is None:
            return x
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    """Stem, blocks, then BN - ReLU, a global average and one fully connected layer."""

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = plain_conv(config.stem_plan())
        self.blocks = nn.ModuleList(DenseBlock(plan) for plan in config.blocks())
        channels = config.blocks()[-1].out_channels
        self.norm = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, config.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes]; no gate has scores."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(global_average_pool(F.relu(self.norm(x)))), []


def build_densenet(config: DenseNetConfig, seed: int) -> DenseNet:
    """A freshly initialised network; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DenseNet(config)
