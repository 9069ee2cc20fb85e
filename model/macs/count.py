"""Multiply-accumulate counts, per image and per layer, in a named convention, from the trace.

`macs` counts convolutions and fully connected layers; `macs_bn` adds one for each output of
a batch norm.  Biases and the scaling by scores are never counted.  Gate layers are counted
apart, always.  A channel or block counts as skipped when its score rounds to 0/128.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from penstock.model.gates.plan import GatePlan
from penstock.model.gates.score import SCORE_ONE
from penstock.model.macs.work import Layer, Ref, layers_of
from penstock.model.networks.labels import labelled, layer_labels
from penstock.model.networks.own import OwnConfig, build_own, parts_of
from penstock.model.networks.registry import build_any
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.network import LC, NetworkGeometry, block_plans
from penstock.model.trace.tracer import deployed, trace

Convention = Literal["macs", "macs_bn"]
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
#: What the scores leave of a block, of output channels or of input channels: counts or shares.
Left = Callable[[Ref], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MacCount:
    """MACs of a batch: int64 [N] for the backbone, the same number a gate for all images."""

    backbone: Tensor
    gates: int
    convention: Convention = "macs"

    @property
    def total(self) -> Tensor:
        """UnitNet and gates together, int64 [N]."""
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


@lru_cache(maxsize=16)
def network_layers(config: NetworkGeometry) -> dict[str, Layer]:
    """The layers of a network by their names in its export, in the order they run."""
    if isinstance(config, OwnConfig):
        own = build_own(config, seed=0).found
        traced = own.own.graph.owning_module
        assert traced is not None
        return {layer.path: layer for layer in layers_of(traced, own)}
    with torch.device("meta"):  # shapes alone
        net = build_any(config.whole(), seed=0)
        example = torch.zeros(1, config.in_channels, *config.input_size)
        found = layers_of(trace(deployed(net.eval()), example, "outputs"))
    labels = layer_labels(net)
    return {labelled(labels, layer.path): layer for layer in found}


def layer_macs(config: NetworkGeometry, convention: Convention = "macs") -> dict[str, int]:
    """MACs of every backbone layer with every gate open; names as in the exported graph.

    Batch norms that follow no convolution are layers of their own in convention `macs_bn`.
    Early exits' heads are left out; a network in stages counts as the static one.
    """
    bn = convention == "macs_bn"
    return {
        name: layer.macs + bn * layer.outputs * layer.normed
        for name, layer in network_layers(config).items()
        if not layer.gate and (layer.macs or bn)
    }


def gate_layer_macs(
    config: NetworkGeometry, gates: Iterable[GatePlan] | None = None
) -> dict[str, int]:
    """MACs of every gate's layers: of LC-Net's, and of the other families' gate networks.

    Every input channel of a gate network counts, also where the map it reads is masked.  Learned
    groups count as one group, unless `gates` are the plans of a network (`network_gates`).
    """
    groups = {
        conv.name: conv.groups for gate in gates or () for conv in gate.convs if not conv.grouping
    }
    return {
        name: layer.macs // groups.get(name, 1)
        for name, layer in network_layers(config).items()
        if layer.gate and layer.macs
    }


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
    images, bn = scores[0].block.shape[0], int(convention == "macs_bn")
    left = _survivors(config, scores)
    beside = _beside(config)
    counts, layers = {}, network_layers(config)
    for name in layer_macs(config, convention):
        layer = layers[name]
        whole = torch.full((images,), layer.outputs, dtype=torch.int64)
        written = whole
        if name not in beside:
            written = whole if layer.writes is None else left(layer.writes)
            written = written if layer.block is None else written * left(layer.block)
        read = layer.inputs if layer.reads is None else left(layer.reads)
        counts[name] = written * (read * layer.pairs + bn * layer.normed)
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


def executed_share(config: NetworkGeometry, scores: Sequence[BlockScores]) -> Tensor:
    """Executed MACs over dense ones, mean over the batch, with the scores' gradients.

    The resource term of ACS (section 3.3, equation 5) for scores of 0 and 1; gates apart.
    """
    layers = layer_macs(config)
    executed = scores[0].block.new_tensor(float(sum(layers.values())))
    left = _shares(config, scores)
    known = network_layers(config)
    for name, macs in layers.items():
        layer = known[name]
        refs = [ref for ref in (layer.reads, layer.writes, layer.block) if ref is not None]
        if refs:
            share = torch.stack([left(ref) for ref in refs]).prod(dim=0)
            executed = executed + macs * (share.mean() - 1.0)
    return executed / sum(layers.values())


def _beside(config: NetworkGeometry) -> set[str]:
    """The convolutions that run while their gates decide: the first of a block each."""
    if config.schedule != "parallel":
        return set()
    first: dict[int, str] = {}
    for name, layer in network_layers(config).items():
        refs = [ref for ref in (layer.block, layer.writes, layer.reads) if ref is not None]
        if refs and not layer.gate:
            first.setdefault(refs[0][0], name)
    if isinstance(config, OwnConfig):
        return set(first.values())
    whole = [config.gates in LC or plan.expert == 0 for plan in block_plans(config)]
    return {name for index, name in first.items() if whole[index]}


def _survivors(config: NetworkGeometry, scores: Sequence[BlockScores]) -> Left:
    """Blocks that run, 0 or 1, and channels that survive, int64 [N]."""
    counted = [BlockScores(*(kept(t).cpu().to(torch.int64) for t in each)) for each in scores]
    parts = _parts(config, counted)
    return lambda ref: parts[ref][:, 0] if ref[1] is None else parts[ref].sum(dim=1)


def _shares(config: NetworkGeometry, scores: Sequence[BlockScores]) -> Left:
    """A block's score, and the mean score of channels, float [N]."""
    parts = _parts(config, scores)
    return lambda ref: parts[ref].mean(dim=1)


def _parts(config: NetworkGeometry, scores: Sequence[BlockScores]) -> dict[Ref, Tensor]:
    """Scores, [N, 1] or [N, C], by what they are of."""
    if isinstance(config, OwnConfig):
        return parts_of(scores)
    found: dict[Ref, Tensor] = {}
    for index, (plan, own) in enumerate(zip(block_plans(config), scores, strict=True)):
        found[index, None] = own.block
        channels = own.channels.split([conv.channels for conv in plan.gated], dim=1)
        found |= {(index, number): part for number, part in enumerate(channels)}
    return found
