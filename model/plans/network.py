"""What the configuration of every kind of network tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from penstock.model.files.checked import plain_values
from penstock.model.plans.layers import BlockPlan, SplitRow
from penstock.model.plans.split import SplitPlan

Schedule = Literal["sequential", "parallel"]
SCHEDULES: tuple[Schedule, ...] = ("sequential", "parallel")
Gates = Literal[
    "lc",
    "l",
    "c",
    "none",
    "skipnet1",
    "skipnet2",
    "blockdrop",
    "acs",
    "acsdg",
    "acsdg-se",
    "iadi",
    "moe",
    "aig",
    "fbs",
]
GATES: tuple[Gates, ...] = get_args(Gates)  # those after "none": `penstock.model.gates.families`
LC = ("lc", "l", "c")  # LC-Net and its halves
# Those that mask the channels of every convolution, or the new maps of a DenseNet's layers.
MASKS = ("acs", "acsdg", "acsdg-se", "iadi", "fbs")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGeometry:
    """What the configuration of a network of any kind tells (`penstock.model.networks`)."""

    in_channels: int
    input_size: tuple[int, int]
    classes: int
    schedule: Schedule

    @property
    def gates(self) -> Gates:
        """The family of its gates."""
        return "none"

    @property
    def split(self) -> SplitPlan | None:
        """Stages that it runs in, if any."""
        return None

    @property
    def gated(self) -> bool:
        """Whether any gate is there."""
        return self.gates != "none"

    @property
    def block_gates(self) -> bool:
        """Whether every block has an L-Net."""
        return self.gates in ("lc", "l")

    @property
    def channel_gates(self) -> bool:
        """Whether every block has a C-Net."""
        return self.gates in ("lc", "c")

    @property
    def early_exits(self) -> int:
        """Classifiers in front of the last."""
        return 0 if self.split is None else self.split.stages - 1

    @property
    def name(self) -> str:
        """The network's name, by which it is found again."""
        raise NotImplementedError

    @property
    def out_channels(self) -> int:
        """Channels that the classifier's average sees."""
        raise NotImplementedError

    @property
    def extent(self) -> tuple[int, int]:
        """(layers, channels of the widest), roughly and from above: what building one may take.

        (0, 0) of a module of the caller's, who knows.
        """
        return 0, 0

    @property
    def resolutions(self) -> int:
        """Resolutions that a split plan has stages for."""
        raise NotImplementedError

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> NetworkGeometry:
        """The configuration in a checkpoint.  Raises CheckpointError."""
        return cls(**plain_values(cls, plain))

    def whole(self) -> NetworkGeometry:
        """The same network without stages."""
        changed: Any = self
        return self if self.split is None else replace(changed, split=None)

    def block_plans(self) -> list[BlockPlan]:
        """What gates decide, in the order it runs: residual blocks, a DenseNet's layers."""
        return []

    def split_rows(self) -> Iterator[SplitRow]:
        """The convolutions as `penstock.model.stages.split` takes them, in the order they run."""
        raise NotImplementedError


def block_plans(config: NetworkGeometry) -> list[BlockPlan]:
    """The blocks of a network in the order they run; names as in the exported graph."""
    return config.block_plans()


def scheduled(config: NetworkGeometry, schedule: Schedule) -> NetworkGeometry:
    """The same network, its MACs counted in that schedule."""
    changed: Any = config
    scheduled_config: NetworkGeometry = replace(changed, schedule=schedule)
    return scheduled_config
