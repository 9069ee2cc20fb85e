"""What gates decided of a batch, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from penstock.model.plans.layers import BlockPlan
from penstock.model.plans.network import NetworkGeometry, block_plans


class BlockScores(NamedTuple):
    """The gate scores of one block, for a batch of N images.

    A gate that the configuration leaves out is always open: its scores are 1.
    """

    block: Tensor  # float [N, 1]
    channels: Tensor  # float [N, C]: the gated convolutions' output channels, in order


#: What gates decided of one block: its score, if it has a gate, and those of its convolutions.
Decided = tuple[Tensor | None, list[Tensor]]
#: Logits, early exits first, and what was decided block by block.
Outputs = tuple[tuple[Tensor, ...], list[Decided]]


def join_scores(
    plan: BlockPlan, like: Tensor, block: Tensor | None, channels: list[Tensor]
) -> BlockScores:
    """The scores of a block, 1 where a gate is missing; `like` (float [N, ...]) tells N."""
    count = like.shape[0]
    return BlockScores(
        like.new_ones(count, 1) if block is None else block,
        torch.cat(channels, dim=1) if channels else like.new_ones(count, plan.gated_channels),
    )


def joined_scores(
    config: NetworkGeometry, like: Tensor, decided: Sequence[Decided]
) -> list[BlockScores]:
    """The scores of all blocks; none of a network without gates."""
    if not config.gated:
        return []
    plans = block_plans(config)
    return [join_scores(plan, like, *own) for plan, own in zip(plans, decided, strict=True)]
