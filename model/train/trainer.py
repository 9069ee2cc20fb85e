"""Training: float with leaky gates, then quantisation-aware fine-tuning."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.data.batches import batches
from penstock.model.data.dataset import Dataset
from penstock.model.gates.families.fbs import Winners
from penstock.model.gates.lcnet import Gate
from penstock.model.gates.score import Sampled
from penstock.model.networks.registry import AnyNet
from penstock.model.plans.network import block_plans
from penstock.model.quantize.twin import QuantNetwork, network_gates
from penstock.model.train.config import TrainConfig
from penstock.model.train.distill import Teacher
from penstock.model.train.early_exit import joint_loss
from penstock.model.train.evaluation import evaluate
from penstock.model.train.optimize import Phase, build_optimizer, build_schedule, running_mean
from penstock.model.train.pressure import GatePressure, grouping_share
from penstock.model.train.progress import RunLog, epoch_bar
from penstock.model.train.reinforce import Reinforce
from penstock.model.train.workers import Workers, has_bf16
from penstock.program.base.arith import ceil_div

GRADIENT_NORM = 5.0  # a leaky gate can spike when its block is nearly closed


@dataclass(slots=True)
class _Means:
    """Sums over an epoch: what its line of the log reports."""

    images: int = 0
    loss: float = 0.0
    correct: int = 0
    mac_ratio: float = 0.0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, mac_ratio: float) -> None:
        count = len(labels)
        self.images += count
        self.loss += float(loss.detach()) * count
        self.correct += int((logits.detach().argmax(dim=1) == labels).sum())
        self.mac_ratio += mac_ratio * count

    def report(self) -> dict[str, float]:
        return {
            "loss": self.loss / self.images,
            "train_accuracy": self.correct / self.images,
            "train_mac_ratio": self.mac_ratio / self.images,
        }


class Trainer:
    """One phase on one network: `run` trains it in place, epoch by epoch.

    Cross-entropy plus the pressure on the gates, gradients clipped; `state` and `restore` are
    what an interrupted run goes on from.
    """

    def __init__(
        self,
        net: AnyNet | QuantNetwork,
        data: Dataset,
        config: TrainConfig,
        phase: Phase,
        generator: torch.Generator,
        workers: Workers,
    ) -> None:
        self.net, self.data, self.config, self.phase = net, data, config, phase
        self.low = config.precision == "bf16" and has_bf16(workers.device)
        if config.precision == "bf16":
            net.to(memory_format=torch.channels_last)  # an eighth faster on a CPU
        self.generator, self.workers = generator, workers
        for gate in (module for module in net.modules() if isinstance(module, Gate)):
            gate.strict, gate.noise = config.strict_gates, config.gate_noise or 0.0
        for winners in (module for module in net.modules() if isinstance(module, Winners)):
            winners.rate = config.gate_rate or winners.rate
        self.sampled = [module for module in net.modules() if isinstance(module, Sampled | Gate)]
        self.replica = workers.replicate(net)
        self.teacher = _teacher(config, net, data, workers.device)
        self.epoch_steps = ceil_div(len(data.train_labels), config.batch_size)
        self.optimizer = build_optimizer(net, phase, config.weight_decay)
        self.schedule = build_schedule(self.optimizer, config, phase, self.epoch_steps)
        ramp = phase.l1_ramp * phase.epochs * self.epoch_steps
        free = phase.free_epochs * self.epoch_steps
        self.pressure = GatePressure(config, net.config, ramp, free)
        self.reinforce = _reinforce(net, config, phase)
        self.average = running_mean(net, config.average) if config.average is not None else None
        self.step = 0
        self.epoch = 0

    def state(self) -> dict[str, object]:
        """Everything that the next epoch depends on, as plain values and tensors."""
        return {
            "label": self.phase.label,
            "epoch": self.epoch,
            "step": self.step,
            "pressure": self.pressure.exponent,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "average": self.average.state_dict() if self.average is not None else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()` of a trainer with the same settings."""
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.pressure.exponent = float(state["pressure"])
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def run(self, log: RunLog | None) -> None:
        """Train the epochs that are left; a line of the log and a resume state after each.

        The network then has the running mean of its weights, if the settings ask for one.
        """
        with epoch_bar(self.phase.label, self.phase.epochs, self.epoch, self.config.quiet) as tick:
            while self.epoch < self.phase.epochs:
                started = time.monotonic()
                figures = self._epoch()
                self.epoch += 1
                figures |= self._test_figures()
                figures["seconds"] = round(time.monotonic() - started, 1)
                if log is not None and self.workers.writes:
                    log.epoch(self.phase.label, self.epoch, figures, self.state())
                tick()
        if self.average is not None:
            self.net.load_state_dict(self.average.module.state_dict())

    def _epoch(self) -> dict[str, float]:
        self.net.train()
        means = _Means()
        lr = self.optimizer.param_groups[0]["lr"]
        for images, labels in batches(self.data, self.config.batch_size, self.generator):
            if len(labels) <= self.workers.count:
                continue  # batch norm of a 1x1 map needs two values
            mine = [self.workers.share(part).to(self.workers.device) for part in (images, labels)]
            self._train_batch(mine[0], mine[1], means)
        return {"lr": lr, "l1": self.pressure.weight(self.step), **means.report()}

    def _train_batch(self, images: Tensor, labels: Tensor, means: _Means) -> None:
        if self.reinforce is not None:
            self.reinforce.explore(len(images), self.epoch, self.generator)
        for score in self.sampled:
            score.draw(len(images), self.generator)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.low):
            logits, scores = self.replica(images)
            answers = self.teacher.answers(images) if self.teacher is not None else None
        logits = logits.float()
        target = partial(self._target, labels=labels, answers=answers)
        loss = target(logits)
        if self.net.early:
            loss = loss + joint_loss(self.net.early, target, self.config.exit_weight)
        ratio = 1.0
        if scores:
            gates = network_gates(self.net)
            ratio = self.workers.mean(self.pressure.mac_ratio(scores, gates))
            if self.reinforce is not None:
                loss = loss + self.reinforce.loss(images, labels, logits, self.epoch)
            else:
                cost = self.pressure.penalty(scores) + grouping_share(self.net, self.net.config)
                loss = loss + self.pressure.weight(self.step) * cost
            self.pressure.steer(ratio)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.net)
        self.step += 1
        means.add(loss, logits, labels, ratio)

    def _target(self, logits: Tensor, labels: Tensor, answers: Tensor | None) -> Tensor:
        """The loss of one classifier's logits: labels, and the teacher's answers if there are."""
        smoothing = self.config.label_smoothing or 0.0
        hard = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        if self.teacher is None or answers is None:
            return hard
        return self.teacher.loss(logits, hard, answers)

    def _test_figures(self) -> dict[str, float]:
        every = self.config.eval_every
        if not every or self.epoch % every:
            return {}
        net = self.net if self.average is None else self.average.module
        figures = evaluate(net, self.data, self.workers.device)
        return {"test_accuracy": figures.accuracy, "test_mac_ratio": figures.mac_ratio}


def _teacher(
    config: TrainConfig, net: AnyNet | QuantNetwork, data: Dataset, device: str
) -> Teacher | None:
    """The teacher that the configuration names, if any."""
    if config.teacher is None:
        return None
    weight, temperature = config.teacher_weight, config.teacher_temperature
    return Teacher(config.teacher, net.config, data, device, weight, temperature)


def _reinforce(net: AnyNet | QuantNetwork, config: TrainConfig, phase: Phase) -> Reinforce | None:
    """What trains the policy by REINFORCE, if the configuration says so.

    The curriculum is over before the quantised phase.
    """
    if not config.reinforce:
        return None
    quantized = isinstance(net, QuantNetwork)
    decided = len(block_plans(net.config)) if quantized else 1
    return Reinforce(net, config, phase.free_epochs, decided)
