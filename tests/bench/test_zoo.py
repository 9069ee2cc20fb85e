"""`bench.zoo` on a few images: what it stores, and that simulations side by side change nothing."""

import pytest
import torch

from penstock.bench.zoo import SCHEDULES, measure
from penstock.model import Dataset

IMAGES = 2


@pytest.fixture(scope="module")
def noise() -> Dataset:
    """Images of CIFAR-10's shape."""
    raw = torch.randint(0, 256, (IMAGES, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    images, labels = raw.to(torch.uint8), torch.arange(IMAGES)
    return Dataset(
        name="cifar10",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        full_scale=255,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        shift=4,
        mirror=True,
        augment_share=1.0,
    )


@pytest.mark.long
def test_gated_network(noise: Dataset) -> None:
    alone = measure("lcnet-resnet20-cifar10", noise, IMAGES)
    assert measure("lcnet-resnet20-cifar10", noise, IMAGES, jobs=2) == alone
    assert tuple(alone["schedules"]) == SCHEDULES
    assert alone["dense_mismatches"] == 0
    for figures in alone["schedules"].values():
        assert figures["mismatches"] == 0
        assert figures["macs"]["executed"] < figures["macs"]["dense"]
        assert figures["cycles"]["dynamic"] < figures["cycles"]["dense"]
        assert len(figures["image_cycles"]) == len(figures["image_macs"]) == IMAGES


def test_network_without_gates_runs_once(noise: Dataset) -> None:
    result = measure("resnet20-cifar10", noise, IMAGES)
    (figures,) = result["schedules"].values()
    assert figures["cycles"]["dynamic"] == figures["cycles"]["dense"]
    assert figures["realisation_ratio"] == 1.0
    assert "activity" not in result
