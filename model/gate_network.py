"""A gate that is a network of its own, in floating point: from a map to scores.

Its scores are binary, sigmoid(z) > 1/2, and trained straight through: forward they are what runs,
backward the sigmoid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gate_plan import GatePlan
from penstock.model.gates import Score, global_average_pool
from penstock.model.geometry import ConvPlan
from penstock.model.grouping import GroupingConv, settle, settled_groups
from penstock.model.squeeze import SqueezeExcite

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


def gate_conv(plan: ConvPlan) -> nn.Conv2d:
    """A gate network's convolution, plain or with learned groups."""
    if plan.grouping:
        return GroupingConv(plan.channels, plan.kernel, plan.stride)
    return plain_conv(plan)


# Probabilities stay within 1 - BOUND .. BOUND while they are sampled, so that all is tried
# (BlockDrop: alpha = 0.8).
BOUND = 0.8


class Decision(Score):
    """A gate network's last step, which REINFORCE samples (`penstock.model.reinforce`).

    With `draws`, float [N, outputs] in [0, 1), a score is 1 where a draw is below its probability;
    `runs` are these scores, `log_prob` the log probability of all that a draw >= 0 decided, [N].
    """

    kind = "binary"
    draws: Tensor | None = None
    runs: Tensor | None = None
    log_prob: Tensor | None = None

    def forward(self, z: Tensor) -> Tensor:
        """Scores 0 or 1 of z, float [N, outputs]."""
        if self.draws is None:
            return binary_score(z, self.training)
        draws = self.draws.to(z.device)
        chance = (1 - BOUND) + (2 * BOUND - 1) * torch.sigmoid(z)
        self.runs = (draws < chance).to(z.dtype).detach()
        taken = torch.where(self.runs > 0, chance, 1 - chance).log()
        self.log_prob = (taken * (draws >= 0)).sum(dim=1)
        return self.runs


class GateNet(nn.Module):
    """A gate network in floating point; groups that are learned are masks.

    `orders`: of each convolution's input channels, empty as they lie (`SettledLayer`).
    """

    def __init__(self, plan: GatePlan) -> None:
        super().__init__()
        self.plan = plan
        for number, conv in enumerate(plan.convs, start=1):
            self.add_module(f"conv{number}", gate_conv(conv))
            self.add_module(f"bn{number}", nn.BatchNorm2d(conv.channels))
        self.excite = None
        if plan.squeeze:
            self.excite = SqueezeExcite(plan.convs[plan.squeeze - 1].channels)
        self.fc = nn.Linear(plan.pooled, plan.outputs)
        nn.init.constant_(self.fc.bias, OPEN)
        self.decide = Decision()
        self.orders: list[tuple[int, ...]] = [() for _ in plan.convs]

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions with their batch norms."""
        numbers = range(1, len(self.plan.convs) + 1)
        return [(getattr(self, f"conv{n}"), getattr(self, f"bn{n}")) for n in numbers]

    @property
    def learns_groups(self) -> bool:
        """Whether any of its convolutions does."""
        return any(isinstance(conv, GroupingConv) for conv, _ in self.layers())

    def deployed(self) -> GateNet:
        """The same gate as it is exported: learned groups are groups, channels in the order that
        they need.  `prepare_qat` asks every module that has such a method."""
        if not self.learns_groups:
            return self
        layers, fc = settle(self.layers(), self.fc)
        gate = GateNet(self.settled_plan())
        for number, layer in enumerate(layers, start=1):
            gate.add_module(f"conv{number}", layer.conv)
            gate.add_module(f"bn{number}", layer.bn)
        if self.excite is not None:
            gate.excite = self.excite.reordered(layers[self.plan.squeeze - 1].lies)
        gate.orders, gate.fc = [layer.order for layer in layers], fc
        return gate.eval()

    def settled_plan(self) -> GatePlan:
        """The geometry with the groups that there are now."""
        convs = tuple(
            replace(plan, groups=settled_groups(conv), grouping=False)
            for plan, (conv, _) in zip(self.plan.convs, self.layers(), strict=True)
        )
        return replace(self.plan, convs=convs)

    def grouping_macs(self) -> Tensor:
        """MACs of the convolutions with learned groups, with gradients for their relations."""
        macs = self.fc.weight.new_zeros(())
        for plan, (conv, _) in zip(self.plan.convs, self.layers(), strict=True):
            if isinstance(conv, GroupingConv):
                macs = macs + plan.macs * conv.live_share()
        return macs

    def pooled(self, x: Tensor) -> Tensor:
        """What the fully connected layer sees: float [N, C, H, W] -> [N, pooled]."""
        x = F.max_pool2d(x, 2) if self.plan.halve else x
        for number, (conv, bn) in enumerate(self.layers(), start=1):
            order = self.orders[number - 1]
            x = x[:, list(order)] if order else x
            x = F.relu(bn(conv(x)))
            if self.excite is not None and number == self.plan.squeeze:
                x = self.excite(x)
        return global_average_pool(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, C, H, W] -> scores 0 or 1, [N, outputs]."""
        scores: Tensor = self.decide(self.fc(self.pooled(x)))
        return scores


class Router(GateNet):
    """A gate network with one output that decides between two experts."""

    def __init__(self, plan: GatePlan) -> None:
        super().__init__(plan)
        self.fc = nn.Linear(plan.pooled, 1)
        nn.init.zeros_(self.fc.bias)

    def choose(self, x: Tensor) -> Routed:
        """Map, float [N, C, H, W] -> what the two experts run with: z > 0 is the first's."""
        first = self(x)
        return Routed(x, (first, 1 - first))


class Routed(NamedTuple):
    """What a router hands to the experts behind it."""

    x: Tensor  # the map that both read, float [N, C, H, W]
    scores: tuple[Tensor, Tensor]  # float [N, 1], of which one is 1

    def expert(self, number: int) -> tuple[Tensor, Tensor]:
        """(score of an expert, float [N, 1], what it reads)."""
        return self.scores[number], self.x


class Source(nn.Module):
    """What an expert reads: in evaluation what runs, in training what its router read.

    Both are the same unless the expert is skipped; the gradient of the router's choice needs the
    second.
    """

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Two maps of one shape -> one of them."""
        return source if self.training else x
