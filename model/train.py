"""Training: float with leaky gates, then quantisation-aware fine-tuning."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor
from torch.nn import functional as F

from penstock.model.config import TrainConfig
from penstock.model.data import Dataset
from penstock.model.macs import dense_macs, executed_macs
from penstock.model.networks import BlockScores, LCNet
from penstock.model.quantize import QuantLCNet

EVAL_BATCH = 256
GRADIENT_NORM = 5.0  # a leaky gate can spike when its block is nearly closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A network on a test set: accuracy in [0, 1], MACs an image, and all gate scores."""

    accuracy: float
    dense_macs: int
    executed_macs: float  # mean over the images, gates included
    executed_macs_without_gates: float
    scores: list[BlockScores]  # one a block, over all images

    @property
    def mac_ratio(self) -> float:
        """Executed (gates included) over dense MACs."""
        return self.executed_macs / self.dense_macs


def gate_l1(scores: list[BlockScores]) -> Tensor:
    """Mean absolute gate score: channel and block gates weigh alike, and so do all blocks."""
    terms = [s.channels.abs().mean() + s.block.abs().mean() for s in scores]
    return torch.stack(terms).mean()


def augment(images: Tensor, shift: int, mirror: bool, generator: torch.Generator) -> Tensor:
    """Moves by up to `shift` pixels and, if `mirror`, flips: [N, C, H, W], same shape."""
    count, _, height, width = images.shape
    padded = F.pad(images, (shift,) * 4).permute(0, 2, 3, 1)  # [N, H+2s, W+2s, C]
    offsets = torch.randint(0, 2 * shift + 1, (2, count, 1), generator=generator)
    rows = offsets[0] + torch.arange(height)  # [N, H]
    columns = offsets[1] + torch.arange(width)  # [N, W]
    if mirror:
        flips = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flips, columns.flip(1), columns)
    image = torch.arange(count)
    moved = padded[image[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _batches(
    data: Dataset, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(data.train_labels), generator=generator)
    for index in order.split(batch_size):
        if len(index) == 1:
            continue  # batch norm of a 1x1 map needs two values
        images = data.train_images[index]
        moved = augment(images, data.shift, data.mirror, generator)
        chosen = torch.rand(len(index), 1, 1, 1, generator=generator) < data.augment_share
        images = torch.where(chosen, moved, images)
        yield data.normalize(images), data.train_labels[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One run of the optimiser: the float training or the fine-tuning after it."""

    label: str
    epochs: int
    lr: float
    l1_ramp: float  # share of the steps in which the L1 weight rises to its full value


def phases(config: TrainConfig) -> tuple[Phase, Phase]:
    """Float training, its L1 weight ramped in over the first half, and quantised training."""
    return (
        Phase(label="train", epochs=config.epochs, lr=config.lr, l1_ramp=0.5),
        Phase(label="quantise", epochs=config.qat_epochs, lr=config.qat_lr, l1_ramp=0.0),
    )


def fit(
    net: LCNet | QuantLCNet,
    data: Dataset,
    config: TrainConfig,
    phase: Phase,
    generator: torch.Generator,
) -> None:
    """Train in place: SGD with Nesterov momentum, cosine decay, cross-entropy + L1."""
    steps = phase.epochs * -(-len(data.train_labels) // config.batch_size)
    optimizer = _optimizer(net, phase.lr, config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    net.train()
    step = 0
    with _progress(config.quiet) as progress:
        task = progress.add_task(phase.label, total=phase.epochs)
        for _ in range(phase.epochs):
            for images, labels in _batches(data, config.batch_size, generator):
                logits, scores = net(images.to(config.device))
                loss = F.cross_entropy(logits, labels.to(config.device))
                if scores:
                    ramp = min(1.0, step / (phase.l1_ramp * steps)) if phase.l1_ramp else 1.0
                    loss = loss + config.l1 * ramp * gate_l1(scores)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), GRADIENT_NORM)
                optimizer.step()
                schedule.step()
                step += 1
            progress.advance(task)


def _optimizer(net: LCNet | QuantLCNet, lr: float, weight_decay: float) -> torch.optim.SGD:
    """Weights decay; biases and batch norms, which set where a gate closes, do not."""
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


@torch.no_grad()
def evaluate(net: LCNet | QuantLCNet, data: Dataset, device: str = "cpu") -> Evaluation:
    """Accuracy and executed MACs on the test set; the network is left in evaluation mode."""
    net.eval()
    logits, batches = [], []
    for images in data.test_images.split(EVAL_BATCH):
        out, scores = net(data.normalize(images).to(device))
        logits.append(out.cpu())
        batches.append([BlockScores(s.block.cpu(), s.channels.cpu()) for s in scores])
    correct = torch.cat(logits).argmax(dim=1) == data.test_labels
    joined = [
        BlockScores(torch.cat([s.block for s in block]), torch.cat([s.channels for s in block]))
        for block in zip(*batches, strict=True)
    ]
    dense = dense_macs(net.config)
    total = backbone = float(dense)
    if joined:
        count = executed_macs(net.config, joined)
        total = float(count.total.double().mean())
        backbone = float(count.backbone.double().mean())
    return Evaluation(
        accuracy=float(correct.double().mean()),
        dense_macs=dense,
        executed_macs=total,
        executed_macs_without_gates=backbone,
        scores=joined,
    )


def _progress(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = quiet or not sys.stdout.isatty()
    return Progress(*columns, TimeElapsedColumn(), disable=hidden)
