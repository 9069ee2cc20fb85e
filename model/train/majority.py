"""LC-Net's gates fixed at what they decide for most images: the static network beside a dynamic.

What gating is worth is the accuracy that is left between both at the same cost, after the fixed one
was trained on as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.model.data.dataset import Dataset
from penstock.model.errors import ConfigError
from penstock.model.gates.lcnet import Gate
from penstock.model.macs.count import kept
from penstock.model.networks.network import Network

IMAGES = 4096  # of the training set, the first
BATCH = 256
CLOSED = -1.0  # a sum whose score is 0, quantised or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """Scores of gates by what they depend on, over a set of images."""

    open: int
    closed: int
    dependent: int


@torch.no_grad()
def fix_gates(net: Network, data: Dataset) -> Liveness:
    """Fix every gate in place; open ones at their mean score over the images that open them.

    `net` is left in evaluation mode.  Raises ConfigError of a network without such gates.
    """
    gates = [module for module in net.modules() if isinstance(module, Gate)]
    if not gates:
        raise ConfigError(f"{net.config.name} has no gates of LC-Net to fix", "leave fix_gates out")
    net.eval()
    device = next(net.parameters()).device
    with _collected(gates) as found:
        for images in data.train_images[:IMAGES].split(BATCH):
            net(data.normalize(images).to(device))
    counted = [0, 0, 0]
    for gate, parts in zip(gates, found, strict=True):
        scores = torch.cat(parts)  # [N, outputs]
        opened = kept(scores)
        share = opened.double().mean(dim=0)
        mean = (scores * opened).sum(dim=0) / opened.sum(dim=0).clamp(min=1)
        gate.fc.weight.zero_()
        gate.fc.bias.copy_(torch.where(share >= 0.5, mean, torch.full_like(mean, CLOSED)))
        kinds = (share == 1, share == 0, (share > 0) & (share < 1))
        counted = [count + int(kind.sum()) for count, kind in zip(counted, kinds, strict=True)]
    return Liveness(open=counted[0], closed=counted[1], dependent=counted[2])


@contextmanager
def _collected(gates: list[Gate]) -> Iterator[list[list[Tensor]]]:
    """The scores that each gate gives while this is open."""
    found: list[list[Tensor]] = [[] for _ in gates]

    def keep(into: list[Tensor]) -> object:
        def hook(module: nn.Module, given: object, scores: Tensor) -> None:
            into.append(scores)

        return hook

    handles = [
        gate.register_forward_hook(keep(into))  # type: ignore[arg-type]
        for gate, into in zip(gates, found, strict=True)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
