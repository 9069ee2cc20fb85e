"""DenseNet in floating point: every layer reads all maps of its block so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.dense_geometry import DenseBlockPlan, DenseNetConfig
from penstock.model.families import channel_gate
from penstock.model.gate_network import GateNet, plain_conv
from penstock.model.gates import global_average_pool
from penstock.model.geometry import BlockPlan
from penstock.model.networks import BlockScores, Decided, Outputs, joined_scores


class DenseLayer(nn.Module):
    """One layer: the channels that it adds.  `gate2` reads what its 1x1 reads, masks its 3x3."""

    def __init__(self, plan: BlockPlan, config: DenseNetConfig) -> None:
        super().__init__()
        self.plan = plan
        first, second = plan.convs
        self.norm = nn.BatchNorm2d(first.in_channels)
        self.conv1, self.bn1 = plain_conv(first), nn.BatchNorm2d(first.channels)
        self.conv2 = plain_conv(second)
        gate = channel_gate(config, plan, 2)
        self.gate2 = GateNet(gate) if gate is not None else None

    def forward(self, x: Tensor) -> tuple[Tensor, Decided]:
        """Float [N, C, H, W] of all maps so far -> [N, growth, H, W], and its scores."""
        y = F.relu(self.norm(x))
        score = None if self.gate2 is None else self.gate2(y)  # [N, growth]
        y = self.conv2(F.relu(self.bn1(self.conv1(y))))
        if score is None:
            return y, (None, [])
        return y * score[:, :, None, None], (None, [score])


class DenseBlock(nn.Module):
    """The layers of a block, and the transition behind it."""

    def __init__(self, plan: DenseBlockPlan, config: DenseNetConfig) -> None:
        super().__init__()
        self.plan = plan
        layers = plan.layer_plans(config.gated)
        self.layers = nn.ModuleList(DenseLayer(layer, config) for layer in layers)
        self.norm: nn.BatchNorm2d | None = None
        self.conv: nn.Conv2d | None = None
        if plan.transition:
            self.norm = nn.BatchNorm2d(plan.channels)
            self.conv = plain_conv(plan.transition_conv())

    def forward(self, x: Tensor) -> tuple[Tensor, list[Decided]]:
        """Float [N, in_channels, H, W] -> [N, out_channels, H', W'], and the layers' scores."""
        collected: list[Decided] = []
        for layer in self.layers:
            y, scores = layer(x)
            x = torch.cat([x, y], dim=1)
            collected.append(scores)
        if self.norm is None or self.conv is None:
            return x, collected
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2), collected


class DenseNet(nn.Module):
    """Stem, blocks, then BN - ReLU, a global average and one fully connected layer.

    `early`: it has no early exits.
    """

    early: list[Tensor]

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = plain_conv(config.stem_plan())
        self.blocks = nn.ModuleList(DenseBlock(plan, config) for plan in config.blocks())
        self.norm = nn.BatchNorm2d(config.out_channels)
        self.fc = nn.Linear(config.out_channels, config.classes)
        self.early = []
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits, float [N, classes], and scores layer by layer;
        none without gates."""
        (logits,), decided = self.outputs(x)
        return logits, joined_scores(self.config, x, decided)

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((logits,), what the gates decided), for the trace."""
        collected: list[Decided] = []
        x = self.stem(x)
        for block in self.blocks:
            x, scores = block(x)
            collected += scores
        return (self.fc(global_average_pool(F.relu(self.norm(x)))),), collected


def build_densenet(config: DenseNetConfig, seed: int) -> DenseNet:
    """A freshly initialised network; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DenseNet(config)
