"""Figures of a network on a test set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from penstock.model.data.dataset import Dataset
from penstock.model.macs.count import dense_macs, executed_macs
from penstock.model.networks.registry import AnyNet
from penstock.model.networks.scores import BlockScores
from penstock.model.quantize.twin import QuantNetwork, network_gates
from penstock.model.stages.split import exit_macs

EVAL_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A network on a test set: accuracy in [0, 1], MACs an image, and all gate scores."""

    accuracy: float
    dense_macs: int
    executed_macs: float  # mean over the images, gates included
    executed_macs_without_gates: float
    scores: list[BlockScores]  # one a block, over all images

    @property
    def mac_ratio(self) -> float:
        """Executed (gates included) over dense MACs."""
        return self.executed_macs / self.dense_macs


@torch.no_grad()
def evaluate(net: AnyNet | QuantNetwork, data: Dataset, device: str = "cpu") -> Evaluation:
    """Accuracy and executed MACs on the test set; the network is left in evaluation mode.

    Without exits: every image runs to the network's end, a split one through all its stages.
    """
    net.eval()
    logits, batches = [], []
    for images in data.test_images.split(EVAL_BATCH):
        out, scores = net(data.normalize(images).to(device))
        logits.append(out.cpu())
        batches.append([BlockScores(s.block.cpu(), s.channels.cpu()) for s in scores])
    correct = torch.cat(logits).argmax(dim=1) == data.test_labels
    joined = [
        BlockScores(torch.cat([s.block for s in block]), torch.cat([s.channels for s in block]))
        for block in zip(*batches, strict=True)
    ]
    dense = dense_macs(net.config)
    total = backbone = float(dense if net.config.split is None else exit_macs(net.config)[-1])
    if joined:
        count = executed_macs(net.config, joined, gates=network_gates(net))
        total = float(count.total.double().mean())
        backbone = float(count.backbone.double().mean())
    return Evaluation(
        accuracy=float(correct.double().mean()),
        dense_macs=dense,
        executed_macs=total,
        executed_macs_without_gates=backbone,
        scores=joined,
    )
