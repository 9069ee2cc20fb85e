"""`--init` with a state dict of others: names, shortcuts, pixels, and what is refused."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model import CheckpointError, ConfigError, TrainConfig, evaluate, parse_any
from penstock.model.checkpoint.foreign import MEAN, STD, foreign_shortcuts, is_foreign
from penstock.model.data.dataset import Dataset
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet import ResNet
from penstock.model.networks.resnet_config import ResNetConfig
from penstock.model.train.distill import Teacher
from penstock.model.train.initial import as_told, initial_network, network_config

IMAGES = 2500


class Basic(nn.Module):
    """A residual block as torchvision and the CIFAR repositories write it."""

    def __init__(self, inputs: int, outputs: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs
        self.downsample = None
        if projected and (stride != 1 or inputs != outputs):
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            return F.relu(y + self.downsample(x))
        return F.relu(
            y
            + F.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, self.more // 2, self.more // 2),
            )
        )


class Other(nn.Module):
    """A CIFAR ResNet of theirs: two blocks a stage."""

    def __init__(self, projected: bool, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        widths = ((4, 4, 1), (4, 6, 2), (6, 8, 2))
        for number, (inputs, outputs, stride) in enumerate(widths, start=1):
            blocks = (
                Basic(inputs, outputs, stride, projected),
                Basic(outputs, outputs, 1, projected),
            )
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean(dim=(2, 3)))


def other(projected: bool, classes: int = 10) -> Other:
    """With statistics of its own."""
    torch.manual_seed(1)
    net = Other(projected, classes).train()
    for _ in range(3):
        net(torch.randn(16, 3, 16, 16))
    return net.eval()


def data(classes: int = 10) -> Dataset:
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(20) % classes
    return Dataset(
        name="noise",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        full_scale=255,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        shift=0,
        mirror=False,
        augment_share=0.0,
    )


def settings(init: Path, **changes: Any) -> TrainConfig:
    return TrainConfig(**{"network": "resnet14", "widths": (4, 6, 8), "init": init, **changes})


@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("form", ["plain", "state_dict", "module."])
def test_the_same_logits(projected: bool, form: str, tmp_path: Path) -> None:
    theirs, path = other(projected), tmp_path / "theirs.th"
    state: Any = theirs.state_dict()
    if form == "module.":
        state = {f"module.{name}": value for name, value in state.items()}
    torch.save(state if form == "plain" else {"state_dict": state, "best": 1.0}, path)
    assert is_foreign(path)
    assert foreign_shortcuts(path) == ("projection" if projected else "centred")
    net, epochs = initial_network(settings(path), data())
    assert isinstance(net, ResNet) and epochs == 0
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.allclose(net.eval()(x)[0], theirs(x), atol=1e-5)


def test_gates_are_fresh_and_pixels_are_theirs(tmp_path: Path) -> None:
    theirs, path = other(False), tmp_path / "theirs.pt"
    torch.save(theirs.state_dict(), path)
    config = settings(path, network="lcnet-resnet14")
    net, _ = initial_network(config, data())
    fresh = build_any(net.config, config.seed)
    assert torch.equal(net.blocks[1].cnets[0].fc.weight, fresh.blocks[1].cnets[0].fc.weight)
    assert torch.equal(net.blocks[3].convs[1].weight, theirs.layer2[1].conv2.weight)
    assert as_told(config, data()).mean == MEAN and as_told(config, data()).std == STD
    own = replace(config, mean=(0.0, 0.0, 0.0))
    assert as_told(own, data()).mean == (0.0, 0.0, 0.0) and as_told(own, data()).std == STD


def test_images_are_augmented_as_told() -> None:
    """A mirror and a crop for data of the user's own, of which nobody knows what it bears."""
    told = TrainConfig(mirror=True, shift=3, augment_share=1.0)
    found = as_told(told, data())
    assert (found.mirror, found.shift, found.augment_share) == (True, 3, 1.0)
    plain = as_told(TrainConfig(), data())
    assert (plain.mirror, plain.shift) == (False, 0)
    for change, message in (({"shift": 16}, "less than"), ({"mean": (0.0,)}, "one a channel")):
        with pytest.raises(ConfigError, match=message):
            as_told(TrainConfig(**change), data())
    for change in ({"shift": -1}, {"augment_share": 1.5}, {"std": (0.0,)}):
        with pytest.raises(ConfigError):
            TrainConfig(**change)


