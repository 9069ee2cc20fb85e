"""Gates for a network of one's own: they read a map and give scores to multiply another with."""

from __future__ import annotations

from torch import Tensor, nn

from penstock.model.gates.score import HardSigmoid, ReLU1, Score, Step, global_average_pool


class PooledGate(nn.Module):
    """Global average -> fully connected -> score, shaped to multiply a map with.

    `outputs` scores an image; the kinds of gates are below.
    """

    def __init__(self, channels: int, outputs: int, *, kind: str, bias: float) -> None:
        super().__init__()
        kinds: dict[str, type[Score]]
        kinds = {"relu1": ReLU1, "binary": Step, "hard_sigmoid": HardSigmoid}
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
    this convolution and in the one that reads its result.  `kind`: "relu1" (LC-Net's C-Net),
    "binary" or "hard_sigmoid".
    """

    def __init__(self, channels: int, outputs: int, *, kind: str = "relu1") -> None:
        super().__init__(channels, outputs, kind=kind, bias=0.5)


class BlockGate(PooledGate):
    """One score an image of a residual branch: `y = relu(x + branch(x) * gate(x))`.

    At score 0 the branch is skipped whole, and the block is its input.  `kind` as in `ChannelGate`.
    """

    def __init__(self, channels: int, *, kind: str = "relu1") -> None:
        super().__init__(channels, 1, kind=kind, bias=1.0)
