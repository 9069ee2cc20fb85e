"""ConvNet-AIG (Veit, Belongie, ECCV 2018): a gate on every block, two logits of a hidden layer.

The average of the block's input, a fully connected layer of 16 with a ReLU, another to two logits:
skip, run.  The larger decides.  In training both have Gumbel noise, and the gradient is that of
the softmax (straight through); their difference then has logistic noise.  As exported, one output
is left: z1 - z0 > 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.gates.score import Sampled, binary_score
from penstock.model.plans.layers import BlockPlan

HIDDEN = 16
BIAS = (0.1, 2.0)  # of skip and run: blocks start open, 87 % of them under the noise


def gate(plan: BlockPlan) -> GatePlan:
    """On the block's input, a score for the block."""
    return gate_plan(f"{plan.name}.gate", plan.in_channels, plan.in_size, (), 1, hidden=HIDDEN)


class Gumbel(Sampled):
    """1 where z1 - z0 > 0; in training with the noise of the last `draw`, and the gradient of
    softmax at temperature 1."""

    kind = "binary"
    noise: Tensor | None = None

    def draw(self, images: int, generator: torch.Generator) -> None:
        """Noise for the next forward pass: the difference of two Gumbel numbers an image."""
        share = torch.rand(images, 1, generator=generator).clamp(1e-6, 1 - 1e-6)
        self.noise = torch.logit(share)

    def forward(self, z: Tensor) -> Tensor:
        """Float [N, 1] -> scores 0 or 1, [N, 1]."""
        if self.training and self.noise is not None:
            z = z + self.noise.to(z)
        return binary_score(z, self.training)


class TwoLogits(GateNet):
    """A gate network with logits for skip and run."""

    def __init__(self, plan: GatePlan) -> None:
        super().__init__(plan)
        self.fc = nn.Linear(self.fc.in_features, 2)
        with torch.no_grad():
            self.fc.bias.copy_(torch.tensor(BIAS))
        self.decide = Gumbel()

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, C, H, W] -> scores 0 or 1, [N, 1]."""
        z = self.fc(self.pooled(x))
        scores: Tensor = self.decide(z[:, 1:] - z[:, :1])
        return scores

    @torch.no_grad()
    def deployed(self) -> GateNet:
        """The gate net whose one output is the difference of both logits."""
        gate = GateNet(self.plan).to(self.fc.weight.device)
        difference = {
            f"fc.{name}": both[1:] - both[:1] for name, both in self.fc.named_parameters()
        }
        gate.load_state_dict(self.state_dict() | difference)
        return gate.eval()
