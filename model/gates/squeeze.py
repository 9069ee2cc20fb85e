"""Squeeze-and-excite (Hu et al., CVPR 2018) inside a gate network, as ACS-DG has it (section 3.2).

A map times a score a channel: the sigmoid of two dense layers, a ReLU between them, on the map's
average.  The score is a true sigmoid, which scales and decides nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates.score import global_average_pool

REDUCTION = 4  # channels for each hidden one; the authors have 16, on maps of 64 and more


class SqueezeExcite(nn.Module):
    """The block in floating point."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = hidden_channels(channels)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, C, H, W] -> the same, every channel times its score."""
        y = F.relu(self.squeeze(global_average_pool(x)))  # [N, hidden]
        return x * torch.sigmoid(self.excite(y))[:, :, None, None]

    @torch.no_grad()
    def reordered(self, channels: tuple[int, ...]) -> SqueezeExcite:
        """The block for a map whose channel i is channel channels[i] of this one's."""
        copy = SqueezeExcite(len(channels))
        copy.squeeze.weight.copy_(self.squeeze.weight[:, channels])
        copy.squeeze.bias.copy_(self.squeeze.bias)
        copy.excite.weight.copy_(self.excite.weight[list(channels)])
        copy.excite.bias.copy_(self.excite.bias[list(channels)])
        return copy


def hidden_channels(channels: int) -> int:
    """Outputs of the first dense layer."""
    return max(channels // REDUCTION, 1)
