"""The network as the hardware computes it: fake-quantised, batch norms folded.

There is one activation scale along each chain of skippable blocks (a skipped block is its
input in place); a down-sampling block starts a new chain, and its projected shortcut, the
residual operand, uses that chain's scale as int8.  Nothing is rounded between a convolution
and the multiplication with its gate score: the hardware folds the score into the
requantisation.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates import global_average_pool
from penstock.model.networks import BasicBlock, BlockScores, LCNet
from penstock.model.quantizers import (
    ActivationQuantizer,
    QuantConv,
    QuantLinear,
    quantize_score,
)


class QuantBlock(nn.Module):
    """A basic block, quantised; `conv1`, `conv2`, `shortcut`, `lnet`, `cnet` are its layers."""

    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.plan = block.plan
        self.conv1 = QuantConv(block.conv1, block.bn1)
        self.conv2 = QuantConv(block.conv2, block.bn2)
        self.inner = ActivationQuantizer()
        self.shortcut: QuantConv | None = None
        if block.shortcut is not None and block.shortcut_bn is not None:
            self.shortcut = QuantConv(block.shortcut, block.shortcut_bn)
        self.lnet = QuantLinear(block.lnet.fc) if block.lnet is not None else None
        self.cnet = QuantLinear(block.cnet.fc) if block.cnet is not None else None
        self.pool = ActivationQuantizer() if block.lnet is not None else None

    def scores(self, x: Tensor) -> BlockScores | None:
        """Scores on the UQ1.7 grid for the block's (quantised) input, or None."""
        if self.lnet is None or self.cnet is None or self.pool is None:
            return None
        pooled = self.pool(global_average_pool(x))  # [N, Cin], uint8
        return BlockScores(
            quantize_score(self.lnet(pooled, self.pool.scale), self.training),
            quantize_score(self.cnet(pooled, self.pool.scale), self.training),
        )

    def forward(
        self, x: Tensor, before: ActivationQuantizer, after: ActivationQuantizer
    ) -> tuple[Tensor, BlockScores | None]:
        """Float [N, Cin, H, W] on `before`'s grid -> [N, C, H', W'] on `after`'s, scores."""
        scores = self.scores(x)
        shortcut = x
        if self.shortcut is not None:
            shortcut = after(self.shortcut(x, before.scale), signed=True)
        y = F.relu(self.conv1(x, before.scale))  # [N, C, H', W']
        if scores is not None:
            y = y * scores.channels[:, :, None, None]
        y = self.conv2(self.inner(y), self.inner.scale)  # [N, C, H', W']
        if scores is not None:
            y = y * scores.block[:, :, None, None]
        return after(F.relu(y + shortcut)), scores


class QuantLCNet(nn.Module):
    """`LCNet` with the hardware's number formats; calibrate it before use."""

    def __init__(self, net: LCNet) -> None:
        super().__init__()
        self.config = net.config
        self.input = ActivationQuantizer()
        self.conv = QuantConv(net.conv, net.bn)
        self.chains = nn.ModuleList(ActivationQuantizer() for _ in net.config.widths)
        self.blocks = nn.ModuleList(
            QuantBlock(block) for block in net.blocks if isinstance(block, BasicBlock)
        )
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(net.fc)
        self.logits = ActivationQuantizer()

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits on the int8 grid [N, classes], scores."""
        collected: list[BlockScores] = []
        before = self.chains[0]
        x = self.input(x, signed=True)
        x = before(F.relu(self.conv(x, self.input.scale)))  # [N, widths[0], H, W]
        for block in self.blocks:
            after = self.chains[block.plan.stage]
            x, scores = block(x, before, after)
            before = after
            if scores is not None:
                collected.append(scores)
        pooled = self.pool(global_average_pool(x))  # [N, widths[-1]]
        logits = self.fc(pooled, self.pool.scale)  # [N, classes]
        return self.logits(logits, signed=True), collected

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set every activation scale from batches of network input, float [N, Cin, H, W].

        Runs twice: a layer's bias grid depends on its input's scale, which the first run
        has yet to find.
        """
        quantizers = [m for m in self.modules() if isinstance(m, ActivationQuantizer)]
        inputs = list(batches)
        was_training = self.training
        self.eval()
        for quantizer in quantizers:
            quantizer.scale.fill_(1e-6)
            quantizer.observing = True
        for _ in range(2):
            for batch in inputs:
                self(batch)
        for quantizer in quantizers:
            quantizer.observing = False
        self.train(was_training)
