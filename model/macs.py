"""Multiply-accumulate counts, convention `macs`: convolutions and fully connected layers.

Biases, batch norms and the scaling by scores are not counted.  Gate layers are counted
apart, always.  A channel or block counts as skipped when its score rounds to 0/128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.model.config import BlockPlan, NetworkConfig, block_plans
from penstock.model.networks import BlockScores

SCORE_ONE = 128  # gate scores are UQ1.7: 128 is exactly 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MacCount:
    """MACs of a batch: int64 [N] for the backbone, the same number a gate for all images."""

    backbone: Tensor
    gates: int

    @property
    def total(self) -> Tensor:
        """Backbone and gates together, int64 [N]."""
        return self.backbone + self.gates


def kept(scores: Tensor) -> Tensor:
    """Bool, same shape: true where a score survives rounding to UQ1.7."""
    return torch.round(scores * SCORE_ONE) > 0


def _conv1_macs_per_channel(plan: BlockPlan) -> int:
    return 9 * plan.in_channels * plan.out_size[0] * plan.out_size[1]


def _conv2_macs_per_input(plan: BlockPlan) -> int:
    return 9 * plan.channels * plan.out_size[0] * plan.out_size[1]


def _shortcut_macs(plan: BlockPlan) -> int:
    pixels = plan.out_size[0] * plan.out_size[1]
    return plan.in_channels * plan.channels * pixels if plan.projected else 0


def _fixed_macs(config: NetworkConfig) -> int:
    """What runs for every image: the stem, the projections and the classifier."""
    stem = 9 * config.in_channels * config.widths[0] * config.input_size[0] * config.input_size[1]
    shortcuts = sum(_shortcut_macs(plan) for plan in block_plans(config))
    return stem + shortcuts + config.widths[-1] * config.classes


def dense_macs(config: NetworkConfig) -> int:
    """MACs of the backbone with every gate open, gates not counted."""
    blocks = sum(
        plan.channels * (_conv1_macs_per_channel(plan) + _conv2_macs_per_input(plan))
        for plan in block_plans(config)
    )
    return _fixed_macs(config) + blocks


def gate_macs(config: NetworkConfig) -> int:
    """MACs of all L-Nets and C-Nets of a network for one image."""
    if not config.gated:
        return 0
    return sum(plan.in_channels * (1 + plan.channels) for plan in block_plans(config))


def executed_macs(config: NetworkConfig, scores: Sequence[BlockScores]) -> MacCount:
    """MACs each image of a batch executes, given its gate scores.

    Sequential: a closed block costs nothing, an open one the surviving channels of both
    convolutions.  Parallel (LC-Net, section 3.3.2): the first convolution always runs whole.
    """
    if not config.gated:
        raise ValueError("a network without gates executes dense_macs()")
    total = torch.full((scores[0].block.shape[0],), _fixed_macs(config), dtype=torch.int64)
    for plan, score in zip(block_plans(config), scores, strict=True):
        is_open = kept(score.block)[:, 0].cpu().to(torch.int64)  # [N]
        channels = kept(score.channels).sum(dim=1).cpu() * is_open  # [N], int64
        first = channels
        if config.schedule == "parallel":
            first = torch.full_like(channels, plan.channels)
        total += first * _conv1_macs_per_channel(plan)
        total += channels * _conv2_macs_per_input(plan)
    return MacCount(backbone=total, gates=gate_macs(config))
