"""A gate network as the hardware computes it: ordinary convolutions, then a BINARY gate."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gate_network import Deciding, GateNet, Router, router_scores
from penstock.model.gate_plan import GatePlan
from penstock.model.gates import global_average_pool
from penstock.model.quantizers import (
    ActivationQuantizer,
    QuantConv,
    QuantLinear,
    sigmoid_score,
)
from penstock.model.squeeze import SqueezeExcite


def network_gates(net: nn.Module) -> list[GatePlan]:
    """The gate networks of a float or quantised network, with the groups they have learned."""
    gates = [module for module in net.modules() if isinstance(module, GateNet | QuantGateNet)]
    return [gate.settled_plan() for gate in gates]


class QuantSqueezeExcite(nn.Module):
    """`SqueezeExcite`, fake-quantised; its result has a scale of its own, `out`."""

    def __init__(self, block: SqueezeExcite) -> None:
        super().__init__()
        self.pool = ActivationQuantizer()
        self.squeeze = QuantLinear(block.squeeze)
        self.hidden = ActivationQuantizer()
        self.excite = QuantLinear(block.excite)
        self.out = ActivationQuantizer()

    def forward(self, x: Tensor) -> Tensor:
        """Quantised map, float [N, C, H, W] -> the same on `out`'s grid."""
        pooled = self.pool(global_average_pool(x))
        y = self.hidden(F.relu(self.squeeze(pooled, self.pool.scale)))
        scores = sigmoid_score(self.excite(y, self.hidden.scale))
        return self.out(x * scores[:, :, None, None])


class QuantGateNet(Deciding):
    """`GateNet`, fake-quantised, batch norms folded, groups settled.

    `orders`: of each convolution's input channels (`SettledLayer`).
    """

    def __init__(self, gate: GateNet) -> None:
        super().__init__()
        self.plan = gate.settled_plan()
        layers, fc = gate.settled()
        self.orders = [layer.order for layer in layers]
        for number, layer in enumerate(layers, start=1):
            self.add_module(f"conv{number}", QuantConv(layer.conv, layer.bn))
            self.add_module(f"out{number}", ActivationQuantizer())
        block = gate.settled_excite(layers)
        self.excite = None if block is None else QuantSqueezeExcite(block)
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(fc)

    def settled_plan(self) -> GatePlan:
        """Its geometry: groups are settled before the quantisation."""
        return self.plan

    def layers(self) -> list[tuple[QuantConv, ActivationQuantizer]]:
        """The convolutions, and what quantises their outputs."""
        numbers = range(1, len(self.plan.convs) + 1)
        return [(getattr(self, f"conv{n}"), getattr(self, f"out{n}")) for n in numbers]

    def decide(self, x: Tensor, scale: Tensor) -> Tensor:
        """Quantised map at `scale`, float [N, C, H, W] -> what the threshold sees, [N, n]."""
        x = F.max_pool2d(x, 2) if self.plan.halve else x
        for number, (conv, quantizer) in enumerate(self.layers(), start=1):
            order = self.orders[number - 1]
            x = x[:, list(order)] if order else x
            x = quantizer(F.relu(conv(x, scale)))
            scale = quantizer.scale
            if self.excite is not None and number == self.plan.squeeze:
                x, scale = self.excite(x), self.excite.out.scale
        pooled = self.pool(global_average_pool(x))
        return self.fc(pooled, self.pool.scale)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Quantised map at `scale`, float [N, C, H, W] -> scores 0 or 1, [N, outputs]."""
        return self.score(self.decide(x, scale))


class QuantRouter(QuantGateNet):
    """`Router`, fake-quantised."""

    def __init__(self, gate: Router) -> None:
        super().__init__(gate)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Quantised map at `scale`, float [N, C, H, W] -> scores 0 or 1, [N, 2]."""
        return router_scores(self.decide(x, scale), self.training)
