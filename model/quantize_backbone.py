"""VGG16-BN and MobileNetV2 as the hardware computes them: fake-quantised, batch norms folded.

A unit that is added to its input shares that input's scale; every other one begins its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.backbones import Backbone, Unit, activate
from penstock.model.gates import global_average_pool
from penstock.model.networks import BlockScores
from penstock.model.quantize import calibrate_scales
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear


class QuantUnit(nn.Module):
    """A unit, quantised; `inner` quantise what all convolutions but the last hand on."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.plan = unit.plan
        pairs = zip(unit.convs, unit.bns, strict=True)
        self.convs = nn.ModuleList(QuantConv(conv, bn) for conv, bn in pairs)
        self.inner = nn.ModuleList(ActivationQuantizer() for _ in self.plan.convs[1:])
        self.shortcut: QuantConv | None = None
        if unit.shortcut is not None and unit.shortcut_bn is not None:
            self.shortcut = QuantConv(unit.shortcut, unit.shortcut_bn)

    @property
    def signed(self) -> bool:
        """Whether its output is int8: nothing limits it to what is not negative."""
        return self.plan.activations[-1] == "none"

    def forward(self, x: Tensor, before: ActivationQuantizer, after: ActivationQuantizer) -> Tensor:
        """Float [N, Cin, H, W] on `before`'s grid -> [N, C, H', W'] on `after`'s."""
        y, scale = x, before.scale
        *convs, last = self.convs
        for conv, quantizer, activation in zip(
            convs, self.inner, self.plan.activations, strict=False
        ):
            y, scale = quantizer(activate(conv(y, scale), activation)), quantizer.scale
        y = activate(last(y, scale), self.plan.activations[-1])
        if self.shortcut is not None:
            y = y + after(self.shortcut(x, before.scale), signed=True)
        elif self.plan.residual:
            y = y + x
        y = after(y, signed=self.signed)
        return F.max_pool2d(y, 2) if self.plan.pool else y  # stays on the grid


class QuantBackbone(nn.Module):
    """`Backbone` with the hardware's number formats; calibrate it before use."""

    def __init__(self, net: Backbone) -> None:
        super().__init__()
        self.config = net.config
        self.input = ActivationQuantizer()
        self.units = nn.ModuleList(QuantUnit(unit) for unit in net.units if isinstance(unit, Unit))
        self.outs = nn.ModuleList(
            ActivationQuantizer() for unit in self.units if not unit.plan.residual
        )
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(net.fc)
        self.logits = ActivationQuantizer()
        self.heads = nn.ModuleList(QuantLinear(cast(nn.Linear, head)) for head in net.heads)
        self.head_logits = ActivationQuantizer() if len(self.heads) else None
        self.early: list[Tensor] = []

    def steps(self) -> Iterable[tuple[QuantUnit, ActivationQuantizer, ActivationQuantizer]]:
        """(unit, quantiser of its input, quantiser of its output) in the order they run."""
        outs = iter(self.outs)
        before = self.input
        for unit in self.units:
            after = before if unit.plan.residual else next(outs)
            assert isinstance(unit, QuantUnit) and isinstance(after, ActivationQuantizer)
            yield unit, before, after
            before = after

    def _head(self, head: nn.Module, pooled: Tensor) -> Tensor:
        """Logits of a stage, on the int8 grid, from what it averages of all channels."""
        assert isinstance(head, QuantLinear) and self.head_logits is not None
        logits = head(pooled[:, : head.weight.shape[1]], self.pool.scale)
        return self.head_logits(logits, signed=True)

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits on the int8 grid [N, classes], no scores."""
        x = self.input(x, signed=True)
        for unit, before, after in self.steps():
            x = unit(x, before, after)
        pooled = self.pool(global_average_pool(x))
        self.early = [self._head(head, pooled) for head in self.heads]
        return self.logits(self.fc(pooled, self.pool.scale), signed=True), []

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set every activation scale from batches of network input, float [N, Cin, H, W]."""
        calibrate_scales(self, batches)
