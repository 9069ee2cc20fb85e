"""The network as the hardware computes it: fake-quantised, batch norms folded.

There is one activation scale along each chain of skippable blocks (a skipped block is its
input in place); a block that changes the shape starts a new chain, and its shortcut, the
residual operand, uses that chain's scale as int8.  Nothing is rounded between a convolution
and the multiplication with its gate score: the hardware folds the score into the
requantisation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gate_network import Routed
from penstock.model.gates import global_average_pool
from penstock.model.networks import (
    BlockScores,
    LCNet,
    ResidualBlock,
    block_inputs,
    cnet_names,
    join_scores,
    policy_scores,
    pool_of_stem,
)
from penstock.model.quantize_gate import QuantGateNet, QuantRouter
from penstock.model.quantizers import (
    LEAST_SCALE,
    ZERO_SCALE,
    ActivationQuantizer,
    QuantConv,
    QuantLinear,
    identity_conv,
    quantize_score,
)
from penstock.model.split import head_widths


class QuantBlock(nn.Module):
    """A residual block, quantised; `conv1`, ..., `shortcut`, `lnet`, `cnet` are its layers, `gate`,
    `gate1`, ... its gate networks.

    `inner`, and `inner2` of a bottleneck, quantise what the last convolution but one, or
    two, hands on.
    """

    conv1: QuantConv
    conv2: QuantConv
    inner: ActivationQuantizer
    cnet: QuantLinear | None

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.plan = block.plan
        for number, (conv, bn) in enumerate(block.layers(), start=1):
            self.add_module(f"conv{number}", QuantConv(conv, bn))
        for name in self._inner_names():
            self.add_module(name, ActivationQuantizer())
        self.shortcut: QuantConv | None = None
        if block.shortcut is not None and block.shortcut_bn is not None:
            self.shortcut = QuantConv(block.shortcut, block.shortcut_bn)
        elif self.plan.changes_shape:
            self.shortcut = identity_conv(
                self.plan.in_channels, self.plan.channels, self.plan.stride
            )
        self.lnet = QuantLinear(block.lnet.fc) if block.lnet is not None else None
        self.gate = QuantGateNet(block.gate) if block.gate is not None else None
        self.router = QuantRouter(block.router) if block.router is not None else None
        for number in range(1, len(self.plan.convs) + 1):
            channel = getattr(block, f"gate{number}", None)
            if channel is not None:
                self.add_module(f"gate{number}", QuantGateNet(channel))
        self.cnet = None
        for name, cnet in zip(cnet_names(self.plan), block.cnets(), strict=False):
            setattr(self, name, QuantLinear(cnet.fc))
        gated = self.lnet is not None or self.cnet is not None
        self.pool = ActivationQuantizer() if gated else None

    def _inner_names(self) -> list[str]:
        return ["inner", "inner2"][: len(self.plan.convs) - 1]

    def layers(self) -> list[QuantConv]:
        """The convolutions of the residual branch, in order."""
        return [getattr(self, f"conv{n}") for n in range(1, len(self.plan.convs) + 1)]

    def inners(self) -> list[ActivationQuantizer]:
        """What quantises the output of each convolution but the last."""
        return [getattr(self, name) for name in self._inner_names()]

    def cnets(self) -> list[QuantLinear]:
        """The channel gates, one a gated convolution; empty without C-Net."""
        return [] if self.cnet is None else [getattr(self, n) for n in cnet_names(self.plan)]

    def block_score(self, x: Tensor, scale: Tensor, pooled: Tensor | None) -> Tensor | None:
        """The block's own score for its (quantised) input, float [N, 1]; None: open."""
        if self.gate is not None:
            return self.gate(x, scale)
        if self.lnet is None or self.pool is None:
            return None
        return quantize_score(self.lnet(pooled, self.pool.scale), self.training)

    def channel_score(
        self, number: int, y: Tensor, scale: Tensor, pooled: Tensor | None
    ) -> Tensor | None:
        """Scores of the outputs of convolution `number` (from 1), whose input is y; None: open."""
        gate = getattr(self, f"gate{number}", None)
        if gate is not None:
            return gate(y, scale)
        cnets = self.cnets()
        if number > len(cnets) or self.pool is None:
            return None
        return quantize_score(cnets[number - 1](pooled, self.pool.scale), self.training)

    def forward(
        self,
        x: Tensor,
        before: ActivationQuantizer,
        after: ActivationQuantizer,
        policy: Tensor | None = None,
        source: Tensor | None = None,
    ) -> tuple[Tensor, BlockScores]:
        """Float [N, Cin, H, W] on `before`'s grid -> [N, C, H', W'] on `after`'s, scores.

        `policy` and `source` as in `ResidualBlock.forward`.
        """
        pooled = None if self.pool is None else self.pool(global_average_pool(x))  # [N, Cin]
        block = self.block_score(x, before.scale, pooled) if policy is None else policy
        shortcut = x
        if self.shortcut is not None:
            shortcut = after(self.shortcut(x, before.scale), signed=True)
        channels: list[Tensor] = []
        y, scale = x if source is None else source, before.scale
        for number, (conv, quantizer) in enumerate(
            zip(self.layers(), [*self.inners(), None], strict=True), start=1
        ):
            score = self.channel_score(number, y, scale, pooled)
            y = conv(y, scale) if quantizer is None else F.relu(conv(y, scale))
            if score is not None:
                channels.append(score)
                y = y * score[:, :, None, None]
            if quantizer is not None:
                y, scale = quantizer(y), quantizer.scale
        if block is not None:
            y = y * block[:, :, None, None]  # [N, C, H', W']
        return after(F.relu(y + shortcut)), join_scores(self.plan, x, block, channels)


