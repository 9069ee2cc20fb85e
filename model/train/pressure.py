"""The pressure on the gates: what their scores cost in the loss."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from penstock.model.gates.families import FAMILIES
from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan
from penstock.model.macs.count import dense_macs, executed_macs, executed_share
from penstock.model.networks.own import OwnConfig
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.network import NetworkGeometry, block_plans
from penstock.model.train.config import TrainConfig

# A batch that runs 0.1 of the dense MACs too many raises the pressure by 4e-4 of itself: a few
# epochs of CIFAR-10 to double it, slow against the gates' own response.
STEERING = 4e-3
HALF = 0.5  # the rate that gates are to run at, unless the settings say another
STEERING_LIMIT = 30.0  # the pressure stays within this factor of what the settings say


def gate_l1(scores: list[BlockScores]) -> Tensor:
    """Mean absolute gate score: channel and block gates weigh alike, and so do all blocks."""
    terms = [s.channels.abs().mean() + s.block.abs().mean() for s in scores]
    return torch.stack(terms).mean()


def grouping_share(net: nn.Module, config: NetworkGeometry) -> Tensor | float:
    """MACs of the gates' convolutions with learned groups over the backbone's dense ones.

    Their part of the resource term, with the relations' gradients; of other gates' own MACs, which
    training cannot change, nothing is in it.
    """
    gates = [module for module in net.modules() if isinstance(module, GateNet)]
    macs = [gate.grouping_macs() for gate in gates if gate.learns_groups]
    return torch.stack(macs).sum() / dense_macs(config) if macs else 0.0


def load_balance(config: NetworkGeometry, scores: list[BlockScores]) -> Tensor:
    """How unevenly routers use their experts, 0 (half of the batch each) to 1 (one alone).

    The squared coefficient of variation of the experts' shares (Shazeer et al., 2017), mean over
    the routers.
    """
    first = [
        score.block.mean()
        for plan, score in zip(block_plans(config), scores, strict=True)
        if plan.expert == 0
    ]
    return (2 * torch.stack(first) - 1).square().mean()


def rate_error(scores: list[BlockScores], rate: float, block_rate: float) -> Tensor:
    """Squared distance of each gate's mean over a batch from its rate, mean over the gates
    (ConvNet-AIG, section 3.3); of block gates `block_rate`.  A gate that is not there has none."""
    errors = []
    for score in scores:
        for part, wanted in ((score.block, block_rate), (score.channels, rate)):
            if part.requires_grad:  # a missing gate's are ones
                errors.append((part.mean(dim=0) - wanted).square())
    return torch.cat(errors).mean()


class GatePressure:
    """The weight of `penalty` in the loss: ramped in, and steered towards a share of the MACs.

    Steering is integral control on the logarithm of the weight, on what the batches execute.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: NetworkGeometry,
        ramp_steps: float,
        free_steps: float = 0.0,
    ) -> None:
        self.base, self.rate = config.l1, config.gate_rate or HALF
        self.block_rate = config.block_rate or self.rate
        self.cost = config.gate_cost
        self.free_steps = free_steps
        self.target = config.mac_target
        self.network = network
        self.ramp_steps = ramp_steps
        self.exponent = 0.0  # of the weight, once ramped in: base * e^exponent

    def weight(self, step: int) -> float:
        """The weight at a step of the phase."""
        step_now = step - self.free_steps
        if step_now < 0:
            return 0.0
        ramp = min(1.0, step_now / self.ramp_steps) if self.ramp_steps else 1.0
        return self.base * ramp * math.exp(self.exponent)

    def penalty(self, scores: list[BlockScores]) -> Tensor:
        """What the gates cost: LC-Net's mean score, the share of MACs they leave, ...

        Whichever expert runs costs the same: routers pay for an uneven choice.
        """
        family = FAMILIES.get(self.network.gates)
        cost = "share" if isinstance(self.network, OwnConfig) else "score"
        cost = self.cost or (cost if family is None else family.cost)
        if cost == "balance":
            return load_balance(self.network, scores)
        if cost == "rate":
            return rate_error(scores, self.rate, self.block_rate)
        return executed_share(self.network, scores) if cost == "share" else gate_l1(scores)

    def mac_ratio(
        self, scores: list[BlockScores], gates: Iterable[GatePlan] | None = None
    ) -> float:
        """Executed (gates included) over dense MACs of a batch, as the strict gates decide.

        `gates`: the plans of the network's, if they learn groups.
        """
        detached = [BlockScores(*(t.detach() for t in s)) for s in scores]
        executed = executed_macs(self.network, detached, gates=gates)
        return float(executed.total.double().mean()) / dense_macs(self.network)

    def steer(self, ratio: float) -> None:
        """One step towards the target, given the `mac_ratio` of a batch."""
        if self.target is None:
            return
        limit = math.log(STEERING_LIMIT)
        moved = self.exponent + STEERING * (ratio - self.target)
        self.exponent = max(-limit, min(limit, moved))
