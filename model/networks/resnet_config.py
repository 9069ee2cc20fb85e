"""ResNets by configuration and by name: the shape of every convolution, and its gates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from penstock.model.errors import ConfigError
from penstock.model.files.checked import plain_values
from penstock.model.plans.layers import EXPERTS, BlockPlan, ConvPlan, SplitRow, halved
from penstock.model.plans.network import (
    GATES,
    LC,
    MASKS,
    SCHEDULES,
    Gates,
    NetworkGeometry,
    Schedule,
    block_plans,
)
from penstock.model.plans.split import SplitPlan, plain_split

Block = Literal["basic", "bottleneck"]
BLOCKS: tuple[Block, ...] = ("basic", "bottleneck")
Stem = Literal["cifar", "imagenet"]
STEMS: tuple[Stem, ...] = ("cifar", "imagenet")
Shortcuts = Literal["projection", "identity", "centred"]
SHORTCUTS: tuple[Shortcuts, ...] = get_args(Shortcuts)
STAGES = (3, 4)
EXPANSION = 4  # a bottleneck's output channels over its inner ones
SMALL_IMAGE = 64  # pixels; up to this side an image gets the CIFAR stem
# Networks whose depth names one set of blocks: (block, blocks of the four stages).
DEEP: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetConfig(NetworkGeometry):
    """A ResNet with LC-Net gates in every block, unless `gates` says otherwise.

    `gates`: "lc" has both gates, "l" the block gate alone (L-Net), "c" the channel gate
    alone (C-Net), "none" none; the others are families of `penstock.model.gates.families`.
    `blocks` counts the blocks of each stage; empty, `depth` is split evenly:
    three stages of n basic blocks have depth 6n+2 (ResNet-20 of the CIFAR papers), four have
    8n+2.  `widths` are the channels of each stage; bottlenecks put out four times as many.

    `stem`: "cifar" is a 3x3 convolution, "imagenet" a 7x7 one of stride 2 and a 3x3 max-pool
    of stride 2.  `shortcuts`, where a block changes shape: "projection" is a 1x1 convolution
    (option B), "identity" takes every second pixel and adds zero channels (option A), "centred" as
    many before its channels as behind.

    `gated_convs`: the C-Net of a bottleneck scores the outputs of its first convolution
    (1: LC-Net, section 3.3 and figure 4b) or of the first two (2: an extension).

    `exits`: stages with an early exit behind them, a classifier head
    (`penstock.model.train.early_exit`).
    `split`: the network runs in stages of its channels, as S2DNAS has it
    (`penstock.model.stages.split`).

    `schedule` changes the MAC accounting only (LC-Net, section 3.3.2): in the "parallel"
    configuration the gates run beside the first convolution, which therefore always runs
    all its channels; in the "sequential" one they run first and all convolutions skip.
    """

    depth: int = 8
    gates: Gates = "lc"
    block: Block = "basic"
    blocks: tuple[int, ...] = ()
    widths: tuple[int, ...] = (16, 32, 64)
    stem: Stem = "cifar"
    shortcuts: Shortcuts = "projection"
    gated_convs: int = 1
    in_channels: int = 1
    input_size: tuple[int, int] = (8, 8)  # height, width
    classes: int = 10
    schedule: Schedule = "sequential"
    exits: tuple[int, ...] = ()
    split: SplitPlan | None = None

    def __post_init__(self) -> None:
        if len(self.widths) not in STAGES or min(self.widths) < 1:
            raise ConfigError(
                f"bad stage widths {self.widths}", "give three or four positive widths"
            )
        for field, known in (
            ("gates", GATES),
            ("block", BLOCKS),
            ("stem", STEMS),
            ("shortcuts", SHORTCUTS),
            ("schedule", SCHEDULES),
        ):
            if getattr(self, field) not in known:
                raise ConfigError(f"unknown {field} {getattr(self, field)!r}", f"one of {known}")
        self._check_depth()
        if min(self.in_channels, *self.input_size) < 1 or self.classes < 2:
            raise ConfigError(
                f"bad shape: {self.in_channels} channels of {self.input_size}, "
                f"{self.classes} classes",
                "sizes start at 1, classes at 2",
            )
        last = len(self.widths) - 1
        if list(self.exits) != sorted(set(self.exits)) or not set(self.exits) <= set(range(last)):
            raise ConfigError(
                f"exits behind stages {self.exits}", f"increasing numbers from 0 to {last - 1}"
            )
        if self.split is not None:
            self._check_split(self.split)
        most = self.block_convs - 1
        if not 1 <= self.gated_convs <= most:
            raise ConfigError(
                f"{self.gated_convs} gated convolutions in a {self.block} block", f"1 to {most}"
            )

    def _check_depth(self) -> None:
        stages, convs = len(self.widths), self.block_convs
        step = convs * stages
        if not self.blocks and (self.depth < step + 2 or (self.depth - 2) % step):
            depths = ", ".join(str(step * n + 2) for n in (1, 2, 3))
            raise ConfigError(
                f"no ResNet of depth {self.depth} exists here",
                f"use a depth of {step}n+2: {depths}, ...",
            )
        if not self.blocks:
            return
        depth = convs * sum(self.blocks) + 2
        if len(self.blocks) != stages or min(self.blocks) < 1 or depth != self.depth:
            raise ConfigError(
                f"blocks {self.blocks} do not make {stages} stages of depth {self.depth}",
                f"{stages} counts from 1 whose sum times {convs} is the depth less 2",
            )

    def _check_split(self, split: SplitPlan) -> None:
        split.check_resolutions(self.resolutions)
        split.check_channels(self.widths)
        if self.gated or self.exits or self.shortcuts != "projection":
            raise ConfigError(
                "a split network has gates, exits behind its stages or identity shortcuts",
                "gates none, no exits, projections: its stages' classifiers are its exits",
            )

    @property
    def early_exits(self) -> int:
        """Classifiers in front of the last."""
        return len(self.exits) if self.split is None else self.split.stages - 1

    @property
    def resolutions(self) -> int:
        """A stage has one."""
        return len(self.widths)

    @property
    def block_convs(self) -> int:
        """Convolutions in a block, shortcut not counted."""
        return 2 if self.block == "basic" else 3

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        stages = len(self.widths)
        return self.blocks or ((self.depth - 2) // (self.block_convs * stages),) * stages

    @property
    def out_channels(self) -> int:
        """Channels that the classifier's average sees."""
        return self.widths[-1] * (1 if self.block == "basic" else EXPANSION)

    @property
    def name(self) -> str:
        """The network's name, for example "lcnet-resnet8"."""
        if self.split is not None:
            return f"s2d-resnet{self.depth}"
        prefix = f"{self.gates}{'net' if self.gates in LC else ''}-" if self.gated else ""
        return f"{prefix}resnet{self.depth}{'-exits' if self.exits else ''}"

    @property
    def extent(self) -> tuple[int, int]:
        """(layers, channels of the widest), roughly and from above."""
        return sum(self.blocks), EXPANSION * max(self.widths, default=0)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ResNetConfig:
        """The configuration in a checkpoint; before `gates` it held `gated`, true or false."""
        fields = dict(plain)
        if "gated" in fields:
            fields["gates"] = "lc" if fields.pop("gated") else "none"
        return cls(**plain_values(cls, fields))

    def block_plans(self) -> list[BlockPlan]:
        """The residual blocks; two for a pair of experts."""
        return _block_plans(self)

    def split_rows(self) -> Iterator[SplitRow]:
        """The stem belongs to the first resolution; shortcuts before the residual branch."""
        yield stem_plan(self), None, 0
        before = 0  # resolution of the block's input
        for block in self.block_plans():
            if block.shortcut is not None:
                yield block.shortcut, before, block.stage
            for conv in block.convs:
                yield conv, before, block.stage
                before = block.stage


