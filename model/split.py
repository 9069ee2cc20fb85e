"""The two transformations of S2DNAS on a ResNet (Yuan et al. 2019, section 3.2): `split` gives each
stage its own channels, `concat` the channels of earlier stages that it reads.

What follows from a plan for every convolution is here once: which links are live (training), what
a stage costs (MACs), what it reads (export).  The image is not split; a classifier reads all maps
up to its stage.  A residual sum stays within a stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from penstock.model.geometry import ConvPlan, NetworkConfig, block_plans, stem_plan
from penstock.model.split_plan import SplitPlan

Convention = Literal["macs", "macs_bn"]


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

    def macs(self, stage: int, convention: Convention = "macs") -> int:
        """Multiply-accumulates of a stage for an image: of live links only."""
        outputs = len(self.outputs[stage]) * self.plan.out_size[0] * self.plan.out_size[1]
        bn = 1 if convention == "macs_bn" else 0
        return outputs * (len(self.reads(stage)) * self.plan.kernel**2 + bn)

    def live(self) -> Tensor:
        """Float [outputs, inputs, 1, 1]: 1 for the links that are left, 0 for the others."""
        mask = torch.zeros(self.plan.channels, self.plan.in_channels)
        for stage, outputs in enumerate(self.outputs):
            mask[torch.tensor(outputs)[:, None], torch.tensor(self.reads(stage))] = 1.0
        return mask[:, :, None, None]


@cache
def split_convs(config: NetworkConfig) -> dict[str, SplitConv]:
    """Every convolution of a split network by name, in the order a single stage runs them."""
    assert config.split is not None
    return {conv.plan.name: conv for conv in _convs(config, config.split)}


def _convs(config: NetworkConfig, split: SplitPlan) -> Iterator[SplitConv]:
    stem = stem_plan(config)
    yield SplitConv(
        plan=stem,
        outputs=split.channels(0, stem.channels),
        inputs=(range(stem.in_channels),),
        sources=((0,),) * split.stages,
    )
    before = 0  # resolution of the block's input
    for block in block_plans(config):
        source = before
        for conv in block.convs:
            yield _conv(split, conv, source, block.stage)
            source = block.stage
        if block.shortcut is not None:
            yield _conv(split, block.shortcut, before, block.stage)
        before = block.stage


def _conv(split: SplitPlan, plan: ConvPlan, source: int, target: int) -> SplitConv:
    """A convolution from maps of resolution `source` to maps of `target`."""
    return SplitConv(
        plan=plan,
        outputs=split.channels(target, plan.channels),
        inputs=split.channels(source, plan.in_channels),
        sources=tuple(split.sources(source, stage) for stage in range(split.stages)),
    )


def head_widths(config: NetworkConfig) -> list[int]:
    """Channels that the classifier of each stage averages: all up to its own."""
    assert config.split is not None
    last = len(config.widths) - 1
    return [part.stop for part in config.split.channels(last, config.out_channels)]


def stage_layer_macs(
    config: NetworkConfig, stage: int, convention: Convention = "macs"
) -> dict[str, int]:
    """MACs of one stage of a split network by layer, its classifier included."""
    counts = {name: conv.macs(stage, convention) for name, conv in split_convs(config).items()}
    return {**counts, "classifier.fc": head_widths(config)[stage] * config.classes}


def exit_macs(config: NetworkConfig, convention: Convention = "macs") -> list[int]:
    """MACs of an image that ends at each stage: of that stage and all before it."""
    assert config.split is not None
    stages = range(config.split.stages)
    return list(accumulate(sum(stage_layer_macs(config, s, convention).values()) for s in stages))
