"""A gate that is a network of its own, in floating point: from a map to scores.

Its scores are binary, sigmoid(z) > 1/2, and trained straight through: forward they are what runs,
backward the sigmoid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gate_plan import GatePlan
from penstock.model.gates import global_average_pool
from penstock.model.geometry import ConvPlan

# All gates start open, where the sigmoid still has three quarters of its slope.
OPEN = 1.0


def binary_score(z: Tensor, training: bool) -> Tensor:
    """1 where sigmoid(z) > 1/2, else 0; in training with the sigmoid's gradient."""
    hard = (z > 0).to(z.dtype)
    if not training:
        return hard
    soft = torch.sigmoid(z)
    return hard + (soft - soft.detach())


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


class GateNet(nn.Module):
    """A gate network in floating point."""

    def __init__(self, plan: GatePlan) -> None:
        super().__init__()
        self.plan = plan
        for number, conv in enumerate(plan.convs, start=1):
            self.add_module(f"conv{number}", plain_conv(conv))
            self.add_module(f"bn{number}", nn.BatchNorm2d(conv.channels))
        self.fc = nn.Linear(plan.pooled, plan.outputs)
        nn.init.constant_(self.fc.bias, OPEN)

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions with their batch norms."""
        numbers = range(1, len(self.plan.convs) + 1)
        return [(getattr(self, f"conv{n}"), getattr(self, f"bn{n}")) for n in numbers]

    def pooled(self, x: Tensor) -> Tensor:
        """What the fully connected layer sees: float [N, C, H, W] -> [N, pooled]."""
        x = F.max_pool2d(x, 2) if self.plan.halve else x
        for conv, bn in self.layers():
            x = F.relu(bn(conv(x)))
        return global_average_pool(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, C, H, W] -> scores 0 or 1, [N, outputs]."""
        return binary_score(self.fc(self.pooled(x)), self.training)
