"""Configurations and names of networks."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from penstock.model import ConfigError, ResNetConfig
from penstock.model.networks.resnet_config import (
    parse_resnet,
    resnet_for_images,
    stem_plan,
)
from penstock.model.plans.network import block_plans


def test_resnet50_has_its_published_shape() -> None:
    config = parse_resnet("lcnet-resnet50")
    assert (config.gates, config.stage_blocks, config.classes) == ("lc", (3, 4, 6, 3), 1000)
    stem = stem_plan(config)
    assert (stem.kernel, stem.stride, stem.out_size) == (7, 2, (112, 112))
    plans = block_plans(config)
    firsts = [plan for plan in plans if plan.changes_shape]
    assert [(p.stride, p.channels, p.out_size[0]) for p in firsts] == [
        (1, 256, 56),
        (2, 512, 28),
        (2, 1024, 14),
        (2, 2048, 7),
    ]
    assert [(c.kernel, c.stride, c.out_size[0]) for c in firsts[1].convs] == [
        (1, 1, 56),
        (3, 2, 28),
        (1, 1, 28),
    ]
    assert all(plan.projected == plan.changes_shape for plan in plans)


@pytest.mark.parametrize(
    "name, blocks, widths",
    [
        ("cnet-resnet38", (6, 6, 6), (16, 32, 64)),
        ("lnet-resnet110", (18, 18, 18), (16, 32, 64)),
        ("resnet18", (2, 2, 2, 2), (64, 128, 256, 512)),
    ],
)
def test_names(name: str, blocks: tuple[int, ...], widths: tuple[int, ...]) -> None:
    config = parse_resnet(name)
    assert (config.name, config.stage_blocks, config.widths) == (name, blocks, widths)
    assert config.input_size == (32, 32)


def test_the_stem_follows_the_images() -> None:
    small = resnet_for_images(parse_resnet("resnet50"), 1, (32, 28), 5)
    assert (small.stem, small.in_channels, small.input_size, small.classes) == (
        "cifar",
        1,
        (32, 28),
        5,
    )
    large = resnet_for_images(parse_resnet("resnet18"), 3, (65, 64), 100)
    assert (large.stem, stem_plan(large).out_size) == ("imagenet", (33, 32))
    assert block_plans(large)[0].in_size == (17, 16)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"gates": "x"}, "unknown gates 'x'"),
        ({"block": "wide"}, "unknown block 'wide'"),
        ({"gated_convs": 2}, r"2 gated convolutions in a basic block \(1 to 1"),
        ({"blocks": (1, 1)}, r"blocks \(1, 1\) do not make 3 stages of depth 8"),
        ({"blocks": (1, 2, 1)}, "do not make 3 stages of depth 8"),
        ({"depth": 52, "block": "bottleneck", "widths": (1, 1, 1, 1)}, r"12n\+2"),
    ],
)
def test_bad_configuration(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(ResNetConfig(), **changes)


def test_plain_values_of_this_format_and_the_last() -> None:
    config = parse_resnet("cnet-resnet50")
    assert ResNetConfig.from_plain(asdict(config)) == config
    for gated, gates in ((True, "lc"), (False, "none")):
        old = {"depth": 14, "gated": gated, "widths": (4, 6, 8), "schedule": "parallel"}
        found = ResNetConfig.from_plain(old)
        assert (found.depth, found.gates, found.schedule) == (14, gates, "parallel")
