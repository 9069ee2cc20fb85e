"""Convolutions some of whose links are missing: what `split` leaves of a static network's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from penstock.model.plans.layers import ConvPlan, plain_conv
from penstock.model.plans.network import NetworkGeometry
from penstock.model.stages.split import SplitConv, split_convs


class MaskedConv(nn.Conv2d):
    """A convolution whose weights count where `live` is 1 only.

    Parameters are those of the whole convolution, so that it starts from a static network's and
    one call computes every stage; the mask is no part of the state.
    """

    live: Tensor

    def __init__(self, split: SplitConv) -> None:
        plan = split.plan
        super().__init__(
            plan.in_channels,
            plan.channels,
            plan.kernel,
            stride=plan.stride,
            padding=plan.kernel // 2,
            groups=plan.groups,
            bias=False,
        )
        self.split = split
        self.register_buffer("live", split.live(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, Cin, H, W] -> float [N, C, H', W']."""
        return self._conv_forward(x, self.weight * self.live, self.bias)


def linked_weight(conv: nn.Conv2d) -> Tensor:
    """The weights of a convolution, those of missing links at 0."""
    return conv.weight * conv.live if isinstance(conv, MaskedConv) else conv.weight


def backbone_conv(plan: ConvPlan, config: NetworkGeometry) -> nn.Conv2d:
    """A convolution of the backbone, masked if the network is split."""
    return linked_conv(plan, None if config.split is None else split_convs(config))


def linked_conv(plan: ConvPlan, convs: Mapping[str, SplitConv] | None) -> nn.Conv2d:
    """A convolution, masked by what `convs` say of it; None: the network is not split."""
    return plain_conv(plan) if convs is None else MaskedConv(convs[plan.name])
