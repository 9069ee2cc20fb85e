"""The configuration of a training run; the network's is in `penstock.model.geometry`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.model.errors import ConfigError
from penstock.model.geometry import SCHEDULES, Schedule, parse_network

DATASETS = ("digits", "cifar10")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run.  The defaults train the demo: a gated ResNet-8 on digits."""

    network: str = "lcnet-resnet8"
    dataset: str = "digits"
    data_dir: Path | None = None  # holds the CIFAR-10 binary files; digits need none
    epochs: int = 48
    qat_epochs: int = 10
    batch_size: int = 64
    lr: float = 0.1
    qat_lr: float = 0.005
    weight_decay: float = 5e-4
    l1: float = 1.2  # weight of the mean gate score in the loss, after its ramp
    seed: int = 0
    schedule: Schedule = "sequential"
    widths: tuple[int, ...] | None = None  # channels of the stages; None: the network's own
    out: Path = Path("build/lcnet-resnet8-digits.pt")
    threads: int = 1  # more than one is slower on a small shared machine
    device: str = "cpu"
    quiet: bool = False

    def __post_init__(self) -> None:
        parse_network(self.network)
        if self.dataset not in DATASETS:
            raise ConfigError(f"unknown dataset {self.dataset!r}", f"one of {DATASETS}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"unknown schedule {self.schedule!r}", f"one of {SCHEDULES}")
        for field in ("epochs", "qat_epochs", "batch_size", "threads"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field} is {getattr(self, field)}", "it starts at 1")
        for field in ("lr", "qat_lr", "weight_decay", "l1"):
            if not 0 <= getattr(self, field) < float("inf"):
                raise ConfigError(f"{field} is {getattr(self, field)}", "it cannot be negative")
