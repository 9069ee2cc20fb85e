"""A gate network as the hardware computes it: ordinary convolutions, then a BINARY gate."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gate_network import GateNet, binary_score
from penstock.model.gates import global_average_pool
from penstock.model.quantizers import ActivationQuantizer, QuantConv, QuantLinear


class QuantGateNet(nn.Module):
    """`GateNet`, fake-quantised, batch norms folded."""

    def __init__(self, gate: GateNet) -> None:
        super().__init__()
        self.plan = gate.plan
        for number, (conv, bn) in enumerate(gate.layers(), start=1):
            self.add_module(f"conv{number}", QuantConv(conv, bn))
            self.add_module(f"out{number}", ActivationQuantizer())
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(gate.fc)

    def layers(self) -> list[tuple[QuantConv, ActivationQuantizer]]:
        """The convolutions, and what quantises their outputs."""
        numbers = range(1, len(self.plan.convs) + 1)
        return [(getattr(self, f"conv{n}"), getattr(self, f"out{n}")) for n in numbers]

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Quantised map at `scale`, float [N, C, H, W] -> scores 0 or 1, [N, outputs]."""
        x = F.max_pool2d(x, 2) if self.plan.halve else x
        for conv, quantizer in self.layers():
            x = quantizer(F.relu(conv(x, scale)))
            scale = quantizer.scale
        pooled = self.pool(global_average_pool(x))
        return binary_score(self.fc(pooled, self.pool.scale), self.training)
