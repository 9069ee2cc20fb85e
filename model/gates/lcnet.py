"""LC-Net's gates: a block's and its channels', which share one global average of the block's input
(LC-Net, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from penstock.model.gates.score import leaky_relu1, relu1


class Gate(nn.Module):
    """Fully connected layer -> ReLU-1: leaky in training, strict in evaluation.

    With `strict` the training's values are the strict ones too, and only their gradient is the
    leaky one's (straight through).  A leaky score of a closed gate is not zero, so what is trained
    without it is not what runs: LC-Net ResNet-20 on CIFAR-10 fell from 93 % on its training
    batches to 78 % in evaluation.
    """

    strict = False
    noise = 0.0  # on the sums in training: its standard deviation
    drawn: Tensor | None = None

    def __init__(self, channels: int, outputs: int, bias: float) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, outputs)
        nn.init.normal_(self.fc.weight, std=0.1 / channels**0.5)
        nn.init.constant_(self.fc.bias, bias)

    def start(self, bias: float | None, spread: float | None) -> None:
        """Fresh numbers: every bias, and the deviation of the sums of averages of deviation 1."""
        if bias is not None:
            nn.init.constant_(self.fc.bias, bias)
        if spread is not None:
            nn.init.normal_(self.fc.weight, std=spread / self.fc.in_features**0.5)

    def draw(self, images: int, generator: torch.Generator) -> None:
        """Noise for the next forward pass in training, if there is to be any."""
        shape = images, self.fc.out_features
        self.drawn = self.noise * torch.randn(shape, generator=generator) if self.noise else None

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled input, float [N, C] -> scores, float [N, outputs]."""
        z = self.fc(pooled)
        if not self.training:
            return relu1(z)
        if self.drawn is not None:
            z = z + self.drawn.to(z)
        leaky = leaky_relu1(z)
        return relu1(z).detach() + (leaky - leaky.detach()) if self.strict else leaky


class LNet(Gate):
    """Block gate: one score an image, [N, 1] (LC-Net, section 3.1)."""

    def __init__(self, channels: int) -> None:
        # Blocks start fully open: a block closed early starves its own channel gate.
        super().__init__(channels, 1, bias=1.0)


class CNet(Gate):
    """Channel gate: one score an output channel, [N, outputs] (LC-Net, section 3.2)."""

    def __init__(self, channels: int, outputs: int) -> None:
        # Channels start half open, where ReLU-1 has its full slope in both directions.
        super().__init__(channels, outputs, bias=0.5)
