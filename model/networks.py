"""CIFAR-style ResNets with LC-Net gates, in floating point."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.config import BlockPlan, NetworkConfig, block_plans
from penstock.model.gates import CNet, LNet, global_average_pool


class BlockScores(NamedTuple):
    """The gate scores of one block, for a batch of N images."""

    block: Tensor  # float [N, 1]
    channels: Tensor  # float [N, C], C output channels of the first convolution


def conv3x3(in_channels: int, channels: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias: a batch norm follows."""
    return nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """x -> relu(F(x) * S_L + shortcut(x)), the first convolution of F scaled by S_C.

    Both gates read the same pooled input (LC-Net, section 3.3, figure 4a).
    """

    def __init__(self, plan: BlockPlan, gated: bool) -> None:
        super().__init__()
        self.plan = plan
        self.conv1 = conv3x3(plan.in_channels, plan.channels, plan.stride)
        self.bn1 = nn.BatchNorm2d(plan.channels)
        self.conv2 = conv3x3(plan.channels, plan.channels)
        self.bn2 = nn.BatchNorm2d(plan.channels)
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_bn: nn.BatchNorm2d | None = None
        if plan.projected:
            self.shortcut = nn.Conv2d(
                plan.in_channels, plan.channels, 1, stride=plan.stride, bias=False
            )
            self.shortcut_bn = nn.BatchNorm2d(plan.channels)
        self.lnet = LNet(plan.in_channels) if gated else None
        self.cnet = CNet(plan.in_channels, plan.channels) if gated else None

    def scores(self, x: Tensor) -> BlockScores | None:
        """The scores of both gates for the block's input, or None without gates."""
        if self.lnet is None or self.cnet is None:
            return None
        pooled = global_average_pool(x)  # [N, Cin]
        return BlockScores(self.lnet(pooled), self.cnet(pooled))

    def forward(self, x: Tensor) -> tuple[Tensor, BlockScores | None]:
        """Float [N, Cin, H, W] -> float [N, C, H', W'] and the gate scores."""
        scores = self.scores(x)
        shortcut = x
        if self.shortcut is not None and self.shortcut_bn is not None:
            shortcut = self.shortcut_bn(self.shortcut(x))  # [N, C, H', W']
        y = F.relu(self.bn1(self.conv1(x)))  # [N, C, H', W']
        if scores is not None:
            y = y * scores.channels[:, :, None, None]
        y = self.bn2(self.conv2(y))  # [N, C, H', W']
        if scores is not None:
            y = y * scores.block[:, :, None, None]
        return F.relu(y + shortcut), scores


class LCNet(nn.Module):
    """A ResNet of basic blocks for small images; plain when `config.gated` is false."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.conv = conv3x3(config.in_channels, config.widths[0])
        self.bn = nn.BatchNorm2d(config.widths[0])
        self.blocks = nn.ModuleList(BasicBlock(plan, config.gated) for plan in block_plans(config))
        self.fc = nn.Linear(config.widths[-1], config.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def schedule(self) -> str:
        """ "sequential" or "parallel": how executed MACs are counted."""
        return self.config.schedule

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes], and block scores.

        The list has one entry a block in the order they run, and is empty without gates.
        """
        collected: list[BlockScores] = []
        x = F.relu(self.bn(self.conv(x)))  # [N, widths[0], H, W]
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
