"""A gate that is a network of its own, in floating point: from a map to scores.

Its scores are binary, sigmoid(z) > 1/2, and trained straight through: forward they are what runs,
backward the sigmoid.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates.grouping import GroupingConv, settle, settled_groups
from penstock.model.gates.plan import GatePlan
from penstock.model.gates.score import Decision, Score, global_average_pool
from penstock.model.gates.squeeze import SqueezeExcite
from penstock.model.plans.layers import ConvPlan, plain_conv

# All gates start open, where the sigmoid still has three quarters of its slope.
OPEN = 1.0


def gate_conv(plan: ConvPlan) -> nn.Conv2d:
    """A gate network's convolution, plain or with learned groups."""
    if plan.grouping:
        return GroupingConv(plan.channels, plan.kernel, plan.stride)
    return plain_conv(plan)


class GateNet(nn.Module):
    """A gate network in floating point; groups that are learned are masks.

    `orders`: of each convolution's input channels, empty as they lie (`SettledLayer`).
    """

    def __init__(self, plan: GatePlan) -> None:
        super().__init__()
        self.plan = plan
        self.convs = nn.ModuleList(gate_conv(conv) for conv in plan.convs)
        self.bns = nn.ModuleList(nn.BatchNorm2d(conv.channels) for conv in plan.convs)
        self.excite = None
        if plan.squeeze:
            self.excite = SqueezeExcite(plan.convs[plan.squeeze - 1].channels)
        self.hidden = nn.Linear(plan.pooled, plan.hidden) if plan.hidden else None
        self.fc = nn.Linear(plan.hidden or plan.pooled, plan.outputs)
        nn.init.constant_(self.fc.bias, OPEN)
        self.decide: Score = Decision()
        self.orders: list[tuple[int, ...]] = [() for _ in plan.convs]

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions with their batch norms."""
        return list(zip(self.convs, self.bns, strict=True))  # type: ignore[arg-type]

    @property
    def learns_groups(self) -> bool:
        """Whether any of its convolutions does."""
        return any(isinstance(conv, GroupingConv) for conv, _ in self.layers())

    def deployed(self) -> GateNet:
        """The same gate as it is exported: learned groups are groups, channels in the order that
        they need.  `prepare_qat` asks every module that has such a method."""
        if not self.learns_groups or self.fc.weight.is_meta:
            return self
        layers, fc = settle(self.layers(), self.fc)
        gate = GateNet(self.settled_plan())
        gate.convs = nn.ModuleList(layer.conv for layer in layers)
        gate.bns = nn.ModuleList(layer.bn for layer in layers)
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
        """What the last layer sees: float [N, C, H, W] -> [N, pooled], or [N, hidden]."""
        x = F.max_pool2d(x, 2) if self.plan.halve else x
        for number, (conv, bn) in enumerate(self.layers(), start=1):
            order = self.orders[number - 1]
            x = x[:, list(order)] if order else x
            x = F.relu(bn(conv(x)))
            if self.excite is not None and number == self.plan.squeeze:
                x = self.excite(x)
        pooled = global_average_pool(x)
        return pooled if self.hidden is None else F.relu(self.hidden(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, C, H, W] -> scores, [N, outputs]."""
        scores: Tensor = self.decide(self.fc(self.pooled(x)))
        return scores
