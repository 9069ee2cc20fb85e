"""Recipes for a GPU: each network trains, one epoch of two batches of noise on the CPU."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from penstock.model import ConfigError, Dataset, TrainConfig, load_checkpoint, train_network
from penstock.model.macs.count import dense_macs
from penstock.model.networks.registry import build_any
from penstock.model.plans.split import plain_split
from penstock.model.search.candidate import Trial
from penstock.model.search.run import SearchConfig
from penstock.model.train import flow as training
from penstock.model.train.initial import network_config
from penstock.model.train.optimize import build_optimizer, build_schedule, phases
from penstock.model.train.recipe import load_recipe, recipe_names
from penstock.model.train.trainer import Trainer
from penstock.model.train.workers import Workers

FOR_GPU = [name for name in recipe_names() if load_recipe(name).get("device") == "cuda"]
STATIC = {"lcnet-resnet18-cifar10-augment", "resnet18-cifar10", "resnet20-cifar10-exits"}


def noise(count: int, size: int = 32) -> Dataset:
    """Random images as CIFAR-10 has them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 10
    return Dataset(
        name="cifar10",
        train_images=images,
        train_labels=labels,
        test_images=images[:4],
        test_labels=labels[:4],
        full_scale=255,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        shift=4,
        mirror=True,
        augment_share=1.0,
    )


@pytest.mark.parametrize("name", FOR_GPU)
def test_recipe_trains(name: str) -> None:
    recipe = load_recipe(name)
    changes = {"device": "cpu", "precision": "fp32", "batch_size": 2, "epochs": 1, "eval_every": 0}
    config = TrainConfig(**(recipe | changes), quiet=True)
    data = noise(4)
    net = build_any(network_config(config, data), seed=0)
    assert net.config.name.removesuffix("-exits") == config.network
    before = [parameter.detach().clone() for parameter in net.parameters()]
    trainer = Trainer(
        net, data, config, phases(config)[0], torch.Generator().manual_seed(0), Workers()
    )
    trainer.run(None)
    assert trainer.step == 2
    moved = [not torch.equal(*pair) for pair in zip(before, net.parameters(), strict=True)]
    assert sum(moved) > 0.5 * len(moved)
    assert all(bool(parameter.isfinite().all()) for parameter in net.parameters())
    assert net.config.gated or net.config.early_exits or name in STATIC


def test_there_is_one_for_every_family() -> None:
    networks = {load_recipe(name)["network"].split("-")[0] for name in FOR_GPU}
    assert networks >= {"lcnet", "acs", "s2d", "skipnet2", "iadi", "blockdrop", "moe", "resnet20"}


def test_learning_rate_of_s2dnas() -> None:
    """A tenth at half and at three quarters of all epochs, wherever the warm-up ends."""
    config = TrainConfig(decay="halves", epochs=8, lr=0.1, warmup=1.0)
    phase = phases(config)[0]
    optimizer = build_optimizer(torch.nn.Linear(1, 1), phase, 0.0)
    schedule = build_schedule(optimizer, config, phase, epoch_steps=10)
    rates = []
    for _ in range(80):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.001)
    assert rates[10:40] == pytest.approx([0.1] * 30)
    assert rates[40:60] == pytest.approx([0.01] * 20)
    assert rates[60:] == pytest.approx([0.001] * 20)


def test_stages_start_from_a_static_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MobileNetV2, then in stages from its weights and classifier; both checkpoints load."""
    monkeypatch.setattr(training, "load_dataset", lambda *_: noise(20, size=8))
    settings: dict[str, Any] = {"dataset": "cifar10", "epochs": 1, "qat_epochs": 1, "quiet": True}
    static = TrainConfig(**settings, network="mobilenetv2", out=tmp_path / "static.pt")
    assert train_network(static).metrics["mac_ratio"] == 1
    staged_run = {"network": "s2d-mobilenetv2", "init": static.out, "out": tmp_path / "s.pt"}
    config = replace(static, **staged_run, lr=0.0, qat_lr=0.0)
    figures = train_network(config).metrics
    assert figures["dense_macs"] == dense_macs(load_checkpoint(static.out).net.config)
    assert figures["mac_ratio"] < 1 and {"threshold0", "threshold1"} <= figures.keys()
    whole, staged = (load_checkpoint(path).net for path in (static.out, config.out))
    assert staged.config.split == plain_split(staged.config.resolutions)
    for head in staged.heads:
        assert torch.equal(head.weight, whole.fc.weight[:, : head.in_features])


def test_search_knows_the_resolutions() -> None:
    for network, count in (("resnet56", 3), ("vgg16", 5), ("mobilenetv2", 4)):
        config = SearchConfig(trial=Trial(network=network), out=Path("plan.json"))
        assert config.space.resolutions == count


def test_images_can_be_too_small() -> None:
    config = TrainConfig(network="vgg16")
    with pytest.raises(ConfigError, match=r"\(8, 8\) pixels are too few"):
        network_config(config, noise(4, size=8))
