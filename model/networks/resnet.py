"""ResNets with gates, in floating point: basic and bottleneck blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates.experts import Routed, Router, Source
from penstock.model.gates.families import (
    block_gate,
    channel_gate,
    expert_router,
    gate_net,
    policy_gate,
)
from penstock.model.gates.lcnet import CNet, LNet
from penstock.model.gates.score import global_average_pool
from penstock.model.networks.network import Kind, Network, exit_heads
from penstock.model.networks.resnet_config import (
    ResNetConfig,
    exit_blocks,
    parse_resnet,
    resnet_for_images,
    stem_plan,
)
from penstock.model.networks.scores import BlockScores, Decided, Outputs, join_scores
from penstock.model.plans.layers import BlockPlan
from penstock.model.plans.network import block_plans
from penstock.model.stages.masked_conv import backbone_conv
from penstock.model.stages.split import head_widths


def pool_of_stem(x: Tensor) -> Tensor:
    """The 3x3 max-pool of stride 2 behind a 7x7 stem: [N, C, H, W] -> [N, C, H', W']."""
    return F.max_pool2d(x, 3, stride=2, padding=1)


class ResidualBlock(nn.Module):
    """x -> relu(F(x) * S_L + shortcut(x)) (LC-Net, section 3.3, figure 4).

    F is conv1, bn1, relu, ... up to the last convolution, which has no ReLU of its own:
    two 3x3 for a basic block, 1x1, 3x3, 1x1 for a bottleneck.  The output of a gated
    convolution, conv1 unless configured otherwise, is scaled by S_C behind its ReLU.  All
    gates of LC-Net read the same pooled input.

    Other families' gates are networks: `gate` reads x and decides the block, each of `gates` reads
    the input of the convolution whose number, from 0, is its key, and masks its output.
    """

    def __init__(self, plan: BlockPlan, config: ResNetConfig) -> None:
        super().__init__()
        self.plan = plan
        self.convs = nn.ModuleList(backbone_conv(conv, config) for conv in plan.convs)
        self.bns = nn.ModuleList(nn.BatchNorm2d(conv.channels) for conv in plan.convs)
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_bn: nn.Module | None = None
        if plan.shortcut is not None:
            self.shortcut = backbone_conv(plan.shortcut, config)
            self.shortcut_bn = nn.BatchNorm2d(plan.shortcut.channels)
        missing = plan.channels - plan.in_channels  # zeros before and behind, without a projection
        before = missing // 2 if config.shortcuts == "centred" else 0
        self.zeros = before, missing - before
        self.lnet = LNet(plan.in_channels) if config.block_gates else None
        gate = block_gate(config, plan)
        self.gate = gate_net(config, gate) if gate is not None else None
        router = expert_router(config, plan)
        self.router = Router(router) if router is not None else None
        self.source = Source() if plan.expert is not None else None
        channel = {index: channel_gate(config, plan, index + 1) for index in range(len(plan.convs))}
        self.gates = nn.ModuleDict(
            {str(n): gate_net(config, gate) for n, gate in channel.items() if gate is not None}
        )
        self.cnets = nn.ModuleList()  # of the first convolutions
        if config.channel_gates:
            self.cnets.extend(CNet(plan.in_channels, conv.channels) for conv in plan.gated)

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions of F with their batch norms."""
        return list(zip(self.convs, self.bns, strict=True))  # type: ignore[arg-type]

    def block_score(self, x: Tensor, pooled: Tensor | None, policy: Tensor | None) -> Tensor | None:
        """The block's score, float [N, 1]: of a policy, a gate network or an L-Net; None: open."""
        if policy is not None or self.gate is not None:
            return policy if self.gate is None else self.gate(x)
        return self.lnet(pooled) if self.lnet is not None else None

    def skip(self, x: Tensor) -> Tensor:
        """The shortcut: identity, projection, or every second pixel and zero channels."""
        if self.shortcut is not None and self.shortcut_bn is not None:
            return self.shortcut_bn(self.shortcut(x))  # [N, C, H', W']
        if not self.plan.changes_shape:
            return x
        stride = self.plan.stride
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, *self.zeros))

    def forward(
        self, x: Tensor, policy: Tensor | None = None, source: Tensor | None = None
    ) -> tuple[Tensor, BlockScores]:
        """Float [N, Cin, H, W] -> float [N, C, H', W'] and the gate scores.

        `policy`: the block's score, float [N, 1], if something else decides it.  `source`: what F
        reads instead of x, where both are the same unless the score is 0.
        """
        y, decided = self.run(x, policy, source)
        return y, join_scores(self.plan, x, *decided)

    def run(
        self, x: Tensor, policy: Tensor | None = None, source: Tensor | None = None
    ) -> tuple[Tensor, Decided]:
        """The same with the scores of the gates that there are."""
        lc = self.lnet is not None or len(self.cnets) > 0
        pooled = global_average_pool(x) if lc else None  # [N, Cin]
        block = self.block_score(x, pooled, policy)
        masks = dict(enumerate([cnet(pooled) for cnet in self.cnets]))
        shortcut = self.skip(x)  # [N, C, H', W']
        layers, channels = self.layers(), []
        y = x if self.source is None or source is None else self.source(x, source)
        for index, (conv, bn) in enumerate(layers):
            key = str(index)
            score = self.gates[key](y) if key in self.gates else masks.get(index)
            y = bn(conv(y))
            y = F.relu(y) if index < len(layers) - 1 else y
            if score is not None:
                channels.append(score)
                y = y * score[:, :, None, None]
        if block is not None:
            y = y * block[:, :, None, None]  # [N, C, H', W']
        return F.relu(y + shortcut), (block, channels)


