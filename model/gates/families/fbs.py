"""FBS, feature boosting and suppression (Gao et al., ICLR 2019): the k most salient channels run.

On the input of every convolution that can be masked: its average, one fully connected layer, a
ReLU give each output channel's saliency.  The winners run and are multiplied by their saliency.

The core has no sort.  In training, the winners of an image are the `rate` largest, and what they
are multiplied by is how far they are above the largest that lost, at most 1; that bound is averaged
over the images.  Trained, it is a constant, the same for all images: so their number of winners
differs, and the gate is one dense layer with ReLU-1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.gates.score import ReLU1, Score, leaky_relu1, relu1
from penstock.model.plans.layers import ConvPlan

BOUND = "decide.bound"  # in a gate's state
MOMENTUM = 0.1  # of the running bound, as a batch norm's
SPREAD = 1.0  # of the weights at the start, over the root of their number: scores of half the range


def gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The gate of one convolution, whose input has `in_size`."""
    return gate_plan(name, conv.in_channels, in_size, (), conv.channels)


class Winners(Score):
    """Saliencies -> scores in [0, 1] of those above a bound, 0 of the others.

    `rate`: share of an image's channels that win in training.  `bound`: float [1], the mean of the
    largest saliencies that lost.
    """

    kind = "relu1"
    rate = 0.5
    bound: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bound", torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        """Float [N, C] -> [N, C]."""
        if not self.training:
            return relu1(z - self.bound)
        lost = self._lost(z.detach())
        with torch.no_grad():
            self.bound.lerp_(lost.mean(dim=0).to(self.bound), MOMENTUM)
        leaky = leaky_relu1(z - lost)
        return relu1(z - lost).detach() + (leaky - leaky.detach())

    def _lost(self, z: Tensor) -> Tensor:
        """The largest of each image's saliencies that lost, float [N, 1]; 0 where none has to."""
        winners = max(round(self.rate * z.shape[1]), 1)
        if winners >= z.shape[1]:
            return z.new_zeros(len(z), 1)
        return z.topk(winners + 1, dim=1).values[:, -1:]


class Salient(GateNet):
    """A gate network whose scores are `Winners`."""

    def __init__(self, plan: GatePlan) -> None:
        super().__init__(plan)
        nn.init.normal_(self.fc.weight, std=SPREAD / self.fc.in_features**0.5)
        self.decide = Winners()

    @torch.no_grad()
    def deployed(self) -> GateNet:
        """The gate net that has the bound in its bias."""
        assert isinstance(self.decide, Winners)
        gate = GateNet(self.plan).to(self.fc.weight.device)
        gate.decide = ReLU1()
        bound = {"fc.bias": self.fc.bias - self.decide.bound}
        known = {name: value for name, value in self.state_dict().items() if name != BOUND}
        gate.load_state_dict(known | bound)
        return gate.eval()
