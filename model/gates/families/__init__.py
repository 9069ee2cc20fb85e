"""Gate families: which gate networks a network has, by the name in its `gates`.

A family is up to three functions that say where gates are and what they look like (`GatePlan`);
float network, quantised network, exports and MAC counts are made from their plans alone.
LC-Net is none of them: its gates share one average and have no convolutions
(`model/gates/lcnet.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from penstock.model.gates.families import acs, aig, blockdrop, fbs, iadi, moe, skipnet
from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan
from penstock.model.plans.layers import BlockPlan, ConvPlan
from penstock.model.plans.network import NetworkGeometry, block_plans

#: The share of the MACs that scores leave, an uneven load of experts, shares of images that are not
#: as wanted, or the mean score.
Cost = Literal["share", "balance", "rate", "score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Where the gates are: each function returns None where there is none.

    `policy`: one network on the image, a score a block.  `block`: on a block's input, its score.
    `channel`: on a convolution's input, or that of the DenseNet's layer which ends in it, a score
    for each of its output channels.
    `router`: on the input of a pair of experts, a score each.

    `net`: the module of a gate.  `cost`: what the scores cost in the loss
    (`penstock.model.train.pressure`).
    """

    policy: Callable[[NetworkGeometry, Sequence[BlockPlan]], GatePlan] | None = None
    block: Callable[[BlockPlan], GatePlan | None] | None = None
    channel: Callable[[str, ConvPlan, tuple[int, int]], GatePlan] | None = None
    router: Callable[[BlockPlan], GatePlan | None] | None = None
    net: type[GateNet] = GateNet
    cost: Cost = "share"


FAMILIES: dict[str, Family] = {
    "skipnet1": Family(block=skipnet.ffgate_1),
    "skipnet2": Family(block=skipnet.ffgate_2),
    "blockdrop": Family(policy=blockdrop.policy),
    "acs": Family(channel=acs.gate),
    "acsdg": Family(channel=acs.grouping_gate),
    "acsdg-se": Family(channel=acs.excited_gate),
    "iadi": Family(channel=iadi.gate),
    "moe": Family(router=moe.router, cost="balance"),
    "aig": Family(block=aig.gate, net=aig.TwoLogits, cost="rate"),
    "fbs": Family(channel=fbs.gate, net=fbs.Salient, cost="score"),
}
NONE = Family()


def gate_net(config: NetworkGeometry, plan: GatePlan) -> GateNet:
    """The module of a gate of the network's family."""
    return FAMILIES[config.gates].net(plan)


def policy_gate(config: NetworkGeometry) -> GatePlan | None:
    """The network that decides every block from the image."""
    policy = FAMILIES.get(config.gates, NONE).policy
    return policy(config, block_plans(config)) if policy else None


def block_gate(config: NetworkGeometry, plan: BlockPlan) -> GatePlan | None:
    """The network on the block's input that decides whether it runs."""
    block = FAMILIES.get(config.gates, NONE).block
    return block(plan) if block else None


def expert_router(config: NetworkGeometry, plan: BlockPlan) -> GatePlan | None:
    """The router in front of a pair of experts, with the first of them."""
    router = FAMILIES.get(config.gates, NONE).router
    return router(plan) if router else None


def channel_gate(config: NetworkGeometry, plan: BlockPlan, number: int) -> GatePlan | None:
    """The network that masks the block's convolution `number` (from 1), on its input or the
    block's."""
    channel = FAMILIES.get(config.gates, NONE).channel
    conv = plan.convs[number - 1]
    if channel is None or not conv.gated:
        return None
    if plan.ahead:
        conv = replace(conv, in_channels=plan.in_channels)
    size = plan.in_size if number == 1 or plan.ahead else plan.convs[number - 2].out_size
    return channel(f"{plan.name}.gate{number}", conv, size)


def gate_networks(config: NetworkGeometry) -> Iterator[GatePlan]:
    """Every gate network in the order in which they run."""
    if (policy := policy_gate(config)) is not None:
        yield policy
    for plan in block_plans(config):
        gates = [channel_gate(config, plan, number) for number in range(1, len(plan.convs) + 1)]
        gates = [expert_router(config, plan), block_gate(config, plan), *gates]
        yield from (gate for gate in gates if gate is not None)
