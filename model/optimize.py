"""What the optimiser does: phases of a run, learning rates, and the pressure on the gates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
    StepLR,
)

from penstock.model.config import TrainConfig
from penstock.model.families import FAMILIES
from penstock.model.gate_network import GateNet
from penstock.model.gate_plan import GatePlan
from penstock.model.geometry import NetworkGeometry, block_plans
from penstock.model.macs import dense_macs, executed_macs, executed_share
from penstock.model.networks import BlockScores
from penstock.model.own.config import OwnConfig
from penstock.model.quantize import gate_parameters

WARMUP_START = 0.01  # share of the learning rate at the first step of a warm-up
STEP_DECAY = 0.1
# A batch that runs 0.1 of the dense MACs too many raises the pressure by 4e-4 of itself: a few
# epochs of CIFAR-10 to double it, slow against the gates' own response.
STEERING = 4e-3
STEERING_LIMIT = 30.0  # the pressure stays within this factor of what the settings say


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One run of the optimiser: the float training or the fine-tuning after it."""

    label: str
    epochs: int
    lr: float
    gate_lr: float
    l1_ramp: float  # share of the steps in which the L1 weight rises to its full value
    warmup: float  # epochs
    free_epochs: int = 0  # at the start, in which the gates cost nothing


def phases(config: TrainConfig) -> tuple[Phase, Phase]:
    """Float training, its L1 weight ramped in over the first half, and quantised training.

    Gates that have a learning rate of their own keep its ratio to the backbone's.
    A steered L1 weight (`mac_target`) starts at its full value.
    """
    ratio = 1.0 if config.gate_lr is None else config.gate_lr / config.lr
    return (
        Phase(
            label="train",
            epochs=config.epochs,
            lr=config.lr,
            gate_lr=config.lr * ratio,
            l1_ramp=0.5 if config.mac_target is None else 0.0,
            warmup=config.warmup,
            free_epochs=config.free_epochs,
        ),
        Phase(
            label="quantise",
            epochs=config.qat_epochs,
            lr=config.qat_lr,
            gate_lr=config.qat_lr * ratio,
            l1_ramp=0.0,
            warmup=0.0,
        ),
    )


def build_optimizer(net: nn.Module, phase: Phase, weight_decay: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum.  Weights decay; biases and batch norms, which set where a
    gate closes, do not."""
    gates = gate_parameters(net) if phase.gate_lr != phase.lr else set()
    groups = []
    for chosen, lr in ((False, phase.lr), (True, phase.gate_lr)):
        members = [p for p in net.parameters() if (p in gates) == chosen]
        for weights, decay in ((True, weight_decay), (False, 0.0)):
            parameters = [p for p in members if (p.dim() > 1) == weights]
            if parameters:
                groups.append({"params": parameters, "weight_decay": decay, "lr": lr})
    return torch.optim.SGD(groups, lr=phase.lr, momentum=0.9, nesterov=True)


def build_schedule(
    optimizer: torch.optim.SGD, config: TrainConfig, phase: Phase, epoch_steps: int
) -> LRScheduler:
    """The learning rate over the steps of a phase."""
    steps = phase.epochs * epoch_steps
    warmup = min(round(phase.warmup * epoch_steps), steps - 1)
    decay: LRScheduler
    if config.decay == "cosine":
        decay = CosineAnnealingLR(optimizer, steps - warmup)
    elif config.decay == "step":
        decay = StepLR(optimizer, config.step_epochs * epoch_steps, STEP_DECAY)
    else:
        at = [steps // 2 - warmup, steps * 3 // 4 - warmup]
        decay = MultiStepLR(optimizer, at, STEP_DECAY)
    if not warmup:
        return decay
    rise = LinearLR(optimizer, WARMUP_START, total_iters=warmup)
    return SequentialLR(optimizer, [rise, decay], milestones=[warmup])


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
        self.base = config.l1
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
        """What the gates cost: LC-Net's mean score, or the share of MACs they leave.

        Whichever expert runs costs the same: routers pay for an uneven choice.
        """
        if self.network.gates == "moe":
            return load_balance(self.network, scores)
        if self.network.gates in FAMILIES or isinstance(self.network, OwnConfig):
            return executed_share(self.network, scores)
        return gate_l1(scores)

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
