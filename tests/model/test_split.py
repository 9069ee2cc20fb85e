"""S2DNAS: plans, the masked network against its stages run apart, MACs, quantisation, training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.model import Dataset, ResNetConfig, TrainConfig, load_checkpoint, train_network
from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.macs.count import dense_macs, layer_macs
from penstock.model.networks.resnet import ResNet
from penstock.model.networks.resnet_config import parse_resnet
from penstock.model.plans.split import SplitPlan, parse_split, plain_split
from penstock.model.quantize.random_network import (
    random_float_network,
    random_images,
    random_network,
)
from penstock.model.stages.masked_conv import MaskedConv
from penstock.model.stages.split import exit_macs, head_widths, split_convs, stage_layer_macs
from penstock.model.train.initial import network_config
from penstock.model.train.recipe import load_recipe

TEXT = "4: 1,3/101 2,3/011 1,2/110"
CONFIG = ResNetConfig(
    depth=14,
    gates="none",
    widths=(8, 12, 16),
    in_channels=2,
    input_size=(8, 6),
    classes=5,
    split=parse_split(TEXT),
)


def test_plans_are_text() -> None:
    plan = parse_split(TEXT)
    assert str(plan) == TEXT and plan.stages == 3
    assert plan.channels(0, 8) == (range(2), range(2, 6), range(6, 8))
    assert [plan.sources(0, stage) for stage in range(3)] == [(0,), (0, 1), (1, 2)]
    assert [plan.sources(1, stage) for stage in range(3)] == [(0,), (1,), (0, 1, 2)]
    assert str(plain_split(3)) == "8: 3,5/111 3,5/111 3,5/111"
    assert str(plain_split(1, stages=5)) == "8: 2,3,5,6/1111111111"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3,5/111", "split '3,5/111'"),
        ("8: 3,5", "split '8: 3,5'"),
        ("8: 0,5/111", r"split points \(0, 5\) of 8 groups"),
        ("8: 5,5/111", r"split points \(5, 5\)"),
        ("8: 3,8/111", r"split points \(3, 8\)"),
        ("8: 3,5/111 3/1", r"split points \(3,\)"),
        ("8: 3,5/11", "3 for 3 stages, each 0 or 1"),
    ],
)
def test_bad_plans(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_split(text)
    with pytest.raises(ConfigError, match=message):
        TrainConfig(split=text)


def test_networks_that_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match="a split of 3 resolutions for 4"):
        replace(CONFIG, depth=10, widths=(8, 8, 8, 8))
    with pytest.raises(ConfigError, match="10 channels cannot be cut into 4 equal groups"):
        replace(CONFIG, widths=(8, 10, 16))
    with pytest.raises(ConfigError, match="a split network has gates"):
        replace(CONFIG, gates="lc")
    with pytest.raises(ConfigError, match="a split network has gates, exits"):
        replace(CONFIG, exits=(0,))


@pytest.mark.parametrize("depth", [20, 56, 110, 18, 50])
def test_names(depth: int) -> None:
    config = parse_resnet(f"s2d-resnet{depth}")
    assert config.name == f"s2d-resnet{depth}" and config.early_exits == 2
    whole = parse_resnet(f"resnet{depth}")
    assert dense_macs(config) == dense_macs(whole)
    assert replace(config, split=None) == whole


def stage_by_stage(net: ResNet, x: Tensor) -> list[Tensor]:
    """Logits of every stage, each stage's maps computed from the maps that it reads alone.

    `made[resolution-layer]` holds the maps of the stages run so far; nothing of a later stage is
    there when an earlier one runs.
    """
    config = net.config
    assert config.split is not None
    convs = split_convs(config)
    logits: list[Tensor] = []
    stages = config.split.stages
    feature: dict[str, list[Tensor]] = {"image": [x]}

    def conv(
        name: str, layer: torch.nn.Conv2d, bn: torch.nn.BatchNorm2d, source: str, stage: int
    ) -> Tensor:
        links = convs[name]
        outputs, reads = torch.tensor(links.outputs[stage]), torch.tensor(links.reads(stage))
        read = torch.cat([feature[source][index] for index in links.sources[stage]], dim=1)
        weight = layer.weight[outputs][:, reads]
        y = F.conv2d(read, weight, stride=layer.stride, padding=layer.padding)
        mean, var = bn.running_mean[outputs], bn.running_var[outputs]
        return F.batch_norm(y, mean, var, bn.weight[outputs], bn.bias[outputs], eps=bn.eps)

    for stage in range(stages):
        source = "stem"
        y = F.relu(conv("stem.conv", net.conv, net.bn, "image", stage))
        feature.setdefault("stem", []).append(y)
        for block in net.blocks:
            name, read = block.plan.name, source
            for number, (layer, bn) in enumerate(block.layers(), start=1):
                y = conv(f"{name}.conv{number}", layer, bn, read, stage)
                if number < len(block.layers()):
                    read = f"{name}.{number}"
                    feature.setdefault(read, []).append(F.relu(y))
            shortcut = feature[source][stage]
            if block.shortcut is not None:
                shortcut = conv(
                    f"{name}.shortcut", block.shortcut, block.shortcut_bn, source, stage
                )
            source = name
            feature.setdefault(source, []).append(F.relu(y + shortcut))
        pooled = torch.cat(feature[source], dim=1).mean(dim=(2, 3))
        logits.append([*net.heads, net.fc][stage](pooled))
    return logits


@pytest.mark.parametrize(
    "config",
    [CONFIG, replace(CONFIG, depth=11, block="bottleneck"), replace(CONFIG, split=None)],
    ids=["basic", "bottleneck", "one stage"],
)
def test_masked_network_is_its_stages(config: ResNetConfig) -> None:
    """One masked forward pass has the logits of all stages, run one after the other."""
    if config.split is None:
        halves = SplitPlan(groups=4, points=((1,), (2,), (3,)), reuse=((False,),) * 3)
        config = replace(config, split=halves)
    net = random_float_network(config, seed=3)
    x = random_images(config, 4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        last, scores = net(x)
        assert not scores
        found = [*net.early, last]
        for mine, apart in zip(found, stage_by_stage(net, x), strict=True):
            assert torch.allclose(mine, apart, atol=1e-4)
            assert mine.shape == (4, 5)


def test_stages_do_not_see_later_ones() -> None:
    """What a later stage holds changes nothing in front of it: all of it may be left out."""
    net = random_float_network(CONFIG, seed=4)
    x = random_images(CONFIG, 4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        net(x)
        before = [logits.clone() for logits in net.early]
        for layer in backbone(net).values():
            layer.weight[-layer.weight.shape[0] // 4 :] += 7.0  # in the last stage everywhere
        net(x)
        assert all(torch.equal(a, b) for a, b in zip(before, net.early, strict=True))


def test_macs_are_those_of_live_links() -> None:
    net = ResNet(CONFIG)
    convs = split_convs(CONFIG)
    expected = 0
    for name, layer in backbone(net).items():
        height, width = convs[name].plan.out_size
        expected += int(layer.live.sum()) * layer.kernel_size[0] ** 2 * height * width
    heads = sum(width * CONFIG.classes for width in head_widths(CONFIG))
    totals = exit_macs(CONFIG)
    assert totals[-1] == expected + heads < dense_macs(CONFIG)
    assert totals == sorted(totals) and head_widths(CONFIG) == [4, 8, 16]
    stages = [stage_layer_macs(CONFIG, stage) for stage in range(3)]
    assert sum(sum(stage.values()) for stage in stages) == totals[-1]
    stem = layer_macs(CONFIG)["stem.conv"]
    assert sum(stage["stem.conv"] for stage in stages) == stem  # every stage reads the image
    outputs = sum(conv.plan.outputs for conv in convs.values())
    assert exit_macs(CONFIG, "macs_bn")[-1] == totals[-1] + outputs


def backbone(net: ResNet) -> dict[str, MaskedConv]:
    """Convolutions by the names of their plans."""
    found = {"stem.conv": net.conv}
    for block in net.blocks:
        layers = [layer for layer, _ in block.layers()]
        found |= {conv.name: layer for conv, layer in zip(block.plan.convs, layers, strict=True)}
        if block.shortcut is not None:
            found[block.plan.shortcut.name] = block.shortcut
    assert found.keys() == split_convs(net.config).keys()
    return found


def test_missing_links_stay_missing_in_the_quantised_network() -> None:
    net = random_network(CONFIG, seed=5)
    conv = net.layer("blocks.1.convs.0")
    live = split_convs(CONFIG)["stage0.block1.conv1"].live()
    weight, _, scale = conv.integers(net.scale("conv"))
    assert torch.equal(
        (weight != 0).any(dim=(2, 3)) & (live[:, :, 0, 0] == 0), live[:, :, 0, 0] > 1
    )
    kept = (conv.weight * live).abs().flatten(1).amax(dim=1) / 127
    assert torch.allclose(scale, kept)
    net(random_images(CONFIG, 2, torch.Generator().manual_seed(0)))
    for logits in net.early:
        steps = logits / net.scale("heads.0")
        assert torch.allclose(steps, steps.round(), atol=1e-3) and bool(steps.any())


def test_training_from_a_static_network(tmp_path: Path) -> None:
    """Weights are the static network's, heads too; the checkpoint knows its split and exits."""
    short = TrainConfig(
        network="resnet8", epochs=1, qat_epochs=1, widths=(8, 8, 16), quiet=True, lr=0.01
    )
    static = train_network(replace(short, out=tmp_path / "static.pt")).checkpoint
    config = replace(
        short,
        init=static,
        split="8: 2,4/111 2,4/111 2,4/111",
        exit_weight=1.0,
        exit_tolerance=0.02,
        out=tmp_path / "net.pt",
    )
    metrics = train_network(config).metrics
    loaded = load_checkpoint(tmp_path / "net.pt")
    assert loaded.net.config.split == parse_split(str(config.split))
    assert loaded.net.config.name == "s2d-resnet8"
    shares = [metrics[f"exit{index}_share"] for index in range(3)]
    assert sum(shares) == pytest.approx(1)
    costs = exit_macs(loaded.net.config)
    mean = sum(share * cost for share, cost in zip(shares, costs, strict=True))
    assert metrics["executed_macs"] == pytest.approx(mean)
    assert metrics["mac_ratio"] == pytest.approx(mean / dense_macs(loaded.net.config))
    again = replace(config, init=tmp_path / "net.pt", out=tmp_path / "again.pt")
    train_network(again)
    with pytest.raises(CheckpointError, match="not a backbone of resnet8"):
        train_network(replace(again, widths=(8, 16, 16)))


def test_checkpoints_without_a_split_load() -> None:
    plain = {"depth": 8, "gates": "none", "widths": (4, 6, 8)}
    assert ResNetConfig.from_plain(plain).split is None


@pytest.mark.parametrize("name", ["s2d-resnet8-digits", "s2d-resnet20-cifar10-cpu"])
def test_recipes(name: str) -> None:
    config = TrainConfig(**load_recipe(name))
    assert config.exit_weight == 1.0 and config.network.startswith("s2d-resnet")


def test_recipe_of_digits_has_its_plan(digits: Dataset) -> None:
    config = TrainConfig(**load_recipe("s2d-resnet8-digits"))
    assert str(network_config(config, digits).split) == config.split
