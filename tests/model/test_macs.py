"""MAC counts against counts by hand and the golden figures of the papers."""

import pytest
import torch

from penstock.model import ModelError, NetworkConfig
from penstock.model.config import BlockPlan, block_plans, parse_network
from penstock.model.macs import dense_macs, executed_macs, gate_macs
from penstock.model.networks import BlockScores


def all_scores(config: NetworkConfig, block: float, channel: float) -> list[BlockScores]:
    """The same scores everywhere, for two images."""
    return [
        BlockScores(torch.full((2, 1), block), torch.full((2, plan.channels), channel))
        for plan in block_plans(config)
    ]


@pytest.mark.parametrize(
    "depth, widths, expected",
    [
        (20, (16, 32, 64), 40_813_184),
        (56, (16, 32, 64), 125_747_840),
        (110, (16, 32, 64), 253_149_824),
        (38, (16, 32, 64), 83_280_512),
        (18, (64, 128, 256, 512), 555_422_720),
    ],
)
def test_dense_macs_of_cifar_resnets(depth: int, widths: tuple[int, ...], expected: int) -> None:
    config = NetworkConfig(depth=depth, widths=widths, in_channels=3, input_size=(32, 32))
    assert dense_macs(config) == expected


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_open_gates_execute_everything(schedule: str) -> None:
    config = NetworkConfig(schedule=schedule)  # type: ignore[arg-type]
    count = executed_macs(config, all_scores(config, 1.0, 1.0))
    assert count.backbone.tolist() == [dense_macs(config)] * 2
    assert count.gates == 16 * 17 + 16 * 33 + 32 * 65 == gate_macs(config)
    assert count.total.tolist() == [dense_macs(config) + count.gates] * 2


# ResNet-8 on 8x8: stem 9*16*64, projections 16*32*16 + 32*64*4, classifier 64*10.
FIXED = 9_216 + 8_192 + 8_192 + 640
CONV1 = 9 * 16 * 16 * 64 + 9 * 16 * 32 * 16 + 9 * 32 * 64 * 4


@pytest.mark.parametrize("block, channel", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_closed_gates_leave_what_cannot_skip(block: float, channel: float) -> None:
    sequential = NetworkConfig()
    scores = all_scores(sequential, block, channel)
    assert executed_macs(sequential, scores).backbone.tolist() == [FIXED] * 2
    parallel = NetworkConfig(schedule="parallel")
    assert executed_macs(parallel, scores).backbone.tolist() == [FIXED + CONV1] * 2


def test_counts_follow_each_image() -> None:
    config = NetworkConfig()
    scores = all_scores(config, 1.0, 1.0)
    scores[0].channels[0, :6] = 0.0  # image 0 skips 6 of 16 channels
    scores[2].block[1] = 0.0  # image 1 skips the last block
    skipped = [6 * 2 * 9 * 16 * 64, 9 * 32 * 64 * 4 + 9 * 64 * 64 * 4]
    expected = [dense_macs(config) - macs for macs in skipped]
    assert executed_macs(config, scores).backbone.tolist() == expected


def test_a_score_that_rounds_to_zero_is_skipped() -> None:
    config = NetworkConfig()
    for score, backbone in ((0.5 / 128, FIXED), (0.51 / 128, dense_macs(config))):
        count = executed_macs(config, all_scores(config, 1.0, score))
        assert count.backbone.tolist() == [backbone] * 2


def test_odd_sizes_halve_upwards() -> None:
    plans: list[BlockPlan] = block_plans(NetworkConfig(input_size=(9, 7)))
    assert [plan.out_size for plan in plans] == [(9, 7), (5, 4), (3, 2)]


@pytest.mark.parametrize("name", ["resnet9", "lcnet-resnet2", "vgg16", "resnet", "lcnetresnet8"])
def test_unknown_networks_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"resnetN is not|6n\+2"):
        parse_network(name)


@pytest.mark.parametrize(
    "depth, widths, hint",
    [(18, (16, 32, 64), "6n\\+2"), (20, (8, 8, 8, 8), "8n\\+2"), (20, (8, 8), "three or four")],
)
def test_depth_must_suit_the_stages(depth: int, widths: tuple[int, ...], hint: str) -> None:
    with pytest.raises(ModelError, match=hint):
        NetworkConfig(depth=depth, widths=widths)


def test_network_names() -> None:
    assert parse_network("lcnet-resnet20") == (20, True)
    assert parse_network("resnet8") == (8, False)
    assert NetworkConfig(depth=20).name == "lcnet-resnet20"
