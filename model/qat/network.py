"""The quantised twin of a traced module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, fx, nn

from penstock.model.qat.layers import GateScore
from penstock.model.quantize import calibrate_scales
from penstock.model.quantizers import ActivationQuantizer


class QatNetwork(nn.Module):
    """A module with the hardware's number formats; `calibrate` it before use, then fine-tune.

    `image_shape`: (C, H, W) of its input.
    """

    def __init__(self, graph: fx.GraphModule, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.net = graph
        self.image_shape = image_shape

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images, float [N, C, H, W] -> logits on the int8 grid, or (early exits..., logits)."""
        outputs: tuple[Tensor, ...] = self.net(x)
        return outputs if len(outputs) > 1 else outputs[0]

    def gates(self) -> Iterator[tuple[str, GateScore]]:
        """The gates by name; `scores` of each are those of the last forward pass."""
        for name, module in self.net.named_modules():
            if isinstance(module, GateScore):
                yield name, module

    def quantizers(self) -> list[ActivationQuantizer]:
        """Every activation scale once."""
        return [m for m in self.modules() if isinstance(m, ActivationQuantizer)]

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set every activation scale from batches of network input, float [N, C, H, W]."""
        calibrate_scales(self, batches)

    def learn_scales(self) -> None:
        """Make all activation scales parameters for fine-tuning, from their calibrated values."""
        for quantizer in self.quantizers():
            quantizer.learn()

    def fix_scales(self) -> None:
        """Make learned activation scales constants, as an export needs them."""
        for quantizer in self.quantizers():
            if quantizer.learning:
                quantizer.fix()
