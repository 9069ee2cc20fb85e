"""Multiply-accumulate counts, per image and per layer, in a named convention.

`macs` counts convolutions and fully connected layers; `macs_bn` adds one for each output of
a batch norm.  Biases and the scaling by scores are never counted.  Gate layers are counted
apart, always.  A channel or block counts as skipped when its score rounds to 0/128.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from penstock.model.families import gate_networks
from penstock.model.gate_plan import GatePlan
from penstock.model.geometry import LC, BlockPlan, NetworkGeometry, Schedule, block_plans
from penstock.model.networks import BlockScores

SCORE_ONE = 128  # gate scores are UQ1.7: 128 is exactly 1.0

Convention = Literal["macs", "macs_bn"]
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MacCount:
    """MACs of a batch: int64 [N] for the backbone, the same number a gate for all images."""

    backbone: Tensor
    gates: int
    convention: Convention = "macs"

    @property
    def total(self) -> Tensor:
        """Backbone and gates together, int64 [N]."""
        return self.backbone + self.gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """MACs over images: their mean and percentiles."""

    mean: float
    percentiles: dict[int, float]  # of `PERCENTILES`; 0 and 100 are the extremes


def distribution(counts: Tensor) -> Distribution:
    """Mean and percentiles (linear between neighbours) of counts, int64 [N]."""
    values = counts.double()
    shares = torch.tensor(PERCENTILES, dtype=torch.float64) / 100
    found = torch.quantile(values, shares).tolist()
    return Distribution(
        mean=float(values.mean()), percentiles=dict(zip(PERCENTILES, found, strict=True))
    )


def kept(scores: Tensor) -> Tensor:
    """Bool, same shape: true where a score survives rounding to UQ1.7."""
    return torch.round(scores * SCORE_ONE) > 0


def layer_macs(config: NetworkGeometry, convention: Convention = "macs") -> dict[str, int]:
    """MACs of every backbone layer with every gate open; names as in the exported graph.

    Batch norms that follow no convolution are layers of their own in convention `macs_bn`.
    """
    bn = convention == "macs_bn"
    counts = {conv.name: conv.macs + bn * conv.normed * conv.outputs for conv in config.convs()}
    norms = config.norms() if bn else {}
    return {**counts, **norms, "classifier.fc": config.out_channels * config.classes}


def gate_layer_macs(
    config: NetworkGeometry, gates: Iterable[GatePlan] | None = None
) -> dict[str, int]:
    """MACs of every gate's layers: of LC-Net's, and of the other families' gate networks.

    Every input channel of a gate network counts, also where the map it reads is masked.  Learned
    groups count as one group, unless `gates` are the plans of a network (`network_gates`).
    """
    counts: dict[str, int] = {}
    for gate in gate_networks(config) if gates is None else gates:
        counts |= gate.layer_macs
    for plan in block_plans(config):
        if config.block_gates:
            counts[f"{plan.name}.lnet.fc"] = plan.in_channels
        if config.channel_gates:
            for index, conv in enumerate(plan.gated):
                name = "cnet" if index == 0 else f"cnet{index + 1}"
                counts[f"{plan.name}.{name}.fc"] = plan.in_channels * conv.channels
    return counts


def dense_macs(config: NetworkGeometry, convention: Convention = "macs") -> int:
    """MACs of the backbone with every gate open, gates not counted."""
    return sum(layer_macs(config, convention).values())


def gate_macs(config: NetworkGeometry, gates: Iterable[GatePlan] | None = None) -> int:
    """MACs of all gates of a network for one image; `gates` as in `gate_layer_macs`."""
    return sum(gate_layer_macs(config, gates).values())


def executed_layer_macs(
    config: NetworkGeometry, scores: Sequence[BlockScores], convention: Convention = "macs"
) -> dict[str, Tensor]:
    """MACs of every backbone layer for each image of a batch, int64 [N], given its scores.

    Sequential: a closed block costs its projection, an open one the surviving channels of
    its convolutions.  Parallel (LC-Net, section 3.3.2): the first convolution always runs
    whole, of two experts the first's; a gate network takes longer than that, so it always runs
    before its block.  A convolution behind a gated one reads the surviving channels only.
    """
    if not config.gated:
        raise ValueError("a network without gates executes dense_macs()")
    images = scores[0].block.shape[0]
    counts = {
        name: torch.full((images,), macs, dtype=torch.int64)
        for name, macs in layer_macs(config, convention).items()
    }
    for plan, score in zip(block_plans(config), scores, strict=True):
        beside = config.gates in LC or plan.expert == 0
        counts |= _block(plan, score, config.schedule if beside else "sequential", convention)
    return counts


def executed_macs(
    config: NetworkGeometry,
    scores: Sequence[BlockScores],
    convention: Convention = "macs",
    gates: Iterable[GatePlan] | None = None,
) -> MacCount:
    """MACs each image of a batch executes, given its gate scores: see `executed_layer_macs`.

    `gates` as in `gate_layer_macs`.
    """
    layers = executed_layer_macs(config, scores, convention)
    backbone = torch.stack(list(layers.values())).sum(dim=0)
    return MacCount(backbone=backbone, gates=gate_macs(config, gates), convention=convention)


def _block(
    plan: BlockPlan, scores: BlockScores, schedule: Schedule, convention: Convention
) -> dict[str, Tensor]:
    """The convolutions of one block's residual branch, int64 [N] each."""
    is_open = kept(scores.block)[:, 0].cpu().to(torch.int64)  # [N]
    pieces = iter(kept(scores.channels).cpu().split([c.channels for c in plan.gated], dim=1))
    read = torch.full_like(is_open, plan.in_channels)  # channels that the layer reads
    counts: dict[str, Tensor] = {}
    for index, conv in enumerate(plan.convs):
        whole = torch.full_like(is_open, conv.channels)
        survivors = next(pieces).sum(dim=1) if conv.gated else whole
        beside = schedule == "parallel" and index == 0  # runs while the gates decide
        written = whole if beside else survivors * is_open
        pixels = conv.out_size[0] * conv.out_size[1]
        bn = int(convention == "macs_bn" and conv.normed)
        counts[conv.name] = written * pixels * (read * conv.kernel**2 + bn)
        read = survivors
    return counts
