"""What the optimiser does: phases of a run and learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from penstock.model.quantize.prepare import copied
from penstock.model.quantize.twin import gate_parameters
from penstock.model.train.config import TrainConfig

WARMUP_START = 0.01  # share of the learning rate at the first step of a warm-up
STEP_DECAY = 0.1
AVERAGE_START = 10  # steps over which a running mean grows long


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


def running_mean(net: nn.Module, decay: float) -> AveragedModel:
    """The exponential mean of a network's parameters and buffers over the steps; `decay` a step.

    It is shorter at the start, (1 + n) / (10 + n) at step n, or a network that begins at random
    numbers would keep them for long.
    """

    def update(averaged: Any, current: Any, seen: Tensor | int) -> None:
        count = int(seen)
        now = min(decay, (1 + count) / (AVERAGE_START + count))
        get_ema_multi_avg_fn(now)(averaged, current, seen)

    return AveragedModel(copied(net), multi_avg_fn=update, use_buffers=True)
