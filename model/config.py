"""Configurations: of a network (its geometry) and of a training run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penstock.model.errors import ConfigError

Schedule = Literal["sequential", "parallel"]
SCHEDULES: tuple[Schedule, ...] = ("sequential", "parallel")
DATASETS = ("digits", "cifar10")
STAGES = (3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """A ResNet of basic blocks for small images, with LC-Net gates in every block if `gated`.

    Three stages of n blocks have depth 6n+2 (ResNet-20 of the CIFAR papers), four have depth 8n+2
    (ResNet-18 with widths 64, 128, 256, 512); the stem is a 3x3 convolution.

    `schedule` changes the MAC accounting only (LC-Net, section 3.3.2): in the "parallel"
    configuration the gates run beside the first convolution, which therefore always runs
    all its channels; in the "sequential" one they run first and both convolutions skip.
    """

    depth: int = 8
    gated: bool = True
    widths: tuple[int, ...] = (16, 32, 64)
    in_channels: int = 1
    input_size: tuple[int, int] = (8, 8)  # height, width
    classes: int = 10
    schedule: Schedule = "sequential"

    def __post_init__(self) -> None:
        if len(self.widths) not in STAGES or min(self.widths) < 1:
            raise ConfigError(
                f"bad stage widths {self.widths}", "give three or four positive widths"
            )
        step = 2 * len(self.widths)
        if self.depth < step + 2 or (self.depth - 2) % step:
            depths = ", ".join(str(step * n + 2) for n in (1, 2, 3))
            raise ConfigError(
                f"no ResNet of depth {self.depth} exists here",
                f"use a depth of {step}n+2: {depths}, ...",
            )
        if min(self.in_channels, *self.input_size) < 1 or self.classes < 2:
            raise ConfigError(
                f"bad shape: {self.in_channels} channels of {self.input_size}, "
                f"{self.classes} classes",
                "sizes start at 1, classes at 2",
            )
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"unknown schedule {self.schedule!r}", f"one of {SCHEDULES}")

    @property
    def stage_blocks(self) -> int:
        """Blocks of each stage."""
        return (self.depth - 2) // (2 * len(self.widths))

    @property
    def name(self) -> str:
        """The network's name, for example "lcnet-resnet8"."""
        return f"{'lcnet-' if self.gated else ''}resnet{self.depth}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """Geometry of one basic block; sizes are (height, width)."""

    name: str
    stage: int
    in_channels: int
    channels: int
    stride: int
    projected: bool  # a 1x1 convolution on the shortcut instead of the identity
    in_size: tuple[int, int]
    out_size: tuple[int, int]


def block_plans(config: NetworkConfig) -> list[BlockPlan]:
    """The blocks of a network in the order they run; names as in the exported graph."""
    plans: list[BlockPlan] = []
    channels, size = config.widths[0], config.input_size
    for stage, width in enumerate(config.widths):
        for index in range(config.stage_blocks):
            stride = 2 if stage > 0 and index == 0 else 1
            out_size = ((size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1)
            plans.append(
                BlockPlan(
                    name=f"stage{stage}.block{index}",
                    stage=stage,
                    in_channels=channels,
                    channels=width,
                    stride=stride,
                    projected=stride != 1,
                    in_size=size,
                    out_size=out_size,
                )
            )
            channels, size = width, out_size
    return plans


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
    widths: tuple[int, int, int] = (16, 32, 64)
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


def parse_network(name: str) -> tuple[int, bool]:
    """(depth, gated) of a network name such as "lcnet-resnet20" or "resnet8"."""
    match = re.fullmatch(r"(lcnet-)?resnet(\d{1,4})", name)
    if match is None:
        raise ConfigError(
            f"unknown network {name!r}", "lcnet-resnetN is gated, resnetN is not; N = 6n+2"
        )
    depth, gated = int(match[2]), match[1] is not None
    NetworkConfig(depth=depth, gated=gated)  # refuses a depth that is not 6n+2
    return depth, gated
