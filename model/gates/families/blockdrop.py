"""BlockDrop (Wu et al., CVPR 2018): a policy network on the image decides every block at once.

The policy here is trained with the network by the straight-through estimator and the resource term,
or by REINFORCE with a curriculum (`penstock.model.train.reinforce`); it is two convolutions,
where the authors have a small ResNet.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.plans.layers import BlockPlan
from penstock.model.plans.network import NetworkGeometry


def policy(config: NetworkGeometry, blocks: Sequence[BlockPlan]) -> GatePlan:
    """Two 3x3 of stride 2, half and all of the first block's width; a score a block."""
    width = blocks[0].in_channels
    rows = ((3, max(width // 2, 1), 2), (3, width, 2))
    return gate_plan("policy", config.in_channels, config.input_size, rows, len(blocks))
