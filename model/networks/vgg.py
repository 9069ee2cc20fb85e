"""VGG with batch norms in its CIFAR form."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model.networks.network import Kind, shaped
from penstock.model.networks.units import UnitNet, UnitPlan, UnitsConfig, parse_units
from penstock.model.plans.layers import ConvPlan
from penstock.model.plans.network import Schedule
from penstock.model.plans.split import SplitPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class VggConfig(UnitsConfig):
    """VGG with batch norm and one fully connected layer; `stages`: (channels, convolutions).

    `split`: it runs in stages of its channels, as S2DNAS has it (`penstock.model.stages.split`).
    """

    stages: tuple[tuple[int, int], ...] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)
    classes: int = 10
    schedule: Schedule = "sequential"
    split: SplitPlan | None = None

    @property
    def name(self) -> str:
        """For example "vgg16"; "s2d-" in front where it is split."""
        depth = sum(count for _, count in self.stages) + 3  # as named, with three FC layers
        return f"{'s2d-' if self.split else ''}vgg{depth}"

    @property
    def extent(self) -> tuple[int, int]:
        """(layers, channels of the widest)."""
        return sum(row[1] for row in self.stages), max(row[0] for row in self.stages)

    def units(self) -> list[UnitPlan]:
        """One convolution each; a pool behind the last of a stage."""
        plans: list[UnitPlan] = []
        channels, size = self.in_channels, self.input_size
        for stage, (width, count) in enumerate(self.stages):
            for index in range(count):
                name = f"stage{stage}.conv{index + 1}"
                conv = ConvPlan(
                    name=name,
                    in_channels=channels,
                    channels=width,
                    kernel=3,
                    stride=1,
                    out_size=size,
                )
                last = index == count - 1
                plans.append(UnitPlan(name=name, convs=(conv,), activations=("relu",), pool=last))
                channels = width
            size = (size[0] // 2, size[1] // 2)
        return plans


def parse_vgg(name: str) -> VggConfig:
    """The network of a name: vgg16, s2d-vgg16.  Raises ConfigError."""
    config: VggConfig = parse_units(name, VggConfig())
    return config


KIND = Kind(name="vgg", config=VggConfig, net=UnitNet, parse=parse_vgg, shape=shaped)
