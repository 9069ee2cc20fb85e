"""Early exits: heads in both networks, the joint loss, thresholds from held-out images, export."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from penstock.model import ResNetConfig, TrainConfig, build_onnx, random_images, random_network
from penstock.model.checkpoint.export import export_checkpoint
from penstock.model.data.load import load_dataset
from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.networks.resnet_config import exit_blocks
from penstock.model.train.early_exit import (
    CANDIDATES,
    ExitLogits,
    choose_thresholds,
    joint_loss,
    split_validation,
)
from penstock.model.train.flow import train_network
from penstock.model.train.recipe import load_recipe

CONFIG = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), exits=(0, 1))


def test_places() -> None:
    assert exit_blocks(CONFIG) == [0, 1]
    deep = ResNetConfig(depth=20, exits=(1,))
    assert exit_blocks(deep) == [5] and deep.name == "lcnet-resnet20-exits"
    for bad in ((1, 0), (0, 0), (2,), (-1,)):
        with pytest.raises(ConfigError, match="exits behind stages"):
            ResNetConfig(exits=bad)


@pytest.mark.parametrize("gates", ["lc", "none"])
def test_exported_outputs_are_the_networks(gates: str, tmp_path: Path) -> None:
    """Of every exit, in onnxruntime, within two steps; the head reads what the gates read."""
    runtime = pytest.importorskip("onnxruntime")
    config = ResNetConfig(
        widths=(4, 6, 10), in_channels=2, input_size=(8, 6), exits=(0, 1), gates=gates
    )
    net = random_network(config, seed=1)
    images = random_images(config, 16, torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, _ = net(images)
    expected = [each.numpy() for each in (*net.early, logits)]
    model = build_onnx(net, {"thresholds": "0.5,0.5"})
    onnx.save(model, tmp_path / "net.onnx")
    names = [output.name for output in model.graph.output]
    assert names == ["exit0", "exit1", "logits"]
    got = runtime.InferenceSession(tmp_path / "net.onnx").run(names, {"input": images.numpy()})
    scales = [net.scale("heads.0"), net.scale("heads.0"), net.scale("fc")]
    for mine, theirs, scale in zip(expected, got, scales, strict=True):
        assert np.abs(mine - theirs).max() <= 2.01 * float(scale)
    averages = sum(node.op_type == "GlobalAveragePool" for node in model.graph.node)
    assert averages == 3 + (gates == "lc")  # that of an exit's head is the next block's gates'


def test_joint_loss_reaches_every_head() -> None:
    labels = torch.tensor([0, 1, 2])
    early = [torch.zeros(3, 4, requires_grad=True) for _ in range(2)]
    loss = joint_loss(early, lambda logits: F.cross_entropy(logits, labels), 0.5)
    assert float(loss) == pytest.approx(2 * 0.5 * np.log(4))
    loss.backward()
    assert all(logits.grad is not None and bool(logits.grad.any()) for logits in early)


def test_validation_is_apart() -> None:
    data = load_dataset("digits", None)
    train, validation = split_validation(data, seed=0)
    assert len(train.train_labels) + len(validation.test_labels) == len(data.train_labels)
    assert len(validation.test_labels) == round(0.15 * len(data.train_labels))
    assert torch.equal(train.test_images, data.test_images)
    again, _ = split_validation(data, seed=0)
    assert torch.equal(again.train_labels, train.train_labels)
    joined = torch.cat([train.train_images, validation.test_images]).flatten(1)
    assert torch.equal(
        torch.unique(joined, dim=0), torch.unique(data.train_images.flatten(1), dim=0)
    )


def found() -> ExitLogits:
    """Four images; the exit is sure of the first two, wrong about the third at 0.73."""
    early = torch.tensor([[9.0, 0.0], [9.0, 0.0], [1.0, 0.0], [0.1, 0.0]])
    last = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    return ExitLogits(logits=[early, last], labels=torch.tensor([0, 0, 1, 1]))


def test_thresholds() -> None:
    assert found().taken([0.7]).tolist() == [0, 0, 0, 1]
    assert found().accuracy([0.7]) == 0.75 and found().accuracy([2.0]) == 1.0
    assert choose_thresholds(found(), tolerance=0.0) == [0.74]  # softmax of 1 against 0 is 0.731
    assert choose_thresholds(found(), tolerance=0.25) == [0.53]
    assert choose_thresholds(found(), tolerance=0.5) == [CANDIDATES[0]]


def test_training_and_export(tmp_path: Path) -> None:
    """One epoch of a small network: thresholds in the checkpoint are those of the ONNX file."""
    config = TrainConfig(
        epochs=1, qat_epochs=1, widths=(4, 6, 8), exits=(0, 1), out=tmp_path / "net.pt", quiet=True
    )
    metrics = train_network(config).metrics
    assert 0 <= metrics["exits_accuracy"] <= 1
    export_checkpoint(tmp_path / "net.pt", tmp_path / "net.onnx")
    properties = {e.key: e.value for e in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert properties["penstock.exits"] == "exit0,exit1,logits"
    thresholds = [float(part) for part in properties["penstock.thresholds"].split(",")]
    assert thresholds == [metrics["threshold0"], metrics["threshold1"]]
    with pytest.raises(CheckpointError, match="early exits are not exported in floating point"):
        export_checkpoint(tmp_path / "net.pt", tmp_path / "net.onnx", quantized=False)


@pytest.mark.parametrize("name", ["lcnet-resnet8-digits-exits", "resnet8-digits-exits"])
def test_recipes(name: str) -> None:
    config = TrainConfig(**load_recipe(name))
    assert config.exits == (0, 1) and name.startswith(config.network)
