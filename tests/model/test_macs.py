"""MAC counts against counts by hand and the golden figures of the papers."""

from dataclasses import replace

import pytest
import torch

from penstock.model import ModelError, ResNetConfig
from penstock.model.macs.count import (
    Convention,
    dense_macs,
    distribution,
    executed_layer_macs,
    executed_macs,
    gate_layer_macs,
    gate_macs,
    layer_macs,
)
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet_config import Shortcuts, parse_resnet, resnet_for_images
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.layers import BlockPlan
from penstock.model.plans.network import block_plans


def all_scores(config: ResNetConfig, block: float, channel: float) -> list[BlockScores]:
    """The same scores everywhere, for two images."""
    return [
        BlockScores(torch.full((2, 1), block), torch.full((2, plan.gated_channels), channel))
        for plan in block_plans(config)
    ]


# Network, shortcuts -> (macs, macs_bn), by arithmetic.
COUNTED: dict[tuple[str, Shortcuts], tuple[int, int]] = {
    ("resnet20", "identity"): (40_551_040, 40_739_456),
    ("resnet56", "identity"): (125_485_696, 126_018_176),
    ("resnet110", "identity"): (252_887_680, 253_936_256),
    ("resnet20", "projection"): (40_813_184, 41_013_888),
    ("resnet56", "projection"): (125_747_840, 126_292_608),
    ("resnet110", "projection"): (253_149_824, 254_210_688),
    ("resnet38", "projection"): (83_280_512, 83_653_248),
    ("resnet18", "projection"): (555_422_720, 556_037_120),
    ("resnet18", "identity"): (549_131_264, 549_688_320),
    ("resnet50", "projection"): (4_089_184_256, 4_100_298_240),
}

# The golden table: network, shortcuts, convention, unit, count in that unit to its last digit.
PUBLISHED: list[tuple[str, Shortcuts, Convention, float, str]] = [
    # S2DNAS: 41M / 126M / 254M
    ("resnet20", "identity", "macs_bn", 1e6, "40.74"),
    ("resnet56", "identity", "macs_bn", 1e6, "126.02"),
    ("resnet110", "identity", "macs_bn", 1e6, "253.94"),
    ("resnet20", "identity", "macs", 1e6, "40.55"),
    ("resnet56", "identity", "macs", 1e6, "125.49"),
    ("resnet110", "identity", "macs", 1e6, "252.89"),
    ("resnet20", "projection", "macs", 1e6, "40.81"),
    ("resnet56", "projection", "macs", 1e6, "125.75"),
    ("resnet110", "projection", "macs", 1e6, "253.15"),
    ("resnet38", "projection", "macs", 1e6, "83.28"),
    ("resnet18", "projection", "macs", 1e9, "0.5554"),
    ("resnet18", "identity", "macs", 1e9, "0.5491"),
    ("resnet50", "projection", "macs", 1e9, "4.09"),  # LC-Net, table 2
]


@pytest.mark.parametrize("name, shortcuts", COUNTED)
def test_dense_macs(name: str, shortcuts: Shortcuts) -> None:
    config = replace(parse_resnet(name), shortcuts=shortcuts)
    found = (dense_macs(config), dense_macs(config, "macs_bn"))
    assert found == COUNTED[name, shortcuts]


@pytest.mark.parametrize("name, shortcuts, convention, unit, expected", PUBLISHED)
def test_counts_of_the_papers(
    name: str, shortcuts: Shortcuts, convention: Convention, unit: float, expected: str
) -> None:
    count = dense_macs(replace(parse_resnet(name), shortcuts=shortcuts), convention) / unit
    assert f"{count:.{len(expected.split('.')[1])}f}" == expected


def test_backbones_of_lcnet_table_1_are_cut_not_rounded() -> None:
    """LC-Net, table 1: 0.55, 1.29 and 2.50 "GFLOPs" on CIFAR-10."""
    for name, published in (("resnet18", 55), ("resnet50", 129), ("resnet101", 250)):
        config = resnet_for_images(parse_resnet(name), 3, (32, 32))
        assert dense_macs(config) // 10_000_000 == published


