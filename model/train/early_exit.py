"""Early exits as BranchyNet has them (Teerapittayanon et al. 2016): a classifier head behind a
stage, trained with the network, and thresholds that a validation split chooses.

An image ends at the first exit whose largest softmax reaches its threshold.  The heads are a
global average and a linear layer: what a DENSE of the core does in the shadow of the stage's last
convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from penstock.model.data.dataset import Dataset
from penstock.model.networks.densenet import DenseNet
from penstock.model.networks.registry import AnyNet
from penstock.model.quantize.twin import QuantNetwork

VALIDATION_SHARE = 0.15  # of the training images
SPLIT_VALIDATION_SHARE = 0.1  # the same for split networks: 5,000 of CIFAR's 50,000, as S2DNAS has
EVAL_BATCH = 256
#: Thresholds that are tried, the same at every exit.
CANDIDATES = tuple(step / 100 for step in range(50, 100)) + (0.995, 0.999)


def joint_loss(early: Sequence[Tensor], loss: Callable[[Tensor], Tensor], weight: float) -> Tensor:
    """What the exits add to the loss: `weight` times the sum of `loss` over their logits."""
    return weight * torch.stack([loss(logits.float()) for logits in early]).sum()


def split_validation(
    data: Dataset, seed: int, share: float = VALIDATION_SHARE
) -> tuple[Dataset, Dataset]:
    """The data with a share of the training images taken out, and that share as a test set."""
    count = len(data.train_labels)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    size = round(share * count)
    held, kept = order[:size], order[size:]
    train = replace(
        data, train_images=data.train_images[kept], train_labels=data.train_labels[kept]
    )
    validation = replace(
        data, test_images=data.train_images[held], test_labels=data.train_labels[held]
    )
    return train, validation


@torch.no_grad()
def inherit_heads(net: AnyNet) -> None:
    """Start the classifiers of a split network's stages from what the last one has for them."""
    assert not isinstance(net, DenseNet)
    for head in net.heads:
        assert isinstance(head, nn.Linear)
        head.weight.copy_(net.fc.weight[:, : head.in_features])
        head.bias.copy_(net.fc.bias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExitLogits:
    """Logits of every exit, the network's own last, over a test set, and the labels."""

    logits: list[Tensor]  # float [N, classes] each
    labels: Tensor  # int64 [N]

    def taken(self, thresholds: Sequence[float]) -> Tensor:
        """The exit of every image, int64 [N]; the number of early exits: none."""
        taken = torch.full_like(self.labels, len(self.logits) - 1)
        for index in reversed(range(len(thresholds))):
            confident = self.logits[index].softmax(dim=1).amax(dim=1) >= thresholds[index]
            taken[confident] = index
        return taken

    def accuracy(self, thresholds: Sequence[float]) -> float:
        """Share of the images that their exit gets right."""
        labels = torch.stack([logits.argmax(dim=1) for logits in self.logits])
        chosen = labels.gather(0, self.taken(thresholds)[None])[0]
        return float((chosen == self.labels).double().mean())


@torch.no_grad()
def exit_logits(net: AnyNet | QuantNetwork, data: Dataset, device: str = "cpu") -> ExitLogits:
    """Run the test set of `data`; the network is left in evaluation mode."""
    net.eval()
    parts: list[list[Tensor]] = []
    for images in data.test_images.split(EVAL_BATCH):
        logits, _ = net(data.normalize(images).to(device))
        parts.append([each.float().cpu() for each in (*net.early, logits)])
    logits = [torch.cat(part) for part in zip(*parts, strict=True)]
    return ExitLogits(logits=logits, labels=data.test_labels)


def choose_thresholds(found: ExitLogits, tolerance: float) -> list[float]:
    """The least threshold, the same at every exit, that loses at most `tolerance` of accuracy.

    Against the network without exits, on the images of `found`; the strictest candidate where all
    of them lose more.
    """
    exits = len(found.logits) - 1
    least = found.accuracy([2.0] * exits) - tolerance
    for threshold in CANDIDATES:
        if found.accuracy([threshold] * exits) >= least:
            return [threshold] * exits
    return [CANDIDATES[-1]] * exits
