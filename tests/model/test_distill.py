"""Distillation: the loss, a teacher that does not fit, and what it is worth to a student."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from penstock.model import CheckpointError, ConfigError, TrainConfig, load_checkpoint, train_network
from penstock.model.data.digits import load_digits
from penstock.model.networks.resnet import ResNet
from penstock.model.networks.resnet_config import parse_resnet
from penstock.model.train.distill import Teacher
from penstock.model.train.initial import network_config

SHORT = {"qat_epochs": 0, "widths": (4, 6, 8), "quiet": True}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain network, trained for a few epochs."""
    out = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    train_network(TrainConfig(network="resnet8", epochs=6, out=out, **SHORT))  # type: ignore[arg-type]
    return out


def teacher(checkpoint: Path, weight: float, temperature: float = 4.0) -> Teacher:
    config = TrainConfig(network="resnet8")
    data = load_digits()
    return Teacher(checkpoint, network_config(config, data), data, "cpu", weight, temperature)


def test_loss_has_both_targets(checkpoint: Path) -> None:
    logits = torch.randn(5, 10, generator=torch.Generator().manual_seed(1))
    answers = F.log_softmax(torch.linspace(-2, 2, 50).reshape(5, 10), dim=1)
    hard = F.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 4]))
    assert float(teacher(checkpoint, 0.0).loss(logits, hard, answers)) == pytest.approx(float(hard))
    same = F.log_softmax(logits / 4.0, dim=1)  # a teacher that answers as the student does
    assert float(teacher(checkpoint, 1.0).loss(logits, hard, same)) == pytest.approx(0, abs=1e-5)
    own = F.log_softmax(logits / 4.0, dim=1)
    apart = (answers.exp() * (answers - own)).sum(dim=1).mean()  # the definition
    expected = 0.25 * hard + 0.75 * 16.0 * apart
    loss = teacher(checkpoint, 0.75).loss(logits, hard, answers)
    assert float(loss) == pytest.approx(float(expected))


def test_answers_are_the_softened_softmax(checkpoint: Path) -> None:
    own = teacher(checkpoint, 0.5, temperature=2.0)
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert isinstance(own.net, ResNet)
    expected = F.log_softmax(own.net(images)[0] / 2.0, dim=1)
    assert torch.allclose(own.answers(images), expected)
    assert not own.answers(images).requires_grad


def test_teacher_shapes_the_student(checkpoint: Path, tmp_path: Path) -> None:
    settings = {"network": "resnet8", "epochs": 2, **SHORT}
    apart = {}
    for name, path in (("alone", None), ("taught", checkpoint)):
        out = tmp_path / f"{name}.pt"
        train_network(TrainConfig(out=out, teacher=path, teacher_weight=1.0, **settings))  # type: ignore[arg-type]
        student = load_checkpoint(out).net
        data = load_digits()
        images = data.normalize(data.test_images)
        judge = teacher(checkpoint, 1.0)
        with torch.no_grad():
            logits, _ = student(images)
        hard = F.cross_entropy(logits, data.test_labels)
        apart[name] = float(judge.loss(logits, hard, judge.answers(images)))
    assert apart["taught"] < apart["alone"]


def test_teacher_of_other_images_is_refused(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="in_channels is 1, the network's is 3"):
        Teacher(checkpoint, parse_resnet("resnet20"), load_digits(), "cpu", 0.5, 4.0)


def test_teacher_sees_its_own_pixels(checkpoint: Path) -> None:
    """Images in the student's convention: the answers are those of the teacher's own."""
    data = load_digits()
    other = replace(data, mean=(0.5,), std=(0.25,))
    student = network_config(TrainConfig(network="resnet8"), other)
    raw = data.test_images[:20]
    own = Teacher(checkpoint, student, data, "cpu", 1.0, 4.0).answers(data.normalize(raw))
    found = Teacher(checkpoint, student, other, "cpu", 1.0, 4.0).answers(other.normalize(raw))
    assert torch.allclose(found, own, atol=1e-4)
    assert not torch.allclose(own.exp(), torch.full_like(own, 0.1), atol=1e-2)


@pytest.mark.parametrize("setting", [{"teacher_weight": 1.5}, {"teacher_temperature": 0.0}])
def test_settings_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TrainConfig(**setting)  # type: ignore[arg-type]
