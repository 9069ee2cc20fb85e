"""Routers: gate networks that choose between two experts."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan


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
