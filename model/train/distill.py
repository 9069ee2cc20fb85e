"""Distillation: a trained network's softened answers as a second target (Hinton, Vinyals, Dean:
*Distilling the knowledge in a neural network*, 2015, section 2)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.errors import CheckpointError
from penstock.model.networks.own import OwnConfig
from penstock.model.networks.registry import AnyConfig


class Teacher:
    """The floating-point network of a checkpoint, frozen; it sees what the student sees.

    `weight` is the share of the loss that its answers have, the labels have the rest; both
    networks' logits are divided by `temperature` before they are compared.
    """

    def __init__(
        self, path: Path, student: AnyConfig, device: str, weight: float, temperature: float
    ) -> None:
        network = student.factory if isinstance(student, OwnConfig) else None
        self.net = load_checkpoint(path, network).net.to(device, memory_format=torch.channels_last)
        self.weight, self.temperature = weight, temperature
        for field in ("in_channels", "input_size", "classes"):
            own, wanted = getattr(self.net.config, field), getattr(student, field)
            if own != wanted:
                raise CheckpointError(
                    f"{path}: the teacher's {field} is {own}, the network's is {wanted}",
                    "a teacher is trained on the same images",
                )

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Softened log-probabilities, float [N, classes], of network inputs."""
        logits, _ = self.net(images)
        return F.log_softmax(logits.float() / self.temperature, dim=1)

    def loss(self, logits: Tensor, labels: Tensor, answers: Tensor) -> Tensor:
        """Cross-entropy with the labels, and the divergence from `answers` times temperature
        squared, which keeps its gradients as large as the labels' ones."""
        own = F.log_softmax(logits / self.temperature, dim=1)
        apart = F.kl_div(own, answers, reduction="batchmean", log_target=True)
        hard = F.cross_entropy(logits, labels)
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * apart
