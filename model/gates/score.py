"""Scores: what a gate makes of its pre-activation, and how it is trained.

Scores are binary, sigmoid(z) > 1/2, and trained straight through: forward they are what runs,
backward the sigmoid; or ReLU-1's, of which training sees the leaky form."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

# Slope outside [0, 1] while training: steep enough that a closed gate can reopen, shallow
# enough that a score of the training forward stays close to the strict one.
LEAK = 0.1
SCORE_ONE = 128  # scores are UQ1.7 in the core: 128 is exactly 1.0


def global_average_pool(x: Tensor) -> Tensor:
    """Mean over the map: float [N, C, H, W] -> float [N, C]."""
    return x.mean(dim=(2, 3))


def relu1(z: Tensor) -> Tensor:
    """Strict ReLU-1, clamp to [0, 1] (LC-Net, section 3.3.1, equation 5)."""
    return z.clamp(0.0, 1.0)


def leaky_relu1(z: Tensor) -> Tensor:
    """ReLU-1 with slope `LEAK` outside [0, 1] (LC-Net, section 3.3.1, figure 3)."""
    strict = relu1(z)
    return strict + LEAK * (z - strict)


class Score(nn.Module):
    """What a gate makes of its pre-activation; a score of 0 skips.  The kinds are below."""

    kind: Literal["relu1", "binary", "binary_or_equal", "sigmoid", "hard_sigmoid"]


class ReLU1(Score):
    """Strict ReLU-1 with the gradient of the leaky one, so that a closed gate can reopen."""

    kind = "relu1"

    def forward(self, z: Tensor) -> Tensor:
        """Pre-activation, any shape -> scores in [0, 1]."""
        return _limited(z, self.training)


def _limited(z: Tensor, training: bool) -> Tensor:
    """Strict ReLU-1, in training with the leaky one's gradient."""
    if not training:  # plain operators, as an exporter writes them
        return relu1(z)
    leaky = leaky_relu1(z)
    return relu1(z).detach() + (leaky - leaky.detach())


def hard_sigmoid_line(z: Tensor) -> Tensor:
    """What `torch.nn.Hardsigmoid` limits to 0 .. 1: z / 6 + 1/2."""
    return z / 6 + 0.5


class HardSigmoid(Score):
    """`torch.nn.Hardsigmoid`: skips from -3 down, is 1 from 3 on; its gradient is ReLU-1's."""

    kind = "hard_sigmoid"

    def forward(self, z: Tensor) -> Tensor:
        """Pre-activation, any shape -> scores in [0, 1]."""
        return _limited(hard_sigmoid_line(z), self.training)


class Step(Score):
    """1 where z > 0, else 0, with the sigmoid's gradient (straight through)."""

    kind = "binary"

    def forward(self, z: Tensor) -> Tensor:
        """Pre-activation, any shape -> scores 0 or 1."""
        hard = (z > 0).to(z.dtype)
        if not self.training:  # plain operators, as an exporter writes them
            return hard
        soft = torch.sigmoid(z)
        return hard + (soft - soft.detach())


class SigmoidScore(Score):
    """The sigmoid, which scales and never skips: squeeze-and-excite's."""

    kind = "sigmoid"

    def forward(self, z: Tensor) -> Tensor:
        """Pre-activation, any shape -> scores in (0, 1)."""
        return torch.sigmoid(z)


def binary_score(z: Tensor, training: bool) -> Tensor:
    """1 where sigmoid(z) > 1/2, else 0; in training with the sigmoid's gradient."""
    hard = (z > 0).to(z.dtype)
    if not training:
        return hard
    soft = torch.sigmoid(z)
    return hard + (soft - soft.detach())


class Sampled(Score):
    """A score that is random in training; a training step calls `draw` first."""

    def draw(self, images: int, generator: torch.Generator) -> None:
        """Random numbers for the next forward pass, of so many images."""
        raise NotImplementedError


# Probabilities stay within 1 - BOUND .. BOUND while they are sampled, so that all is tried
# (BlockDrop: alpha = 0.8).
BOUND = 0.8


class Decision(Score):
    """A gate network's last step, which REINFORCE samples (`penstock.model.train.reinforce`).

    With `draws`, float [N, outputs] in [0, 1), a score is 1 where a draw is below its probability;
    `runs` are these scores, `log_prob` the log probability of all that a draw >= 0 decided, [N].
    """

    kind = "binary"
    draws: Tensor | None = None
    runs: Tensor | None = None
    log_prob: Tensor | None = None

    def forward(self, z: Tensor) -> Tensor:
        """Scores 0 or 1 of z, float [N, outputs]."""
        if self.draws is None:
            return binary_score(z, self.training)
        draws = self.draws.to(z.device)
        chance = (1 - BOUND) + (2 * BOUND - 1) * torch.sigmoid(z)
        self.runs = (draws < chance).to(z.dtype).detach()
        taken = torch.where(self.runs > 0, chance, 1 - chance).log()
        self.log_prob = (taken * (draws >= 0)).sum(dim=1)
        return self.runs
