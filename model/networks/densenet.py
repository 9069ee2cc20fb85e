"""DenseNets (Huang et al., CVPR 2017), as in ACS: by configuration, by name, and in floating point.

A layer is BN - ReLU - 1x1 - BN - ReLU - 3x3 and adds `growth` channels to the Concat it read.
Between blocks BN - ReLU - 1x1 halves the channels and a 2x2 average the map.  Gates, if there are
any, mask the channels that a layer adds."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.errors import ConfigError
from penstock.model.gates.families import channel_gate, gate_net
from penstock.model.gates.score import global_average_pool
from penstock.model.networks.network import Kind, Network
from penstock.model.networks.scores import Decided, Outputs
from penstock.model.plans.layers import BlockPlan, ConvPlan, halved, plain_conv
from penstock.model.plans.network import MASKS, Gates, NetworkGeometry, Schedule

BLOCK = "block"  # name of a block, in front of its number
BLOCKS = 3
DEPTH = 5  # stem, classifier and a transition behind each block: layers that are in none
SMALL_IMAGE = 32  # pixels; below this side the stem keeps the map


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseNetConfig(NetworkGeometry):
    """DenseNet-41 by default; DenseNet-53 has eight layers a block (ACS, section 4.1).

    ACS gives depth and growth alone.  Inner width, stem and compression are those with which the
    MACs of everything but the stem come nearest to its figure (0.06965 G; here 69.57 M).
    `transition_last`: the last block has a transition too, as the depth counts it.
    `gates`: "none", or a family that masks channels: those of each 3x3.
    """

    gates: Gates = "none"
    layers: tuple[int, ...] = (6, 6, 6)  # of each block
    growth: int = 32
    width: int = 2  # inner channels of a layer over `growth`
    stem: int = 0  # channels of the first convolution; 0: twice the growth
    stem_kernel: int = 7
    stem_stride: int = 2
    transition_last: bool = False
    in_channels: int = 3
    input_size: tuple[int, int] = (32, 32)  # height, width
    classes: int = 10
    schedule: Schedule = "sequential"

    def __post_init__(self) -> None:
        fewest = min(self.growth, self.width, self.stem + 1)
        if not self.layers or min(self.layers) < 1 or fewest < 1:
            raise ConfigError("a DenseNet has layers in every block, and channels in every layer")
        if self.gates not in ("none", *MASKS):
            raise ConfigError(f"a DenseNet with gates {self.gates!r}", f"none, or one of {MASKS}")
        if min(self.input_size) < self.stem_stride << len(self.layers) - 1:
            raise ConfigError(
                f"{self.input_size} pixels for {len(self.layers)} blocks of half the size each",
                "fewer blocks, or larger images",
            )

    @property
    def name(self) -> str:
        """For example "densenet41" or "acs-densenet41"."""
        prefix = f"{self.gates}-" if self.gated else ""
        return f"{prefix}densenet{2 * sum(self.layers) + len(self.layers) + 2}"

    @property
    def stem_channels(self) -> int:
        """That the first block begins with."""
        return self.stem or 2 * self.growth

    @property
    def out_channels(self) -> int:
        """Channels that the classifier's average sees."""
        return self.blocks()[-1].out_channels

    @property
    def extent(self) -> tuple[int, int]:
        """(layers, channels of the widest), roughly and from above."""
        layers = sum(self.layers)
        return layers, self.stem + (layers + self.width) * self.growth

    def block_plans(self) -> list[BlockPlan]:
        """The layers of all blocks."""
        return [plan for block in self.blocks() for plan in block.layer_plans(self.gated)]

    def blocks(self) -> list[DenseBlockPlan]:
        """The blocks in the order they run."""
        plans: list[DenseBlockPlan] = []
        channels, size = self.stem_channels, halved(self.input_size, self.stem_stride)
        for index, count in enumerate(self.layers):
            last = index == len(self.layers) - 1
            plan = DenseBlockPlan(
                name=f"block{index}",
                in_channels=channels,
                layers=count,
                growth=self.growth,
                inner=self.width * self.growth,
                size=size,
                transition=self.transition_last or not last,
            )
            plans.append(plan)
            channels, size = plan.out_channels, plan.out_size
        return plans

    def stem_plan(self) -> ConvPlan:
        """The first convolution; nothing normalises what it puts out."""
        return ConvPlan(
            name="stem.conv",
            in_channels=self.in_channels,
            channels=self.stem_channels,
            kernel=self.stem_kernel,
            stride=self.stem_stride,
            out_size=halved(self.input_size, self.stem_stride),
            normed=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseBlockPlan:
    """Geometry of one block and of the transition behind it; sizes are (height, width)."""

    name: str
    in_channels: int
    layers: int
    growth: int
    inner: int
    size: tuple[int, int]
    transition: bool

    @property
    def channels(self) -> int:
        """Channels of all the block's maps together."""
        return self.in_channels + self.layers * self.growth

    @property
    def out_channels(self) -> int:
        """That the next block begins with."""
        return self.channels // 2 if self.transition else self.channels

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of the next block's maps."""
        return (self.size[0] // 2, self.size[1] // 2) if self.transition else self.size

    def layer_plans(self, gated: bool) -> list[BlockPlan]:
        """The layers; each adds the channels of its 3x3, which gates mask if there are any."""
        return [self._layer(index, gated) for index in range(self.layers)]

    def _layer(self, index: int, gated: bool) -> BlockPlan:
        name, before = f"{self.name}.layer{index}", self.in_channels + index * self.growth
        return BlockPlan(
            name=name,
            stage=int(self.name.removeprefix(BLOCK)),
            first=name == f"{BLOCK}0.layer0",
            in_channels=before,
            channels=self.growth,
            stride=1,
            convs=(
                self._conv(f"{name}.conv1", before, self.inner, 1),
                self._conv(f"{name}.conv2", self.inner, self.growth, 3, gated=gated, normed=False),
            ),
            shortcut=None,
            in_size=self.size,
            out_size=self.size,
            ahead=True,
        )

    def transition_conv(self) -> ConvPlan:
        """The 1x1 convolution of the transition."""
        name = f"{self.name}.transition.conv"
        return self._conv(name, self.channels, self.out_channels, 1, normed=False)

    def _conv(
        self,
        name: str,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gated: bool = False,
        normed: bool = True,
    ) -> ConvPlan:
        return ConvPlan(
            name=name,
            in_channels=inputs,
            channels=outputs,
            kernel=kernel,
            stride=1,
            out_size=self.size,
            gated=gated,
            normed=normed,
        )


def parse_densenet(name: str) -> DenseNetConfig:
    """The network of a name such as "densenet41", "acs-densenet53": three blocks of n layers have
    depth 6n+5."""
    match = re.fullmatch(rf"(?:({'|'.join(MASKS)})-)?densenet(\d{{1,4}})", name)
    depth = 0 if match is None else int(match[2])
    layers, rest = divmod(depth - DEPTH, 2 * BLOCKS)
    if match is None or layers < 1 or rest:
        raise ConfigError(
            f"unknown network {name!r}",
            f"one of densenetN, N = 6n+5: 17, 41, 53, ...; gates: {'-, '.join(MASKS)}-",
        )
    gates: Gates = match[1] or "none"  # type: ignore[assignment]
    return DenseNetConfig(gates=gates, layers=(layers,) * BLOCKS)


def densenet_for_images(
    config: DenseNetConfig, in_channels: int, input_size: tuple[int, int]
) -> DenseNetConfig:
    """The same network for other images; small ones get a 3x3 stem of stride 1."""
    changed = replace(config, in_channels=in_channels, input_size=input_size)
    if max(input_size) < SMALL_IMAGE:
        changed = replace(changed, stem_kernel=3, stem_stride=1)
    return changed


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
        self.gate2 = gate_net(config, gate) if gate is not None else None

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


class DenseNet(Network):
    """Stem, blocks, then BN - ReLU, a global average and one fully connected layer."""

    config: DenseNetConfig

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__(config)
        self.stem = plain_conv(config.stem_plan())
        self.blocks = nn.ModuleList(DenseBlock(plan, config) for plan in config.blocks())
        self.norm = nn.BatchNorm2d(config.out_channels)
        self.fc = nn.Linear(config.out_channels, config.classes)
        self.start()

    def outputs(self, x: Tensor) -> Outputs:
        """Images -> ((logits,), what the gates decided), for the trace."""
        collected: list[Decided] = []
        x = self.stem(x)
        for block in self.blocks:
            x, scores = block(x)
            collected += scores
        return (self.fc(global_average_pool(F.relu(self.norm(x)))),), collected


KIND = Kind(
    name="densenet",
    config=DenseNetConfig,
    net=DenseNet,
    parse=parse_densenet,
    shape=densenet_for_images,
)
