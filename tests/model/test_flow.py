"""Training as a function: reproducible, recorded in its checkpoint, refusing nonsense."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from penstock.model import (
    CheckpointError,
    ConfigError,
    ModelError,
    TrainConfig,
    export_checkpoint,
    load_checkpoint,
    train_network,
)
from penstock.model.files.atomic import write_atomically
from penstock.model.networks.scores import BlockScores
from penstock.model.train.pressure import gate_l1


def short(folder: Path, **changes: object) -> TrainConfig:
    """One epoch of a narrow network."""
    config = TrainConfig(epochs=1, qat_epochs=1, widths=(4, 6, 8), quiet=True)
    return replace(config, out=folder / "net.pt", **changes)  # type: ignore[arg-type]


def test_same_seed_same_network(tmp_path: Path) -> None:
    first = train_network(short(tmp_path / "a"))
    again = train_network(short(tmp_path / "b"))
    other = train_network(short(tmp_path / "c", seed=1))
    states = [load_checkpoint(r.checkpoint).quantized.state_dict() for r in (first, again, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])
    assert first.metrics == again.metrics


def test_checkpoint_carries_its_configuration(tmp_path: Path) -> None:
    config = short(tmp_path, schedule="parallel", network="lcnet-resnet14")
    result = train_network(config)
    loaded = load_checkpoint(result.checkpoint)
    assert (loaded.net.config.depth, loaded.net.config.schedule) == (14, "parallel")
    assert loaded.net.config.widths == (4, 6, 8)
    assert loaded.training["seed"] == 0
    assert loaded.metrics == result.metrics
    assert export_checkpoint(result.checkpoint, tmp_path / "net.onnx") == result.metrics
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["net.jsonl", "net.onnx", "net.pt"]


def test_plain_network_executes_everything(tmp_path: Path) -> None:
    metrics = train_network(short(tmp_path, network="resnet8")).metrics
    assert metrics["mac_ratio"] == 1.0
    assert metrics["executed_macs"] == metrics["dense_macs"]


def test_seed_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_network(short(tmp_path, seed=7, quiet=False))
    assert capsys.readouterr().out == "lcnet-resnet8 on digits, seed 7\n"


def test_l1_is_the_mean_score_of_both_gates() -> None:
    scores = [
        BlockScores(torch.tensor([[1.0], [0.5]]), torch.tensor([[0.5, -0.5], [1.0, 0.0]])),
        BlockScores(torch.zeros(2, 1), torch.zeros(2, 3)),
    ]
    assert float(gate_l1(scores)) == pytest.approx((0.75 + 0.5) / 2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"network": "lcnet-resnet9"}, r"no ResNet of depth 9 exists here \(use a depth of 6n\+2"),
        ({"dataset": "mnist"}, r"unknown dataset 'mnist'"),
        ({"schedule": "both"}, "unknown schedule 'both'"),
        ({"epochs": 0}, r"epochs is 0 \(it starts at 1\)"),
        ({"lr": -0.1}, r"lr is -0.1 \(it cannot be negative\)"),
    ],
)
def test_bad_configuration(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TrainConfig(), **changes)  # type: ignore[arg-type]


def test_missing_and_foreign_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none.pt: no such file .*train_network"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match=r"text.pt: not a readable checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a Penstock checkpoint of format 1"):
        load_checkpoint(tmp_path / "other.pt")


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match=r"cannot write .*file: No space left .*another path"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
