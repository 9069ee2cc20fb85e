"""Distillation: a trained network's softened answers as a second target (Hinton, Vinyals, Dean:
*Distilling the knowledge in a neural network*, 2015, section 2)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.checkpoint.foreign import foreign_network, is_foreign, pixels_of
from penstock.model.data.dataset import Dataset
from penstock.model.errors import CheckpointError
from penstock.model.networks.own import OwnConfig
from penstock.model.networks.registry import AnyConfig, AnyNet


class Teacher:
    """The floating-point network of a file, frozen; it sees what the student sees.

    A checkpoint, or a ResNet's state dict of others (`penstock.model.checkpoint.foreign`).
    `weight` is the share of the loss that its answers have, the labels have the rest; both
    networks' logits are divided by `temperature` before they are compared.  Images come as `data`
    normalises them; where the teacher was trained with another mean and standard deviation, it
    gets them with those.
    """

    def __init__(
        self,
        path: Path,
        student: AnyConfig,
        data: Dataset,
        device: str,
        weight: float,
        temperature: float,
    ) -> None:
        self.net = _network(path, student).to(device, memory_format=torch.channels_last)
        self.weight, self.temperature = weight, temperature
        for field in ("in_channels", "input_size", "classes"):
            own, wanted = getattr(self.net.config, field), getattr(student, field)
            if own != wanted:
                raise CheckpointError(
                    f"{path}: the teacher's {field} is {own}, the network's is {wanted}",
                    "a teacher is trained on the same images",
                )
        theirs, seen = _pixels(pixels_of(path)), _pixels((data.mean, data.std))
        # (x * seen std + seen mean - theirs) / their std
        self.scale = (seen[1] / theirs[1]).to(device)
        self.offset = ((seen[0] - theirs[0]) / theirs[1]).to(device)
        self.same_pixels = torch.equal(theirs, seen)

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Softened log-probabilities, float [N, classes], of network inputs."""
        if not self.same_pixels:
            images = images * self.scale + self.offset
        logits, _ = self.net(images)
        return F.log_softmax(logits.float() / self.temperature, dim=1)

    def loss(self, logits: Tensor, hard: Tensor, answers: Tensor) -> Tensor:
        """Of `hard`, the loss of the labels, and of the divergence from `answers` times temperature
        squared, which keeps its gradients as large as the labels' ones."""
        own = F.log_softmax(logits / self.temperature, dim=1)
        apart = F.kl_div(own, answers, reduction="batchmean", log_target=True)
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * apart


def _network(path: Path, student: AnyConfig) -> AnyNet:
    """The network of a file, in evaluation mode."""
    if is_foreign(path):
        return foreign_network(path, student.input_size).eval()
    factory = student.factory if isinstance(student, OwnConfig) else None
    return load_checkpoint(path, factory).net


def _pixels(moments: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Mean and standard deviation of pixels: float [2, C] -> [2, 1, C, 1, 1]."""
    return torch.tensor(moments)[:, None, :, None, None]
