"""Hard mixture of experts (Jacobs et al., 1991; Zhang and Shi's survey, "dynamic width").

Each block that keeps its shape has two residual branches, the experts.  A router, one linear
function of the average of the block's input, chooses by its sign, so that one of them runs for
every image: y = relu(x + A(x) g + B(x) (1 - g)).  To the core that is two blocks in a row, of which
one is skipped and leaves x as it is.
"""

from __future__ import annotations

from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.plans.layers import EXPERTS, BlockPlan


def router(plan: BlockPlan) -> GatePlan | None:
    """On the input of a pair of experts, in front of its first; a score an expert."""
    if plan.expert != 0:
        return None
    name = f"{plan.name.rpartition('.')[0]}.router"
    return gate_plan(name, plan.in_channels, plan.in_size, (), EXPERTS)
