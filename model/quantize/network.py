"""The quantised twin of a traced module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from penstock.model.errors import DataError
from penstock.model.quantize.layers import GateScore
from penstock.model.quantize.quantizers import LEAST_SCALE, ZERO_SCALE, ActivationQuantizer


class QatNetwork(nn.Module):
    """A module with the hardware's number formats; `calibrate` it before use, then fine-tune.

    `image_shape`: (C, H, W) of its input; `scored`: path of each score in `net` -> the node of the
    traced module that it stands for.
    """

    def __init__(
        self, graph: fx.GraphModule, image_shape: tuple[int, ...], scored: dict[str, str]
    ) -> None:
        super().__init__()
        self.net = graph
        self.image_shape = image_shape
        self.scored = scored

    def forward(self, x: Tensor) -> Any:
        """Images, float [N, C, H, W] -> what the module returns, its logits on the int8 grid."""
        return self.net(x)

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
        """Set every activation scale from batches of network input, float [N, C, H, W].

        Runs twice: a layer's bias grid depends on its input's scale, which the first run has yet
        to find.

        Raises:
            DataError: no image, or NaN or infinity in one.
        """
        inputs, was_training = [batch for batch in batches if len(batch)], self.training
        if not inputs:
            raise DataError("there is no image to calibrate with", "a hundred typical ones do")
        if not all(bool(torch.isfinite(batch).all()) for batch in inputs):
            raise DataError("an image to calibrate with holds NaN or infinity", "leave it out")
        self.eval()
        for quantizer in self.quantizers():
            quantizer.scale.fill_(LEAST_SCALE)
            quantizer.observing = True
        for batch in [*inputs, *inputs]:
            self.net(batch)
        for quantizer in self.quantizers():
            quantizer.observing = False
            if quantizer.scale <= LEAST_SCALE:
                quantizer.scale.fill_(ZERO_SCALE)
        self.train(was_training)

    def learn_scales(self) -> None:
        """Make all activation scales parameters for fine-tuning, from their calibrated values."""
        for quantizer in self.quantizers():
            quantizer.learn()

    def fix_scales(self) -> None:
        """Make learned activation scales constants, as an export needs them."""
        for quantizer in self.quantizers():
            if quantizer.learning:
                quantizer.fix()
