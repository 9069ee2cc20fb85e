"""What every network has in common, and how networks of one kind are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from penstock.model.networks.scores import BlockScores, Outputs, joined_scores
from penstock.model.plans.network import NetworkGeometry


class Network(nn.Module):
    """A floating-point network made from its configuration.

    `early`: logits of the early exits, float [N, classes] each, from the last forward pass;
    `heads`: what gives them.
    """

    config: NetworkGeometry
    early: list[Tensor]
    fc: nn.Linear

    def __init__(self, config: NetworkGeometry) -> None:
        super().__init__()
        self.config = config
        self.early = []

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes], and block scores.

        The list has one entry a block in the order they run, and is empty without gates.
        """
        (*self.early, logits), decided = self.outputs(x)
        return logits, joined_scores(self.config, x, decided)

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((early exits..., logits), what the gates decided), for the trace."""
        raise NotImplementedError

    def start(self) -> None:
        """Fresh weights of every convolution, as He et al. have them."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def exit_heads(widths: Sequence[int], classes: int) -> nn.ModuleList:
    """Classifiers of early exits that average so many channels each."""
    return nn.ModuleList(nn.Linear(width, classes) for width in widths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How networks of one kind are made; `name` is part of each one's name and in checkpoints."""

    name: str
    config: type[NetworkGeometry]
    net: type[Network]
    parse: Callable[[str], Any]
    shape: Callable[[Any, int, tuple[int, int]], Any]  # for images: channels, (height, width)


def shaped(config: Any, in_channels: int, input_size: tuple[int, int]) -> Any:
    """The same network for other images: the `shape` of a kind that has nothing else to change."""
    return replace(config, in_channels=in_channels, input_size=input_size)


def build(kind: type[Network], config: Any, seed: int) -> Any:
    """A freshly initialised network; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)
