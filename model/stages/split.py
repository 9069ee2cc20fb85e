"""The two transformations of S2DNAS (Yuan et al. 2019, section 3.2): `split` gives each stage its
own channels, `concat` the channels of earlier stages that it reads.

What follows from a plan for every convolution is here once: which links are live (training), what
a stage costs (MACs), what it reads (export).  The image is not split; a classifier reads all maps
up to its stage.  A residual sum stays within a stage, and so does a depthwise convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from penstock.model.plans.layers import ConvPlan
from penstock.model.plans.network import NetworkGeometry
from penstock.model.plans.split import SplitPlan

Convention = Literal["macs", "macs_bn"]


class Links(NamedTuple):
    """What a stage has of a convolution's weights: output channels, input channels, groups."""

    outputs: list[int]
    inputs: list[int]
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConv:
    """A convolution in stages: stage j computes `outputs[j]` from `inputs` of `sources[j]`."""

    plan: ConvPlan
    outputs: tuple[range, ...]  # of each stage
    inputs: tuple[range, ...]  # of each stage; of an image, one for all
    sources: tuple[tuple[int, ...], ...]  # indices into `inputs`, increasing

    def reads(self, stage: int) -> list[int]:
        """Input channels of a stage, increasing."""
        return [channel for source in self.sources[stage] for channel in self.inputs[source]]

    def links(self, stage: int) -> Links:
        """Indices into the weights; each channel of a depthwise convolution has one input."""
        outputs = list(self.outputs[stage])
        if self.plan.groups > 1:
            return Links(outputs, [0], len(outputs))
        return Links(outputs, self.reads(stage), 1)

    def macs(self, stage: int, convention: Convention = "macs") -> int:
        """Multiply-accumulates of a stage for an image: of live links only."""
        links = self.links(stage)
        outputs = len(links.outputs) * self.plan.out_size[0] * self.plan.out_size[1]
        bn = 1 if convention == "macs_bn" else 0
        return outputs * (len(links.inputs) * self.plan.kernel**2 + bn)

    def live(self) -> Tensor:
        """Float [outputs, inputs, 1, 1]: 1 for the links that are left, 0 for the others."""
        mask = torch.zeros(self.plan.channels, self.plan.in_channels // self.plan.groups)
        for stage in range(len(self.outputs)):
            links = self.links(stage)
            mask[torch.tensor(links.outputs)[:, None], torch.tensor(links.inputs)] = 1.0
        return mask[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitNetwork:
    """A network in stages: convolutions by name in the order that each stage runs them.

    `heads`: channels that the classifier of each stage averages, all up to its own.
    """

    convs: dict[str, SplitConv]
    heads: tuple[int, ...]
    classes: int

    def layer_macs(self, stage: int, convention: Convention = "macs") -> dict[str, int]:
        """MACs of one stage by layer, its classifier included."""
        counts = {name: conv.macs(stage, convention) for name, conv in self.convs.items()}
        return {**counts, "classifier.fc": self.heads[stage] * self.classes}

    def exit_macs(self, convention: Convention = "macs") -> list[int]:
        """MACs of an image that ends at each stage: of that stage and all before it."""
        stages = range(len(self.heads))
        return list(accumulate(sum(self.layer_macs(s, convention).values()) for s in stages))


@cache
def split_network(config: NetworkGeometry) -> SplitNetwork:
    """A network in the stages of its plan; the last convolution is classified."""
    split, rows = config.split, list(config.split_rows())
    assert split is not None
    last, _, resolution = rows[-1]
    return SplitNetwork(
        convs={plan.name: _conv(split, plan, source, to) for plan, source, to in rows},
        heads=tuple(part.stop for part in split.channels(resolution, last.channels)),
        classes=config.classes,
    )


def _conv(split: SplitPlan, plan: ConvPlan, source: int | None, target: int) -> SplitConv:
    outputs, stages = split.channels(target, plan.channels), range(split.stages)
    if source is None:
        image = (range(plan.in_channels),)
        return SplitConv(plan=plan, outputs=outputs, inputs=image, sources=((0,),) * split.stages)
    if plan.groups > 1:
        sources: tuple[tuple[int, ...], ...] = tuple((stage,) for stage in stages)
    else:
        sources = tuple(split.sources(source, stage) for stage in stages)
    inputs = split.channels(source, plan.in_channels)
    return SplitConv(plan=plan, outputs=outputs, inputs=inputs, sources=sources)


def split_convs(config: NetworkGeometry) -> dict[str, SplitConv]:
    """Every convolution of a split network by name."""
    return split_network(config).convs


def head_widths(config: NetworkGeometry) -> list[int]:
    """Channels that the classifier of each stage averages."""
    return list(split_network(config).heads)


def stage_layer_macs(
    config: NetworkGeometry, stage: int, convention: Convention = "macs"
) -> dict[str, int]:
    """MACs of one stage of a split network by layer, its classifier included."""
    return split_network(config).layer_macs(stage, convention)


def exit_macs(config: NetworkGeometry, convention: Convention = "macs") -> list[int]:
    """MACs of an image that ends at each stage of a split network."""
    return split_network(config).exit_macs(convention)