class ResNet(Network):
    """A ResNet; plain when `config.gates` is "none".  `policy`, if there, decides every block.

    All stages of a split network are computed at once, by convolutions with missing links.
    """

    config: ResNetConfig

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config)
        self.conv = backbone_conv(stem_plan(config), config)
        self.bn = nn.BatchNorm2d(config.widths[0])
        self.blocks = nn.ModuleList(ResidualBlock(plan, config) for plan in block_plans(config))
        self.fc = nn.Linear(config.out_channels, config.classes)
        policy = policy_gate(config)
        self.policy = gate_net(config, policy) if policy is not None else None
        plans = block_plans(config)
        self.exit_blocks = exit_blocks(config)
        widths = [plans[block].channels for block in self.exit_blocks]
        if config.split is not None:
            widths = head_widths(config)[:-1]
        self.heads = exit_heads(widths, config.classes)
        self.start()

    def stem(self, x: Tensor) -> Tensor:
        """Images, float [N, Cin, H, W] -> the first block's input, [N, widths[0], H', W']."""
        x = F.relu(self.bn(self.conv(x)))
        return pool_of_stem(x) if self.config.stem == "imagenet" else x

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((early exits..., logits), what the gates decided), for the trace."""
        collected: list[Decided] = []
        early: list[Tensor] = []
        policy = policy_scores(self.policy(x) if self.policy is not None else None, self.config)
        x = self.stem(x)
        routed: Routed | None = None
        for index, (block, decided) in enumerate(zip(self.blocks, policy, strict=True)):
            if block.router is not None:
                routed = block.router.choose(x)
            x, scores = block.run(x, *block_inputs(block.plan, decided, routed))
            collected.append(scores)
            if index in self.exit_blocks:
                early.append(self.heads[len(early)](global_average_pool(x)))
        pooled = global_average_pool(x)  # [N, out_channels]
        if self.config.split is not None:
            widths = head_widths(self.config)
            early = [
                head(pooled[:, :width]) for head, width in zip(self.heads, widths, strict=False)
            ]
        return (*early, self.fc(pooled)), collected  # [N, classes]


def policy_scores(scores: Tensor | None, config: ResNetConfig) -> Sequence[Tensor | None]:
    """A policy's scores, float [N, blocks], block by block; None for each without one."""
    blocks = range(len(block_plans(config)))
    return [None if scores is None else scores[:, block : block + 1] for block in blocks]


def block_inputs(
    plan: BlockPlan, decided: Tensor | None, routed: Routed | None
) -> tuple[Tensor | None, Tensor | None]:
    """`policy` and `source` of a block's forward pass, given a policy's score and the last router.

    The second of two experts reads what the first read, for the gradient of the router's choice:
    where the second runs, the first left it as it was.
    """
    if plan.expert is None or routed is None:
        return decided, None
    return routed.expert(plan.expert)


KIND = Kind(
    name="resnet", config=ResNetConfig, net=ResNet, parse=parse_resnet, shape=resnet_for_images
)
