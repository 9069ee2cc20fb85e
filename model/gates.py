"""L-Net and C-Net: the gates that decide which blocks and channels run.

Both read one shared global average pooling of the block's input (LC-Net, section 3.3).
"""

from __future__ import annotations

from torch import Tensor, nn

# Slope outside [0, 1] while training: steep enough that a closed gate can reopen, shallow
# enough that a score of the training forward stays close to the strict one.
LEAK = 0.1


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
