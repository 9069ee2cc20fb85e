"""Untrained networks with chosen keep ratios: test material for the compiler.

Weights are random; the gates' last layers are set so that each channel and each block is
open for a chosen share of random images, a different share of channels for every image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.gates.experts import Routed
from penstock.model.gates.families.aig import TwoLogits
from penstock.model.gates.grouping import GroupingConv
from penstock.model.gates.lcnet import Gate
from penstock.model.gates.network import GateNet
from penstock.model.gates.score import global_average_pool
from penstock.model.networks.registry import AnyConfig, AnyNet, build_any
from penstock.model.networks.resnet import ResidualBlock, ResNet, block_inputs, policy_scores
from penstock.model.plans.network import NetworkGeometry
from penstock.model.quantize.twin import QuantNetwork

CALIBRATION_IMAGES = 128
SCORE_SPREAD = 0.5  # standard deviation of a gate's pre-activation over the images


def random_images(config: NetworkGeometry, count: int, generator: torch.Generator) -> Tensor:
    """Float32 [count, C, H, W]: noise whose mean and contrast change from image to image.

    Plain noise would give every image the same channel means, and so the same gate scores.
    """
    shape = (count, config.in_channels, *config.input_size)
    noise = torch.randn(shape, generator=generator)
    offset = torch.randn(count, config.in_channels, 1, 1, generator=generator)
    contrast = 0.2 + torch.rand(count, config.in_channels, 1, 1, generator=generator)
    return offset + contrast * noise


def random_network(
    config: AnyConfig,
    *,
    keep_channels: float = 0.5,
    keep_blocks: float = 1.0,
    seed: int = 0,
    images: int = CALIBRATION_IMAGES,
) -> QuantNetwork:
    """A calibrated, untrained network whose gates keep about the requested shares.

    The shares (0 to 1) hold for `random_images`, and each is a share of images for every
    single gate; 0 and 1 close and open the gates for (nearly) all of them.  `images` sets
    statistics, gates and scales: fewer for a network that takes long.
    """
    net = random_float_network(
        config, keep_channels=keep_channels, keep_blocks=keep_blocks, seed=seed, images=images
    )
    quantized = QuantNetwork(net)
    quantized.calibrate([random_images(config, images, torch.Generator().manual_seed(seed))])
    return quantized.eval()


def _settle(net: nn.Module, batch: Tensor, generator: torch.Generator) -> None:
    """Random batch norms with the statistics of one batch; the network is then in evaluation."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain average: one pass settles the statistics
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.3, 0.3, generator=generator)
    net.train()
    net(batch)
    net.eval()


@torch.no_grad()
def random_float_network(
    config: AnyConfig,
    *,
    keep_channels: float = 0.5,
    keep_blocks: float = 1.0,
    seed: int = 0,
    images: int = CALIBRATION_IMAGES,
) -> AnyNet:
    """The network of `random_network` before its quantisation, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    batch = random_images(config, images, generator)
    net = build_any(config, seed)
    for module in net.modules():
        if isinstance(module, GroupingConv):
            module.relations.normal_(generator=generator)
    _settle(net, batch, generator)
    if isinstance(net, ResNet):
        _set_gates(net, batch, keep_channels, keep_blocks, generator)
    else:
        _set_gates_passed(net, batch, keep_channels, generator)
    return net


def _set_gates_passed(net: AnyNet, images: Tensor, keep: float, generator: torch.Generator) -> None:
    """Each gate network when the images reach it, behind what the gates before let through."""

    def reached(gate: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(gate, GateNet)
        _set_gate(gate, gate.pooled(inputs[0]), keep, generator)

    gates = [module for module in net.modules() if isinstance(module, GateNet)]
    handles = [gate.register_forward_pre_hook(reached) for gate in gates]
    net(images)
    for handle in handles:
        handle.remove()


def _set_gates(
    net: ResNet, images: Tensor, channels: float, blocks: float, generator: torch.Generator
) -> None:
    """Gate by gate in running order: each sees what the gates before it let through."""
    if net.policy is not None:
        _set_gate(net.policy, net.policy.pooled(images), blocks, generator)
    policy = policy_scores(net.policy(images) if net.policy is not None else None, net.config)
    x = net.stem(images)
    routed: Routed | None = None
    for block, decided in zip(net.blocks, policy, strict=True):
        assert isinstance(block, ResidualBlock)
        pooled = global_average_pool(x)
        for cnet in block.cnets:
            _set_gate(cnet, pooled, channels, generator)
        if block.lnet is not None:
            _set_gate(block.lnet, pooled, blocks, generator)
        if block.gate is not None:
            _set_gate(block.gate, block.gate.pooled(x), blocks, generator)
        if block.router is not None:
            _set_gate(block.router, block.router.pooled(x), blocks, generator)
            routed = block.router.choose(x)
        _set_masks(block, x, channels, generator)
        x, _ = block(x, *block_inputs(block.plan, decided, routed))


def _set_masks(block: ResidualBlock, x: Tensor, keep: float, generator: torch.Generator) -> None:
    """The gates of the block's convolutions; each reads what the ones before let through."""
    for index, (conv, bn) in enumerate(block.layers()):
        if str(index) not in block.gates:
            return
        gate = block.gates[str(index)]
        assert isinstance(gate, GateNet)
        _set_gate(gate, gate.pooled(x), keep, generator)
        x = F.relu(bn(conv(x))) * gate(x)[:, :, None, None]


def _set_gate(
    gate: Gate | GateNet, pooled: Tensor, keep: float, generator: torch.Generator
) -> None:
    """Random weights, scaled and shifted so that every output is > 0 for `keep` of the rows."""
    spread = pooled.std(dim=0)  # [Cin]
    gate.fc.weight.normal_(generator=generator)
    # A channel that never changes decides nothing; 1 / spread would make it all there is.
    gate.fc.weight.div_(spread.clamp_min(1e-6)).mul_(spread > 1e-6)
    z = pooled @ gate.fc.weight.T  # [images, outputs]
    gate.fc.weight.mul_(SCORE_SPREAD / z.std(dim=0).clamp_min(1e-6)[:, None])
    z = pooled @ gate.fc.weight.T
    gate.fc.bias.copy_(-torch.quantile(z, 1 - keep, dim=0))
    # The lowest score of all must not round to 0, and images on which a small gate network is dead,
    # all alike, must not lie on its threshold.
    if keep >= 1 or isinstance(gate, GateNet):
        gate.fc.bias.add_(1 / 64)
    if isinstance(gate, TwoLogits):  # the second logit above 0 for that share, the first at 0
        gate.fc.weight[0].zero_()
        gate.fc.bias[0].zero_()
