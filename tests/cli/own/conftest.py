"""A folder of the user's: his networks in a file, his images in folders."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

NETWORKS = '''
import torch
from torch import nn
from torch.nn import functional as F

from penstock.model.gates import BlockGate, ChannelGate, ReLU1, SigmoidScore, Step


class Block(nn.Module):
    def __init__(self, channels, swapped=False):
        super().__init__()
        self.swapped = swapped
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.channels, self.block = ChannelGate(channels, channels), BlockGate(channels)
        nn.init.normal_(self.channels.fc.weight, std=2.0)
        nn.init.normal_(self.block.fc.weight, std=2.0)
        nn.init.constant_(self.block.fc.bias, 0.2)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.channels(x) * y if self.swapped else y * self.channels(x)
        y = self.bn2(self.conv2(y))
        y = self.block(x) * y if self.swapped else y * self.block(x)
        return F.relu(x + y)


def plain(in_channels, classes, width=8, swapped=False):
    stem = [nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*stem, Block(width, swapped), Block(width), *head)


class Exits(nn.Module):
    """An early exit, scores returned beside the logits, and a gate of two scores."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.a, self.b = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.fc, self.step = nn.Linear(8, 2), Step()
        self.early, self.head = nn.Linear(8, num_classes), nn.Linear(8, num_classes)
        nn.init.normal_(self.fc.weight, std=4.0)

    def forward(self, x):
        x = F.relu(self.stem(x))
        scores = self.step(self.fc(x.mean((2, 3))))
        first, second = scores[:, :1], scores[:, 1:]
        x = F.relu(x + self.a(x) * first[:, :, None, None])
        early = self.early(x.mean((2, 3)))
        x = F.relu(x + self.b(x) * second.unsqueeze(2).unsqueeze(3))
        return (early, self.head(x.mean((2, 3)))), [first, second]


class Experts(nn.Module):
    """One of two branches, squeeze-and-excite on top, and a convolution of groups."""

    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.a, self.b = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.route, self.step = nn.Linear(8, 1), Step()
        self.down, self.up, self.sigmoid = nn.Linear(8, 4), nn.Linear(4, 8), SigmoidScore()
        self.mix = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = ChannelGate(8, 8)
        self.head = nn.Linear(8, classes)
        nn.init.normal_(self.route.weight, std=8.0)
        nn.init.normal_(self.gate.fc.weight, std=2.0)

    def forward(self, x):
        x = F.relu(self.stem(x))
        first = self.step(self.route(x.mean((2, 3))))
        second = 1 - first
        x = F.relu(x + self.a(x) * first[:, :, None, None])
        x = F.relu(x + self.b(x) * second[:, :, None, None])
        squeezed = self.up(F.relu(self.down(x.mean((2, 3)))))
        x = x * self.sigmoid(squeezed)[:, :, None, None]
        y = F.relu(self.mix(x)) * self.gate(x)
        return self.head(y.mean((2, 3)))


def ungated(in_channels, classes):
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, classes),
    )


def ten(in_channels):
    return ungated(in_channels, 10)


def failing():
    return nn.Linear(3, 4) @ 2


def no_module():
    return 3


class NoIntegers(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.stem, self.head = nn.Conv2d(in_channels, 8, 3), nn.Linear(8, classes)

    def forward(self, x):
        return self.head(torch.special.erfc(self.stem(x)).mean((2, 3)))


class Branching(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.net = ungated(in_channels, classes)

    def forward(self, x):
        if x.mean() > 0:
            return self.net(x)
        return self.net(-x)


def data():
    import numpy as np
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    images = rng.integers(0, 80, (60, 9, 7, 3), dtype=np.uint8)
    images[np.arange(60), labels * 3, 3] = 255
    return {"images": images, "labels": labels, "class_names": np.array(["a", "b", "c"])}


def wrong_data():
    return 3
'''
FOLDERS = ("cat", "cow", "dog")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: usernets.py, and pictures/ with 3 classes of 9 x 7 colour images."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "usernets.py").write_text(NETWORKS)
    rng = np.random.default_rng(5)
    for label, name in enumerate(FOLDERS):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 120, (9, 7, 3), dtype=np.uint8)
            pixels[3 * label : 3 * label + 3, :, label] = 250
            image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("usernets", None)
    yield tmp_path
    sys.modules.pop("usernets", None)
