"""Gates: what decides which blocks and channels run.

`ChannelGate` and `BlockGate` are layers for a network of one's own: they read a map and give scores
to multiply another map with.  L-Net and C-Net are LC-Net's, which share one global average of the
block's input (LC-Net, section 3.3).
"""

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


class Gate(nn.Module):
    """Fully connected layer -> ReLU-1: leaky in training, strict in evaluation.

    With `strict` the training's values are the strict ones too, and only their gradient is the
    leaky one's (straight through).  A leaky score of a closed gate is not zero, so what is trained
    without it is not what runs: LC-Net ResNet-20 on CIFAR-10 fell from 93 % on its training
    batches to 78 % in evaluation.
    """

    strict = False

    def __init__(self, channels: int, outputs: int, bias: float) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, outputs)
        nn.init.normal_(self.fc.weight, std=0.1 / channels**0.5)
        nn.init.constant_(self.fc.bias, bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled input, float [N, C] -> scores, float [N, outputs]."""
        z = self.fc(pooled)
        if not self.training:
            return relu1(z)
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


class Score(nn.Module):
    """What a gate makes of its pre-activation; a score of 0 skips.  The kinds are below."""

    kind: Literal["relu1", "binary", "binary_or_equal", "sigmoid"]


class ReLU1(Score):
    """Strict ReLU-1 with the gradient of the leaky one, so that a closed gate can reopen."""

    kind = "relu1"

    def forward(self, z: Tensor) -> Tensor:
        """Pre-activation, any shape -> scores in [0, 1]."""
        if not self.training:  # plain operators, as an exporter writes them
            return relu1(z)
        leaky = leaky_relu1(z)
        return relu1(z).detach() + (leaky - leaky.detach())


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


class PooledGate(nn.Module):
    """Global average -> fully connected -> score, shaped to multiply a map with.

    `outputs` scores an image; the kinds of gates are below.
    """

    def __init__(self, channels: int, outputs: int, *, kind: str, bias: float) -> None:
        super().__init__()
        kinds: dict[str, type[Score]] = {"relu1": ReLU1, "binary": Step}
        if kind not in kinds:
            raise ValueError(f"a gate of kind {kind!r}; one of {sorted(kinds)}")
        self.fc = nn.Linear(channels, outputs)
        self.score = kinds[kind]()
        nn.init.normal_(self.fc.weight, std=0.1 / channels**0.5)
        nn.init.constant_(self.fc.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map, float [N, channels, H, W] -> scores, float [N, outputs, 1, 1]."""
        scores: Tensor = self.score(self.fc(global_average_pool(x)))
        return scores[:, :, None, None]


class ChannelGate(PooledGate):
    """One score an output channel of a convolution: `y = relu(bn(conv(x))) * gate(x)`.

    Channels whose score is 0 are neither computed nor is their share of the weights fetched, in
    this convolution and in the one that reads its result.  `kind`: "relu1" (LC-Net's C-Net) or
    "binary".
    """

    def __init__(self, channels: int, outputs: int, *, kind: str = "relu1") -> None:
        super().__init__(channels, outputs, kind=kind, bias=0.5)


class BlockGate(PooledGate):
    """One score an image of a residual branch: `y = relu(x + branch(x) * gate(x))`.

    At score 0 the branch is skipped whole, and the block is its input.  `kind` as in `ChannelGate`.
    """

    def __init__(self, channels: int, *, kind: str = "relu1") -> None:
        super().__init__(channels, 1, kind=kind, bias=1.0)