@pytest.mark.parametrize("name", ["resnet20", "resnet50"])
def test_macs_are_those_of_the_layers(name: str) -> None:
    """The plan against what the torch modules are, in both conventions."""
    config = resnet_for_images(parse_resnet(name), 3, (32, 32))
    net, counted = build_any(replace(config, widths=config.widths), 0).eval(), {}

    def count(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, torch.nn.BatchNorm2d):
            counted[module] = (0, output[0].numel())
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            weights = module.weight[0].numel()
            counted[module] = (output[0].numel() * weights, 0)

    for module in net.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))
    layers, bn = (sum(pair) for pair in zip(*counted.values(), strict=True))
    assert (dense_macs(config), dense_macs(config, "macs_bn")) == (layers, layers + bn)


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_open_gates_execute_everything(schedule: str) -> None:
    config = ResNetConfig(schedule=schedule)  # type: ignore[arg-type]
    count = executed_macs(config, all_scores(config, 1.0, 1.0))
    assert count.backbone.tolist() == [dense_macs(config)] * 2
    assert count.gates == 16 * 17 + 16 * 33 + 32 * 65 == gate_macs(config)
    assert count.total.tolist() == [dense_macs(config) + count.gates] * 2


# ResNet-8 on 8x8: stem 9*16*64, projections 16*32*16 + 32*64*4, classifier 64*10.
FIXED = 9_216 + 8_192 + 8_192 + 640
CONV1 = 9 * 16 * 16 * 64 + 9 * 16 * 32 * 16 + 9 * 32 * 64 * 4


