"""A network of the caller's with the interface of the zoo's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from penstock.model.networks import BlockScores, Outputs
from penstock.model.own.outputs import Returned, score_layers, tensors, values_of
from penstock.model.qat.trace import shape_of

if TYPE_CHECKING:
    from penstock.model.own.config import OwnConfig


class OwnNet(nn.Module):
    """The caller's module, `net`, and what its gates decided.

    `early`: logits of the early exits, float [N, classes] each, from the last forward pass.
    """

    early: list[Tensor]

    def __init__(self, net: nn.Module, config: OwnConfig, found: Returned) -> None:
        super().__init__()
        self.net, self.config, self.found = net, config, found
        owner = found.own.graph.owning_module
        assert owner is not None
        self.score_nodes = score_layers(owner)
        self.early = []

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, C, H, W] -> logits, float [N, classes], and scores, one a gate."""
        known: dict[str, Tensor] = {}
        handles = [
            self.net.get_submodule(path).register_forward_hook(_keeper(known, name))
            for path, name in self.score_nodes.items()
        ]
        try:
            logits = self.logits(x)
        finally:
            for handle in handles:
                handle.remove()
        *self.early, last = logits
        return last, gate_scores(self.found, known, x)

    def logits(self, x: Tensor) -> list[Tensor]:
        """Images -> early exits' logits and the network's own."""
        given = tensors(self.net(x))
        return [given[index] for index in self.found.logits]

    def outputs(self, x: Tensor) -> Outputs:
        """The same as the zoo's networks have it, for an exporter: scores are left out."""
        return tuple(self.logits(x)), []


def gate_scores(found: Returned, known: dict[str, Tensor], like: Tensor) -> list[BlockScores]:
    """The scores of every gate; of one that no layer gave, open."""
    values = values_of(found.scores, known)
    rows = zip(values, found.scores, found.whole, strict=True)
    return [_scores(value, shape_of(node)[1], whole, like) for value, node, whole in rows]


def parts_of(scores: Sequence[BlockScores]) -> dict[tuple[int, int | None], Tensor]:
    """Scores by what they are of, see `penstock.model.work`: a block, or channels."""
    found: dict[tuple[int, int | None], Tensor] = {}
    for index, own in enumerate(scores):
        found[index, None], found[index, 0] = own.block, own.channels
    return found


def _scores(value: Tensor | None, width: int, whole: bool, like: Tensor) -> BlockScores:
    count = len(like)
    ones, none = like.new_ones(count, 1), like.new_ones(count, 0)
    if value is None:
        value = like.new_ones(count, width)
    return BlockScores(value, none) if whole else BlockScores(ones, value)


def _keeper(known: dict[str, Tensor], name: str) -> Any:
    def keep(module: nn.Module, given: Any, scores: Tensor) -> None:
        known[name] = scores.float() if torch.is_autocast_enabled() else scores

    return keep