def test_another_number_of_classes_leaves_the_classifier_fresh(tmp_path: Path) -> None:
    theirs, path = other(True, classes=7), tmp_path / "theirs.pt"
    torch.save(theirs.state_dict(), path)
    net, _ = initial_network(settings(path), data())
    assert net.fc.out_features == 10
    assert torch.equal(net.conv.weight, theirs.conv1.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "resnet20"}, r"no tensor in it is resnet20's 'blocks\.\d+\.\w+\.\d+\.\w+'"),
        ({"network": "resnet8"}, r"resnet8 has no '"),
        ({"widths": (4, 6, 10)}, r"'blocks\.4\.bns\.0\.bias' has shape \(8,\), resnet14's \(10,\)"),
        ({"shortcuts": "projection"}, r"no tensor in it is resnet14's 'blocks\.2\.shortcut"),
        ({"network": "vgg16", "widths": None}, "a state dict of others for vgg16"),
    ],
)
def test_another_network_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    torch.save(other(False).state_dict(), path)
    with pytest.raises((CheckpointError, ConfigError), match=message):
        initial_network(settings(path, **change), data())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "an empty state dict"),
        ({"conv1.weight": 3}, "no tensor at 'conv1.weight'"),
        ({"conv1.weight": torch.full((1,), float("nan"))}, "NaN or infinity"),
        ([1, 2], "not a checkpoint"),
    ],
)
def test_a_damaged_file_is_a_line(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        initial_network(settings(path), data())


@pytest.fixture(scope="module")
def shared(repository: Path) -> Path:
    """Data beside the repository; tests that need it skip without it."""
    found = repository.parent / "shared" / "data"
    if not (found / "pretrained").is_dir() or not (found / "cifar10_jpeg.npz").is_file():
        pytest.skip("needs ../shared/data: CIFAR-10 as JPEG files and pre-trained ResNets")
    return found


def cifar(path: Path, count: int) -> Dataset:
    """The first test images."""
    image = pytest.importorskip("PIL.Image")
    with np.load(path) as pack:
        header, scan = pack["jpeg_header"].tobytes(), pack["test_scan"].tobytes()
        lengths = pack["test_length"][:count].astype(np.int64)
        labels = torch.from_numpy(pack["test_label"][:count].astype(np.int64))
    ends = np.cumsum(lengths)
    files = [header + scan[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    rows = [np.asarray(image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    images = torch.from_numpy(np.stack(rows).transpose(0, 3, 1, 2).copy())
    return replace(
        data(), train_images=images, train_labels=labels, test_images=images, test_labels=labels
    )


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_pretrained_networks_of_others_match(depth: int, shared: Path) -> None:
    (path,) = (shared / "pretrained").glob(f"resnet{depth}-*.th")
    net, _ = initial_network(settings(path, network=f"resnet{depth}", widths=None), data())
    assert net.config == replace(
        parse_any(f"resnet{depth}"), shortcuts="centred", input_size=(16, 16)
    )
    assert isinstance(net.config, ResNetConfig)


def test_training_starts_where_they_are(shared: Path) -> None:
    """80.6 % of the first 2,500 images, whose pixels went through JPEG; gates come fresh."""
    (path,) = (shared / "pretrained").glob("resnet20-*.th")
    config = settings(path, network="resnet20", widths=None)
    images = as_told(config, cifar(shared / "cifar10_jpeg.npz", IMAGES))
    net, _ = initial_network(config, images)
    assert evaluate(net, images).accuracy >= 0.80


@pytest.mark.parametrize("projected", [True, False])
def test_a_foreign_teacher(projected: bool, tmp_path: Path) -> None:
    """Its shape is read from the tensors, and it sees the pixels that it was trained on."""
    theirs, path = other(projected), tmp_path / "theirs.th"
    torch.save({"state_dict": theirs.state_dict()}, path)
    images = data()
    student = network_config(TrainConfig(network="resnet8"), images)
    taught = Teacher(path, student, images, "cpu", 0.5, 1.0)
    assert taught.net.config.name == "resnet14"
    raw = images.test_images
    pixels = replace(images, mean=MEAN, std=STD).normalize(raw)
    with torch.no_grad():
        expected = F.log_softmax(theirs(pixels), dim=1)
    assert torch.allclose(taught.answers(images.normalize(raw)), expected, atol=1e-4)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda state: state.pop("conv1.weight"), "other names than a ResNet's"),
        (lambda state: state.pop("layer1.0.conv1.weight"), "cannot be used: KeyError"),
        (lambda state: state.pop("layer2.1.bn1.weight"), "no tensor in it is resnet14's"),
    ],
)
def test_what_is_no_teacher(change: Any, said: str, tmp_path: Path) -> None:
    state, path = dict(other(False).state_dict()), tmp_path / "theirs.th"
    change(state)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=rf"theirs\.th: .*{said}"):
        Teacher(path, network_config(TrainConfig(), data()), data(), "cpu", 0.5, 1.0)
