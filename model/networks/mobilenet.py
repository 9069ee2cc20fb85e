"""MobileNetV2 in its CIFAR form."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model.networks.network import Kind, shaped
from penstock.model.networks.units import Activation, UnitNet, UnitPlan, UnitsConfig, parse_units
from penstock.model.plans.layers import ConvPlan, halved
from penstock.model.plans.network import Schedule
from penstock.model.plans.split import SplitPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetConfig(UnitsConfig):
    """MobileNetV2; `stages`: (expansion, channels, units, stride), the CIFAR form by default.

    `shortcut_convs`: units of stride 1 that change the number of channels have a 1x1 convolution
    on a shortcut, and those without expansion keep their first 1x1 convolution (a widespread CIFAR
    form, 91.15 M MACs); without, the network is as published (87.98 M).
    `split`: it runs in stages of its channels, as S2DNAS has it (`penstock.model.stages.split`).
    """

    stages: tuple[tuple[int, int, int, int], ...] = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    stem: int = 32
    head: int = 1280
    shortcut_convs: bool = False
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)
    classes: int = 10
    schedule: Schedule = "sequential"
    split: SplitPlan | None = None

    @property
    def name(self) -> str:
        """ "mobilenetv2", "-shortcuts" behind it for the form with shortcut convolutions, "s2d-" in
        front where it is split."""
        shortcuts = "-shortcuts" if self.shortcut_convs else ""
        return f"{'s2d-' if self.split else ''}mobilenetv2{shortcuts}"

    @property
    def extent(self) -> tuple[int, int]:
        """(layers, channels of the widest), roughly and from above."""
        wide = max(row[0] * row[1] for row in self.stages)
        return sum(row[2] for row in self.stages), max(wide, self.head)

    def units(self) -> list[UnitPlan]:
        """The stem, the inverted residuals, the head."""
        plans = [_single("stem", self.in_channels, self.stem, 3, self.input_size)]
        channels, size = self.stem, self.input_size
        for stage, (expansion, width, count, first_stride) in enumerate(self.stages):
            for index in range(count):
                stride = first_stride if index == 0 else 1
                name = f"stage{stage}.block{index}"
                plans.append(self._inverted(name, channels, width, expansion, stride, size))
                channels, size = width, halved(size, stride)
        return [*plans, _single("head", channels, self.head, 1, size)]

    def _inverted(
        self,
        name: str,
        inputs: int,
        outputs: int,
        expansion: int,
        stride: int,
        size: tuple[int, int],
    ) -> UnitPlan:
        width, out_size = inputs * expansion, halved(size, stride)
        rows = [
            ("expand", inputs, width, 1, 1, size, 1),
            ("depthwise", width, width, 3, stride, out_size, width),
            ("project", width, outputs, 1, 1, out_size, 1),
        ]
        if expansion == 1 and not self.shortcut_convs:
            rows = rows[1:]
        convs = tuple(
            ConvPlan(
                name=f"{name}.{kind}",
                in_channels=source,
                channels=channels,
                kernel=kernel,
                stride=step,
                out_size=at,
                groups=groups,
            )
            for kind, source, channels, kernel, step, at, groups in rows
        )
        shortcut = None
        if self.shortcut_convs and stride == 1 and inputs != outputs:
            shortcut = ConvPlan(
                name=f"{name}.shortcut",
                in_channels=inputs,
                channels=outputs,
                kernel=1,
                stride=1,
                out_size=out_size,
            )
        inner: list[Activation] = ["relu6"] * (len(convs) - 1)
        return UnitPlan(
            name=name,
            convs=convs,
            activations=(*inner, "none"),
            residual=stride == 1 and inputs == outputs,
            shortcut=shortcut,
        )


def _single(name: str, inputs: int, outputs: int, kernel: int, size: tuple[int, int]) -> UnitPlan:
    conv = ConvPlan(
        name=f"{name}.conv",
        in_channels=inputs,
        channels=outputs,
        kernel=kernel,
        stride=1,
        out_size=size,
    )
    return UnitPlan(name=name, convs=(conv,), activations=("relu6",))


def parse_mobilenet(name: str) -> MobileNetConfig:
    """The network of a name: mobilenetv2, mobilenetv2-shortcuts, "s2d-" in front.

    Raises ConfigError.
    """
    plain = MobileNetConfig(), MobileNetConfig(shortcut_convs=True)
    config: MobileNetConfig = parse_units(name, *plain)
    return config


KIND = Kind(
    name="mobilenet", config=MobileNetConfig, net=UnitNet, parse=parse_mobilenet, shape=shaped
)
