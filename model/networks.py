"""ResNets with LC-Net gates, in floating point: basic and bottleneck blocks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates import CNet, LNet, global_average_pool
from penstock.model.geometry import BlockPlan, ConvPlan, NetworkConfig, block_plans, stem_plan


class BlockScores(NamedTuple):
    """The gate scores of one block, for a batch of N images.

    A gate that the configuration leaves out is always open: its scores are 1.
    """

    block: Tensor  # float [N, 1]
    channels: Tensor  # float [N, C]: the gated convolutions' output channels, in order


def conv_of(plan: ConvPlan) -> nn.Conv2d:
    """Convolution without bias, for a batch norm follows; padded to keep or halve the map."""
    return nn.Conv2d(
        plan.in_channels,
        plan.channels,
        plan.kernel,
        stride=plan.stride,
        padding=plan.kernel // 2,
        bias=False,
    )


def pool_of_stem(x: Tensor) -> Tensor:
    """The 3x3 max-pool of stride 2 behind a 7x7 stem: [N, C, H, W] -> [N, C, H', W']."""
    return F.max_pool2d(x, 3, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """x -> relu(F(x) * S_L + shortcut(x)) (LC-Net, section 3.3, figure 4).

    F is conv1, bn1, relu, ... up to the last convolution, which has no ReLU of its own:
    two 3x3 for a basic block, 1x1, 3x3, 1x1 for a bottleneck.  The output of a gated
    convolution, conv1 unless configured otherwise, is scaled by S_C behind its ReLU.  All
    gates read the same pooled input.
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    cnet: CNet | None  # of conv1; "cnet2", if there, is of conv2

    def __init__(self, plan: BlockPlan, config: NetworkConfig) -> None:
        super().__init__()
        self.plan = plan
        for number, conv in enumerate(plan.convs, start=1):
            self.add_module(f"conv{number}", conv_of(conv))
            self.add_module(f"bn{number}", nn.BatchNorm2d(conv.channels))
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_bn: nn.BatchNorm2d | None = None
        if plan.shortcut is not None:
            self.shortcut = conv_of(plan.shortcut)
            self.shortcut_bn = nn.BatchNorm2d(plan.shortcut.channels)
        self.lnet = LNet(plan.in_channels) if config.block_gates else None
        self.cnet = None
        if config.channel_gates:
            for name, conv in zip(cnet_names(plan), plan.gated, strict=True):
                setattr(self, name, CNet(plan.in_channels, conv.channels))

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions of F with their batch norms."""
        numbers = range(1, len(self.plan.convs) + 1)
        return [(getattr(self, f"conv{n}"), getattr(self, f"bn{n}")) for n in numbers]

    def cnets(self) -> list[CNet]:
        """The channel gates, one a gated convolution; empty without C-Net."""
        return [] if self.cnet is None else [getattr(self, n) for n in cnet_names(self.plan)]

    def scores(self, x: Tensor) -> BlockScores | None:
        """The scores of the gates for the block's input, or None without gates."""
        cnets = self.cnets()
        if self.lnet is None and not cnets:
            return None
        pooled = global_average_pool(x)  # [N, Cin]
        block = self.lnet(pooled) if self.lnet is not None else None
        return join_scores(self.plan, pooled, block, [cnet(pooled) for cnet in cnets])

    def skip(self, x: Tensor) -> Tensor:
        """The shortcut: identity, projection, or every second pixel and zero channels."""
        if self.shortcut is not None and self.shortcut_bn is not None:
            return self.shortcut_bn(self.shortcut(x))  # [N, C, H', W']
        if not self.plan.changes_shape:
            return x
        stride, missing = self.plan.stride, self.plan.channels - self.plan.in_channels
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, missing))

    def forward(self, x: Tensor) -> tuple[Tensor, BlockScores | None]:
        """Float [N, Cin, H, W] -> float [N, C, H', W'] and the gate scores."""
        scores = self.scores(x)
        shortcut = self.skip(x)
        *inner, (last, last_bn) = self.layers()
        y = x
        for (conv, bn), score in zip(inner, channel_scores(self, scores), strict=True):
            y = F.relu(bn(conv(y)))
            if score is not None:
                y = y * score[:, :, None, None]
        y = last_bn(last(y))  # [N, C, H', W']
        if scores is not None and self.lnet is not None:
            y = y * scores.block[:, :, None, None]
        return F.relu(y + shortcut), scores


def cnet_names(plan: BlockPlan) -> list[str]:
    """Attributes of the channel gates, one a gated convolution."""
    return ["cnet" if index == 0 else f"cnet{index + 1}" for index in range(len(plan.gated))]


def join_scores(
    plan: BlockPlan, pooled: Tensor, block: Tensor | None, channels: list[Tensor]
) -> BlockScores:
    """The scores of a block, 1 where a gate is missing; `pooled` (float [N, Cin]) tells N."""
    count = pooled.shape[0]
    return BlockScores(
        pooled.new_ones(count, 1) if block is None else block,
        torch.cat(channels, dim=1) if channels else pooled.new_ones(count, plan.gated_channels),
    )


def channel_scores(block: nn.Module, scores: BlockScores | None) -> list[Tensor | None]:
    """What scales each convolution's output but the last's: float [N, C], or None for nothing."""
    plan = block.plan
    assert isinstance(plan, BlockPlan)
    if scores is None or block.cnet is None:
        return [None] * (len(plan.convs) - 1)
    pieces = iter(scores.channels.split([conv.channels for conv in plan.gated], dim=1))
    return [next(pieces) if conv.gated else None for conv in plan.convs[:-1]]


class LCNet(nn.Module):
    """A ResNet; plain when `config.gates` is "none"."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.conv = conv_of(stem_plan(config))
        self.bn = nn.BatchNorm2d(config.widths[0])
        self.blocks = nn.ModuleList(ResidualBlock(plan, config) for plan in block_plans(config))
        self.fc = nn.Linear(config.out_channels, config.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def schedule(self) -> str:
        """ "sequential" or "parallel": how executed MACs are counted."""
        return self.config.schedule

    def stem(self, x: Tensor) -> Tensor:
        """Images, float [N, Cin, H, W] -> the first block's input, [N, widths[0], H', W']."""
        x = F.relu(self.bn(self.conv(x)))
        return pool_of_stem(x) if self.config.stem == "imagenet" else x

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes], and block scores.

        The list has one entry a block in the order they run, and is empty without gates.
        """
        collected: list[BlockScores] = []
        x = self.stem(x)
        for block in self.blocks:
            x, scores = block(x)
            if scores is not None:
                collected.append(scores)
        return self.fc(global_average_pool(x)), collected  # [N, classes]


def build_network(config: NetworkConfig, seed: int) -> LCNet:
    """A freshly initialised network; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LCNet(config)
