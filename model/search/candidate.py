"""What a split plan is worth: a short training from a static network's weights, then the reward.

The weights are approximated by few steps from inherited ones (S2DNAS, section 3.3), the same
images in the same order for every plan.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import torch

from penstock.model.checkpoint.foreign import pixels_of
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.macs.count import dense_macs
from penstock.model.stages.split import exit_macs
from penstock.model.train.config import Precision, TrainConfig
from penstock.model.train.early_exit import SPLIT_VALIDATION_SHARE, exit_logits, split_validation
from penstock.model.train.exit_points import COST_EXPONENT, ExitTable
from penstock.model.train.initial import initial_network
from penstock.model.train.optimize import phases
from penstock.model.train.trainer import Trainer
from penstock.model.train.workers import Workers
from penstock.program.base.arith import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How every plan is tried; plain values, for other processes."""

    network: str = "resnet20"
    dataset: str = "cifar10"
    data_dir: Path | None = None
    init: Path | None = None  # checkpoint of the static network; None: fresh weights
    widths: tuple[int, ...] | None = None
    steps: int = 40
    batch_size: int = 128
    lr: float = 0.05
    images: int = 2000  # held-out ones that the reward is measured on
    exponent: float = COST_EXPONENT
    precision: Precision = "fp32"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of one plan on the held-out images, at the thresholds of the highest reward."""

    split: str
    reward: float
    accuracy: float
    mac_ratio: float  # mean executed over the static network's
    thresholds: list[float]
    shares: list[float]  # of the images that end at each stage
    stage_ratios: list[float]  # MACs up to each stage, over the static network's
    last_accuracy: float  # of the last classifier, on all images


def try_plan(trial: Trial, split: str) -> Score:
    """Train the plan for `trial.steps` and measure it: the same arguments, the same score."""
    config = _training(trial, split)
    train, validation = _data(trial)
    net, _ = initial_network(config, train)
    generator = torch.Generator().manual_seed(trial.seed)
    Trainer(net, train, config, phases(config)[0], generator, Workers()).run(None)
    with torch.autocast("cpu", torch.bfloat16, enabled=trial.precision == "bf16"):
        found = exit_logits(net, validation)
    dense, macs = dense_macs(net.config), exit_macs(net.config)
    table = ExitTable(found, macs)
    best = table.best(dense, trial.exponent)
    return Score(
        split=split,
        reward=best.reward(dense, trial.exponent),
        accuracy=best.accuracy,
        mac_ratio=best.macs / dense,
        thresholds=best.thresholds,
        shares=best.shares,
        stage_ratios=[count / dense for count in macs],
        last_accuracy=table.last_accuracy,
    )


def check_trial(trial: Trial, split: str) -> None:
    """Raise ModelError now for what every trial would fail at."""
    train, _ = _data(trial)
    config = _training(trial, split)
    initial_network(config, train)


def _training(trial: Trial, split: str) -> TrainConfig:
    """One epoch over the images of `_data`, without quantisation."""
    shared = asdict(trial)
    for own in ("steps", "images", "exponent"):
        del shared[own]
    return TrainConfig(
        **shared, split=split, epochs=1, qat_epochs=0, warmup=0.1, exit_weight=1.0, quiet=True
    )


@cache
def _data(trial: Trial) -> tuple[Dataset, Dataset]:
    """(images for `steps` batches, held-out images as a test set); one process reads them once."""
    data = load_dataset(trial.dataset, trial.data_dir)
    if trial.init is not None:
        mean, std = pixels_of(trial.init)
        data = replace(data, mean=mean, std=std)
    train, held_out = split_validation(data, trial.seed, SPLIT_VALIDATION_SHARE)
    count = trial.steps * trial.batch_size
    repeats = ceil_div(count, len(train.train_labels))
    some = replace(
        train,
        train_images=train.train_images.repeat(repeats, 1, 1, 1)[:count],
        train_labels=train.train_labels.repeat(repeats)[:count],
    )
    validation = replace(
        held_out,
        test_images=held_out.test_images[: trial.images],
        test_labels=held_out.test_labels[: trial.images],
    )
    return some, validation