def stem_plan(config: ResNetConfig) -> ConvPlan:
    """The first convolution."""
    kernel, stride = (3, 1) if config.stem == "cifar" else (7, 2)
    return ConvPlan(
        name="stem.conv",
        in_channels=config.in_channels,
        channels=config.widths[0],
        kernel=kernel,
        stride=stride,
        out_size=halved(config.input_size, stride),
    )


def _block_plans(config: ResNetConfig) -> list[BlockPlan]:
    plans: list[BlockPlan] = []
    channels, size = config.widths[0], stem_plan(config).out_size
    if config.stem == "imagenet":
        size = halved(size, 2)  # the max-pool
    for stage, (width, count) in enumerate(zip(config.widths, config.stage_blocks, strict=True)):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name = f"stage{stage}.block{index}"
            plan = _block_plan(config, name, stage, channels, width, stride, size)
            if config.gates == "moe" and not plan.changes_shape:
                for expert in range(EXPERTS):
                    own = f"{name}.expert{expert}"
                    plan = _block_plan(config, own, stage, channels, width, stride, size)
                    plans.append(replace(plan, expert=expert))
            else:
                plans.append(plan)
            channels, size = plan.channels, plan.out_size
    return plans


def exit_blocks(config: ResNetConfig) -> list[int]:
    """Index of the block in front of each early exit: the last of its stage."""
    stages = [plan.stage for plan in block_plans(config)]
    return [len(stages) - 1 - stages[::-1].index(stage) for stage in config.exits]


