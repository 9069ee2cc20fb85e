"""Modules of a quantised graph beside those of `penstock.model.quantize.quantizers`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from penstock.model.gates.score import Decision, binary_score, hard_sigmoid_line
from penstock.model.quantize.quantizers import quantize_score, sigmoid_score

Kind = Literal["relu1", "binary", "binary_or_equal", "sigmoid", "hard_sigmoid"]


class GateScore(Decision):
    """Pre-activation of a gate -> score on the grid 0/128 .. 128/128, with gradients.

    `binary`: 1 where z > 0; `binary_or_equal`: where z >= 0.  `scores`: of the last forward pass.
    """

    scores: Tensor | None

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind  # type: ignore[assignment]
        self.scores = None

    def forward(self, z: Tensor) -> Tensor:
        """Float, any shape -> the same."""
        if self.kind == "relu1":
            scores = quantize_score(z, self.training)
        elif self.kind == "hard_sigmoid":
            scores = quantize_score(hard_sigmoid_line(z), self.training)
        elif self.kind == "sigmoid":
            scores = sigmoid_score(z)
        elif self.kind == "binary":
            scores = super().forward(z)
        else:
            scores = 1 - binary_score(-z, self.training)
        self.scores = scores
        return scores

    def extra_repr(self) -> str:
        """The kind."""
        return self.kind


@torch.no_grad()
def settled_norm(
    bn: nn.BatchNorm2d | nn.BatchNorm1d | None, bias: Tensor | None, outputs: int
) -> nn.BatchNorm2d:
    """What follows the weights of a layer as one batch norm with statistics: bias and norm."""
    settled = nn.BatchNorm2d(outputs, eps=0.0)  # fresh: mean 0, variance 1
    if bn is not None:
        mean, variance = bn.running_mean, bn.running_var
        if mean is None or variance is None:
            raise ValueError("keeps no running statistics (track_running_stats=False)")
        settled.eps = bn.eps
        settled.running_mean, settled.running_var = mean.clone(), variance.clone()
        if bn.affine:
            settled.weight.copy_(bn.weight)
            settled.bias.copy_(bn.bias)
    if bias is not None and settled.running_mean is not None:
        settled.running_mean -= bias
    return settled


@torch.no_grad()
def folded_linear(linear: nn.Linear, bn: nn.BatchNorm1d | None) -> nn.Linear:
    """A fully connected layer with a bias, its batch norm folded in."""
    norm = settled_norm(bn, linear.bias, linear.out_features)
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    gain = norm.weight / torch.sqrt(variance + norm.eps)
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight.copy_(linear.weight * gain[:, None])
    folded.bias.copy_(norm.bias - mean * gain)
    return folded


def channelwise(channels: int) -> nn.Conv2d:
    """A depthwise 1x1 convolution that changes nothing."""
    conv = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
    nn.init.ones_(conv.weight)
    return conv
