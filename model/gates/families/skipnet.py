"""SkipNet (Wang et al., ECCV 2018): feed-forward gates that skip blocks.

A gate reads what its block reads, and its score scales the residual branch; the network's first
block always runs.  The widths are the block's own, which gives the authors' figures: 0.737 M and
0.590 M MACs beside a block of 4.719 M.
"""

from __future__ import annotations

from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.plans.layers import BlockPlan


def ffgate_1(plan: BlockPlan) -> GatePlan | None:
    """FFGate-I: max-pool, 3x3, 3x3 with stride 2."""
    return _gate(plan, ((3, 1), (3, 2)), halve=True)


def ffgate_2(plan: BlockPlan) -> GatePlan | None:
    """FFGate-II: one 3x3 with stride 2."""
    return _gate(plan, ((3, 2),), halve=False)


def _gate(plan: BlockPlan, rows: tuple[tuple[int, int], ...], halve: bool) -> GatePlan | None:
    """(kernel, stride) rows that keep the channels of the block's input; one score."""
    if plan.first:
        return None
    channels = plan.in_channels
    wide = tuple((kernel, channels, stride) for kernel, stride in rows)
    return gate_plan(f"{plan.name}.gate", channels, plan.in_size, wide, 1, halve=halve)