class QuantLCNet(nn.Module):
    """`LCNet` with the hardware's number formats; calibrate it before use."""

    def __init__(self, net: LCNet) -> None:
        super().__init__()
        self.config = net.config
        self.input = ActivationQuantizer()
        self.conv = QuantConv(net.conv, net.bn)
        self.chains = nn.ModuleList(ActivationQuantizer() for _ in net.config.widths)
        self.blocks = nn.ModuleList(
            QuantBlock(block) for block in net.blocks if isinstance(block, ResidualBlock)
        )
        # The stem is on the first stage's chain unless that stage changes the shape at once.
        first = self.blocks[0].plan
        self.stem_chain = ActivationQuantizer() if first.changes_shape else None
        self.pool = ActivationQuantizer()
        self.fc = QuantLinear(net.fc)
        self.logits = ActivationQuantizer()
        self.policy = QuantGateNet(net.policy) if net.policy is not None else None
        self.exit_blocks = net.exit_blocks
        self.heads = nn.ModuleList(QuantLinear(cast(nn.Linear, head)) for head in net.heads)
        self.head_pools = nn.ModuleList(ActivationQuantizer() for _ in net.exit_blocks)
        self.head_logits = ActivationQuantizer() if net.config.early_exits else None
        self.early: list[Tensor] = []

    def first_chain(self) -> ActivationQuantizer:
        """The quantiser of the stem's output."""
        chain = self.stem_chain if self.stem_chain is not None else self.chains[0]
        assert isinstance(chain, ActivationQuantizer)
        return chain

    def head_pool(self, index: int) -> ActivationQuantizer:
        """What quantises the average that an exit's head reads: that of the next block's gates.

        So both are one vector in the core; without gates it has its own, and the stages of a
        split network share the last one's.
        """
        if self.config.split is not None:
            return self.pool
        following = self.blocks[self.exit_blocks[index] + 1]
        own = self.head_pools[index]
        pool = following.pool if isinstance(following.pool, ActivationQuantizer) else own
        assert isinstance(pool, ActivationQuantizer)
        return pool

    def _exit(self, pooled: Tensor) -> Tensor:
        """Logits of the next early exit, on the int8 grid: float [N, classes].

        `pooled`: its average, quantised, float [N, C].
        """
        index = len(self.early)
        assert self.head_logits is not None
        logits = self.heads[index](pooled, self.head_pool(index).scale)
        return self.head_logits(logits, signed=True)

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits on the int8 grid [N, classes], scores."""
        collected: list[BlockScores] = []
        self.early = []
        before = self.first_chain()
        x = self.input(x, signed=True)
        decided = self.policy(x, self.input.scale) if self.policy is not None else None
        x = before(F.relu(self.conv(x, self.input.scale)))  # [N, widths[0], H, W]
        if self.config.stem == "imagenet":
            x = pool_of_stem(x)  # stays on the grid
        policies = policy_scores(decided, self.config)
        routed: Routed | None = None
        for index, (block, policy) in enumerate(zip(self.blocks, policies, strict=True)):
            after = self.chains[block.plan.stage]
            if block.router is not None:
                routed = Routed(x, block.router(x, before.scale))
            x, scores = block(x, before, after, *block_inputs(block.plan, policy, routed))
            before = after
            if self.config.gated:
                collected.append(scores)
            if index in self.exit_blocks:
                pool = self.head_pool(len(self.early))
                self.early.append(self._exit(pool(global_average_pool(x))))
        pooled = self.pool(global_average_pool(x))  # [N, out_channels]
        if self.config.split is not None:
            for width in head_widths(self.config)[:-1]:
                self.early.append(self._exit(pooled[:, :width]))
        logits = self.fc(pooled, self.pool.scale)  # [N, classes]
        return self.logits(logits, signed=True), collected

    def quantizers(self) -> list[ActivationQuantizer]:
        """Every activation quantiser once; one along a chain."""
        return [m for m in self.modules() if isinstance(m, ActivationQuantizer)]

    def learn_scales(self) -> None:
        """Make all activation scales parameters for fine-tuning, from their calibrated values.

        Call it after `calibrate` and before the optimiser is made, and `fix_scales` afterwards:
        checkpoints and exports hold constants.
        """
        for quantizer in self.quantizers():
            quantizer.learn()

    def fix_scales(self) -> None:
        """Make learned activation scales constants; nothing happens to others."""
        for quantizer in self.quantizers():
            if quantizer.learning:
                quantizer.fix()

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Set every activation scale from batches of network input, float [N, Cin, H, W]."""
        calibrate_scales(self, batches)


@torch.no_grad()
def calibrate_scales(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every activation scale of a quantised network from batches of its input.

    Runs twice: a layer's bias grid depends on its input's scale, which the first run has yet to
    find.
    """
    quantizers = [m for m in net.modules() if isinstance(m, ActivationQuantizer)]
    inputs = list(batches)
    was_training = net.training
    net.eval()
    for quantizer in quantizers:
        quantizer.scale.fill_(LEAST_SCALE)
        quantizer.observing = True
    for _ in range(2):
        for batch in inputs:
            net(batch)
    for quantizer in quantizers:
        quantizer.observing = False
        if quantizer.scale <= LEAST_SCALE:
            quantizer.scale.fill_(ZERO_SCALE)
    net.train(was_training)