@pytest.mark.parametrize("block, channel", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_closed_gates_leave_what_cannot_skip(block: float, channel: float) -> None:
    sequential = ResNetConfig()
    scores = all_scores(sequential, block, channel)
    assert executed_macs(sequential, scores).backbone.tolist() == [FIXED] * 2
    parallel = ResNetConfig(schedule="parallel")
    assert executed_macs(parallel, scores).backbone.tolist() == [FIXED + CONV1] * 2


def test_counts_follow_each_image() -> None:
    config = ResNetConfig()
    scores = all_scores(config, 1.0, 1.0)
    scores[0].channels[0, :6] = 0.0  # image 0 skips 6 of 16 channels
    scores[2].block[1] = 0.0  # image 1 skips the last block
    skipped = [6 * 2 * 9 * 16 * 64, 9 * 32 * 64 * 4 + 9 * 64 * 64 * 4]
    expected = [dense_macs(config) - macs for macs in skipped]
    assert executed_macs(config, scores).backbone.tolist() == expected


def test_a_score_that_rounds_to_zero_is_skipped() -> None:
    config = ResNetConfig()
    for score, backbone in ((0.5 / 128, FIXED), (0.51 / 128, dense_macs(config))):
        count = executed_macs(config, all_scores(config, 1.0, score))
        assert count.backbone.tolist() == [backbone] * 2


# A bottleneck, 16 -> 4 -> 4 -> 16 channels on 8x8, then 16 -> 8 -> 8 -> 32 on 4x4, and on.
NARROW = ResNetConfig(depth=11, block="bottleneck", widths=(4, 8, 16))


def test_bottleneck_skips_what_its_gate_rules_out() -> None:
    """C-Net on conv1: conv1 loses outputs, the 3x3 inputs, conv3 nothing."""
    scores = all_scores(NARROW, 1.0, 1.0)
    assert [s.channels.shape[1] for s in scores] == [4, 8, 16]
    scores[1].channels[0, :6] = 0.0  # image 0: 2 of 8 channels survive in block 1
    scores[2].block[1] = 0.0  # image 1 skips block 2
    counts = executed_layer_macs(NARROW, scores)
    assert counts["stage1.block0.conv1"].tolist() == [2 * 16 * 64, 8 * 16 * 64]
    assert counts["stage1.block0.conv2"].tolist() == [9 * 2 * 8 * 16, 9 * 8 * 8 * 16]
    assert counts["stage1.block0.conv3"].tolist() == [8 * 32 * 16] * 2
    assert counts["stage2.block0.conv3"].tolist() == [16 * 64 * 4, 0]
    assert counts["stage2.block0.shortcut"].tolist() == [32 * 64 * 4] * 2
    parallel = executed_layer_macs(replace(NARROW, schedule="parallel"), scores)
    assert parallel["stage1.block0.conv1"].tolist() == [8 * 16 * 64] * 2
    assert parallel["stage2.block0.conv1"].tolist() == [16 * 32 * 16] * 2
    assert parallel["stage1.block0.conv2"].tolist() == counts["stage1.block0.conv2"].tolist()


def test_two_gated_convolutions_of_a_bottleneck() -> None:
    config = replace(NARROW, gated_convs=2)
    scores = all_scores(config, 1.0, 1.0)
    scores[1].channels[0, :6] = 0.0  # of conv1
    scores[1].channels[0, 8:13] = 0.0  # of conv2
    counts = executed_layer_macs(config, scores)
    assert counts["stage1.block0.conv2"].tolist() == [9 * 2 * 3 * 16, 9 * 8 * 8 * 16]
    assert counts["stage1.block0.conv3"].tolist() == [3 * 32 * 16, 8 * 32 * 16]
    assert gate_layer_macs(config)["stage1.block0.cnet2.fc"] == 16 * 8


def test_layers_add_up_and_gates_are_apart() -> None:
    config = replace(parse_resnet("lcnet-resnet20"), schedule="parallel")
    scores = all_scores(config, 1.0, 1.0)
    layers = layer_macs(config)
    assert len(layers) == 1 + 18 + 2 + 1
    executed = executed_layer_macs(config, scores)
    assert {name: count.tolist() for name, count in executed.items()} == {
        name: [macs] * 2 for name, macs in layers.items()
    }
    assert sum(gate_layer_macs(config).values()) == gate_macs(config)
    assert not set(layers) & set(gate_layer_macs(config))
    with_bn = executed_macs(config, scores, "macs_bn")
    assert with_bn.convention == "macs_bn"
    assert with_bn.backbone.tolist() == [dense_macs(config, "macs_bn")] * 2


def test_one_kind_of_gate_alone() -> None:
    config = parse_resnet("lcnet-resnet20")
    block, channel = (gate_macs(replace(config, gates=g)) for g in ("l", "c"))  # type: ignore[arg-type]
    assert block + channel == gate_macs(config)
    assert block == sum(plan.in_channels for plan in block_plans(config))
    assert gate_macs(replace(config, gates="none")) == 0


def test_distribution_over_images() -> None:
    found = distribution(torch.arange(101))
    assert found.mean == 50
    assert found.percentiles == {0: 0, 5: 5, 25: 25, 50: 50, 75: 75, 95: 95, 100: 100}


def test_odd_sizes_halve_upwards() -> None:
    plans: list[BlockPlan] = block_plans(ResNetConfig(input_size=(9, 7)))
    assert [plan.out_size for plan in plans] == [(9, 7), (5, 4), (3, 2)]


@pytest.mark.parametrize("name", ["resnet9", "lcnet-resnet2", "vgg16", "resnet", "lcnetresnet8"])
def test_unknown_networks_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"resnetN is not|6n\+2"):
        parse_resnet(name)


@pytest.mark.parametrize(
    "depth, widths, hint",
    [(18, (16, 32, 64), "6n\\+2"), (20, (8, 8, 8, 8), "8n\\+2"), (20, (8, 8), "three or four")],
)
def test_depth_must_suit_the_stages(depth: int, widths: tuple[int, ...], hint: str) -> None:
    with pytest.raises(ModelError, match=hint):
        ResNetConfig(depth=depth, widths=widths)


def test_network_names() -> None:
    for name in ("lcnet-resnet20", "lnet-resnet18", "cnet-resnet50", "resnet8"):
        assert parse_resnet(name).name == name