def _block_plan(
    config: ResNetConfig,
    name: str,
    stage: int,
    in_channels: int,
    width: int,
    stride: int,
    size: tuple[int, int],
) -> BlockPlan:
    """A block; of a bottleneck's convolutions the 3x3 has the stride ("v1.5")."""
    out_size = halved(size, stride)
    rows = [(3, width, stride), (3, width, 1)]  # kernel, channels, stride
    if config.block == "bottleneck":
        rows = [(1, width, 1), (3, width, stride), (1, EXPANSION * width, 1)]
    convs: list[ConvPlan] = []
    changes = stride != 1 or rows[-1][1] != in_channels
    source, conv_size = in_channels, size
    for number, (kernel, channels, conv_stride) in enumerate(rows, start=1):
        conv_size = halved(conv_size, conv_stride)
        convs.append(
            ConvPlan(
                name=f"{name}.conv{number}",
                in_channels=source,
                channels=channels,
                kernel=kernel,
                stride=conv_stride,
                out_size=conv_size,
                gated=_is_gated(config, number, changes),
            )
        )
        source = channels
    shortcut = None
    if config.shortcuts == "projection" and (stride != 1 or source != in_channels):
        shortcut = ConvPlan(
            name=f"{name}.shortcut",
            in_channels=in_channels,
            channels=source,
            kernel=1,
            stride=stride,
            out_size=out_size,
        )
    return BlockPlan(
        name=name,
        stage=stage,
        first=name == "stage0.block0",
        in_channels=in_channels,
        channels=source,
        stride=stride,
        convs=tuple(convs),
        shortcut=shortcut,
        in_size=size,
        out_size=out_size,
    )


def _is_gated(config: ResNetConfig, number: int, changes_shape: bool) -> bool:
    """Whether convolution `number` of a block can be masked.

    A mask of the last one leaves the shortcut's channels as they are, which are the block's result
    only where it does not change the shape.
    """
    if config.gates in MASKS:
        return number < config.block_convs or not changes_shape
    return number <= config.gated_convs


def parse_resnet(name: str) -> ResNetConfig:
    """The network of a name such as "lcnet-resnet20", "skipnet2-resnet14" or "resnet50".

    Depths 18, 34, 50, 101 and 152 are the networks of four stages, 64 to 512 wide; any other
    is the CIFAR form of three stages, 16 to 64 wide.  Its images are 3 x 32 x 32 in ten
    classes, 3 x 224 x 224 in a thousand for bottlenecks: `resnet_for_images` takes others.
    "s2d-" splits it evenly: a plan that was searched for replaces that.
    """
    families = "|".join(gates for gates in GATES if gates not in (*LC, "none"))
    match = re.fullmatch(rf"(?:(?:(lc|l|c)net|({families})|(s2d))-)?resnet(\d{{1,4}})", name)
    if match is None:
        raise ConfigError(
            f"unknown network {name!r}",
            "lcnet-, lnet- and cnet-resnetN are gated, resnetN is not; N = 6n+2 or 18, 34, 50; "
            f"other gates: {families.replace('|', '-, ')}-; in stages: s2d-; "
            "also densenetN, vgg16 and mobilenetv2",
        )
    gates: Gates = match[1] or match[2] or "none"  # type: ignore[assignment]
    depth = int(match[4])
    resolutions = len(DEEP[depth][1]) if depth in DEEP else 3
    split = plain_split(resolutions) if match[3] else None
    if depth not in DEEP:
        return ResNetConfig(
            depth=depth, gates=gates, in_channels=3, input_size=(32, 32), split=split
        )
    block, blocks = DEEP[depth]
    small = block == "basic"
    return ResNetConfig(
        depth=depth,
        gates=gates,
        block=block,
        blocks=blocks,
        widths=(64, 128, 256, 512),
        stem="cifar" if small else "imagenet",
        in_channels=3,
        input_size=(32, 32) if small else (224, 224),
        classes=10 if small else 1000,
        split=split,
    )


def resnet_for_images(
    config: ResNetConfig, in_channels: int, input_size: tuple[int, int], classes: int = 10
) -> ResNetConfig:
    """The same network for other images; those of at most 64 pixels get the CIFAR stem."""
    stem: Stem = "cifar" if max(input_size) <= SMALL_IMAGE else "imagenet"
    return replace(
        config, in_channels=in_channels, input_size=input_size, classes=classes, stem=stem
    )
