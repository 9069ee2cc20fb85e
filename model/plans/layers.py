"""Shapes of convolutions and blocks: what a network is made of, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

EXPERTS = 2  # of a block, where there are any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvPlan:
    """One convolution; sizes are (height, width)."""

    name: str
    in_channels: int
    channels: int
    kernel: int
    stride: int
    out_size: tuple[int, int]
    gated: bool = False  # its output channels have scores (1 without a gate), after its ReLU
    groups: int = 1
    grouping: bool = False  # its groups are learned (`penstock.model.gates.grouping`)
    normed: bool = True  # a batch norm follows

    @property
    def outputs(self) -> int:
        """Values it puts out for an image."""
        return self.channels * self.out_size[0] * self.out_size[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for an image, convention `macs`."""
        return self.outputs * self.in_channels * self.kernel**2 // self.groups


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """Geometry of one block; sizes are (height, width)."""

    name: str
    stage: int
    first: bool  # of the network
    in_channels: int
    channels: int  # that it puts out
    stride: int
    convs: tuple[ConvPlan, ...]
    shortcut: ConvPlan | None  # a projection, if the block has one
    in_size: tuple[int, int]
    out_size: tuple[int, int]
    expert: int | None = None  # 0 or 1: one of two, between which a router chooses
    ahead: bool = False  # its channel gates read what its first convolution reads

    @property
    def projected(self) -> bool:
        """Whether a 1x1 convolution is on the shortcut."""
        return self.shortcut is not None

    @property
    def changes_shape(self) -> bool:
        """Whether the block's output has another shape than its input."""
        return self.stride != 1 or self.channels != self.in_channels

    @property
    def gated(self) -> tuple[ConvPlan, ...]:
        """The convolutions whose channels have scores, in order."""
        return tuple(conv for conv in self.convs if conv.gated)

    @property
    def gated_channels(self) -> int:
        """Channels that have scores."""
        return sum(conv.channels for conv in self.gated)


#: A convolution, the resolution of the maps it reads (None: the image) and of those it makes.
SplitRow = tuple[ConvPlan, int | None, int]


def halved(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Size of a map behind a "same" convolution or pool of that stride."""
    return (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1


def plain_conv(plan: ConvPlan) -> nn.Conv2d:
    """Convolution without bias, for a batch norm follows; padded to keep or halve the map."""
    return nn.Conv2d(
        plan.in_channels,
        plan.channels,
        plan.kernel,
        stride=plan.stride,
        padding=plan.kernel // 2,
        groups=plan.groups,
        bias=False,
    )
