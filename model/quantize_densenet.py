"""DenseNet as the hardware computes it: fake-quantised, normalisations folded.

All maps of a block lie side by side as one Concat, so they share one scale, int8.  A normalisation
that follows no convolution is a depthwise 1x1 convolution of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.densenet import DenseBlock, DenseLayer, DenseNet, masked
from penstock.model.gates import global_average_pool
from penstock.model.networks import BlockScores
from penstock.model.quantize import calibrate_scales
from penstock.model.quantize_gate import QuantGateNet
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear


def affine(norm: nn.BatchNorm2d) -> QuantConv:
    """A normalisation as a depthwise 1x1 convolution."""
    channels = norm.num_features
    conv = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
    nn.init.ones_(conv.weight)
    return QuantConv(conv, norm)


def without_norm(conv: nn.Conv2d) -> QuantConv:
    """A convolution that nothing normalises."""
    return QuantConv(conv, nn.BatchNorm2d(conv.out_channels, eps=0.0))  # mean 0, variance 1


class QuantDenseLayer(nn.Module):
    """A layer, quantised up to its last convolution."""

    def __init__(self, layer: DenseLayer) -> None:
        super().__init__()
        self.plan = layer.plan
        self.norm, self.normed = affine(layer.norm), ActivationQuantizer()
        self.conv1, self.inner = QuantConv(layer.conv1, layer.bn1), ActivationQuantizer()
        self.conv2 = without_norm(layer.conv2)
        self.gate2 = QuantGateNet(layer.gate2) if layer.gate2 is not None else None

    def forward(self, x: Tensor, scale: Tensor) -> tuple[Tensor, BlockScores]:
        """Float [N, C, H, W] on the block's grid -> [N, growth, H, W], not requantised, scores."""
        y = self.normed(F.relu(self.norm(x, scale)))
        score = None if self.gate2 is None else self.gate2(y, self.normed.scale)
        y = self.inner(F.relu(self.conv1(y, self.normed.scale)))  # [N, inner, H, W]
        return masked(self.plan, self.conv2(y, self.inner.scale), score)


class QuantDenseBlock(nn.Module):
    """A block and its transition; `maps` is the scale of all that it concatenates."""

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        self.plan = block.plan
        self.maps = ActivationQuantizer()
        self.layers = nn.ModuleList(
            QuantDenseLayer(layer) for layer in block.layers if isinstance(layer, DenseLayer)
        )
        self.norm = affine(block.norm) if block.norm is not None else None
        self.conv = without_norm(block.conv) if block.conv is not None else None
        self.normed, self.halved = ActivationQuantizer(), ActivationQuantizer()

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Float [N, in_channels, H, W] -> [N, out_channels, H', W'], not requantised behind the
        transition's average, without one on the block's grid; and the layers' scores."""
        x, collected = self.maps(x, signed=True), []
        for layer in self.layers:
            y, scores = layer(x, self.maps.scale)
            x = torch.cat([x, self.maps(y, signed=True)], dim=1)
            collected.append(scores)
        if self.norm is None or self.conv is None:
            return x, collected
        y = self.normed(F.relu(self.norm(x, self.maps.scale)))
        y = self.halved(self.conv(y, self.normed.scale), signed=True)
        return F.avg_pool2d(y, 2), collected


class QuantDenseNet(nn.Module):
    """`DenseNet` with the hardware's number formats; calibrate it before use."""

    def __init__(self, net: DenseNet) -> None:
        super().__init__()
        self.config = net.config
        self.input = ActivationQuantizer()
        self.stem = without_norm(net.stem)
        self.blocks = nn.ModuleList(
            QuantDenseBlock(block) for block in net.blocks if isinstance(block, DenseBlock)
        )
        self.last = ActivationQuantizer()  # of the last transition's average
        self.norm, self.normed = affine(net.norm), ActivationQuantizer()
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(net.fc)
        self.logits = ActivationQuantizer()
        self.early: list[Tensor] = []

    def dense_blocks(self) -> Iterator[QuantDenseBlock]:
        """The blocks in the order they run."""
        for block in self.blocks:
            assert isinstance(block, QuantDenseBlock)
            yield block

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits on the int8 grid [N, classes], and scores."""
        x, collected = self.stem(self.input(x, signed=True), self.input.scale), []
        for block in self.dense_blocks():
            x, scores = block(x)
            collected += scores
        last = self.blocks[-1]
        assert isinstance(last, QuantDenseBlock)
        scale = last.maps.scale
        if last.plan.transition:
            x, scale = self.last(x, signed=True), self.last.scale
        y = self.normed(F.relu(self.norm(x, scale)))
        pooled = self.pool(global_average_pool(y))
        logits = self.logits(self.fc(pooled, self.pool.scale), signed=True)
        return logits, collected if self.config.gated else []

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set every activation scale from batches of network input, float [N, Cin, H, W]."""
        calibrate_scales(self, batches)
