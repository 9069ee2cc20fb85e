"""Long runs: interrupted and resumed, started from a backbone, steered, shared by processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from penstock.model import CheckpointError, ConfigError, TrainConfig, load_checkpoint, train_network
from penstock.model.data.digits import load_digits
from penstock.model.macs.count import kept
from penstock.model.networks.registry import build_any, parse_any
from penstock.model.train import optimize
from penstock.model.train.majority import fix_gates
from penstock.model.train.optimize import running_mean
from penstock.model.train.progress import RunLog
from penstock.model.train.recipe import load_recipe, recipe_names


def short(out: Path, **changes: Any) -> TrainConfig:
    """Two epochs and one quantised, of a narrow network."""
    config = TrainConfig(epochs=2, qat_epochs=1, widths=(4, 6, 8), quiet=True, out=out)
    return replace(config, **changes)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).quantized.state_dict()


class Interrupted(Exception):
    """Stands for the power cut."""


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_resumed_run_is_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    settings: dict[str, Any] = {"mac_target": 0.5, "average": 0.9, "label_smoothing": 0.1}
    whole = train_network(short(tmp_path / "whole.pt", **settings))
    log_epoch = RunLog.epoch

    def cut(self: RunLog, *args: Any) -> None:
        log_epoch(self, *args)
        if len(self.lines.read_text().splitlines()) == lines:
            raise Interrupted

    config = short(tmp_path / "cut.pt", **settings)
    with monkeypatch.context() as patched:
        patched.setattr(RunLog, "epoch", cut)
        with pytest.raises(Interrupted):
            train_network(config)
    resumed = train_network(replace(config, resume=True))
    assert resumed.metrics == whole.metrics
    expected, found = weights(tmp_path / "whole.pt"), weights(tmp_path / "cut.pt")
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    lines_of = [json.loads(line) for line in (tmp_path / "cut.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["epoch"]) for line in lines_of] == [
        ("train", 1),
        ("train", 2),
        ("quantise", 1),
    ]
    assert not (tmp_path / "cut.resume").exists()


def test_running_mean_of_weights() -> None:
    """By its definition; short at the start, so that what a network began at is forgotten."""
    net = torch.nn.BatchNorm1d(1)  # a parameter, a buffer, a counter
    mean = running_mean(net, decay=0.9)
    expected, values = 0.0, [float(step * step) for step in range(200)]
    for step, value in enumerate(values):
        with torch.no_grad():
            net.weight.fill_(value)
        net.running_mean = torch.tensor([value])
        net.num_batches_tracked = torch.tensor(step)
        mean.update_parameters(net)
        decay = min(0.9, (1 + step) / (10 + step)) if step else 0.0
        expected = decay * expected + (1 - decay) * value
    assert mean.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert float(mean.module.running_mean) == pytest.approx(expected, rel=1e-5)
    assert expected < values[-1]


def test_kept_network_is_the_running_mean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whose decay of almost one leaves it where the first step went; the weights go on."""
    monkeypatch.setattr(optimize, "AVERAGE_START", 1)  # no short start
    moved = {}
    for average in (0.999999, None):
        config = short(tmp_path / "a.pt", average=average, qat_epochs=0, epochs=1)
        train_network(config)
        kept = load_checkpoint(tmp_path / "a.pt").net
        first = build_any(kept.config, config.seed)
        moved[average] = float((kept.fc.weight - first.fc.weight).abs().max())
    assert moved[0.999999] < moved[None] / 2


@pytest.mark.parametrize("setting", [{"average": 1.0}, {"label_smoothing": 1.0}])
def test_settings_out_of_range(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(setting))} is 1.0"):
        TrainConfig(**setting)


def test_labels_are_smoothed(tmp_path: Path) -> None:
    """A network that learns smoothed labels is less sure of its answers."""
    sure = []
    for smoothing in (None, 0.4):
        config = short(tmp_path / "a.pt", label_smoothing=smoothing, qat_epochs=0, epochs=8)
        train_network(config)
        data = load_digits()
        with torch.no_grad():
            logits, _ = load_checkpoint(config.out).net(data.normalize(data.test_images))
        sure.append(float(logits.softmax(dim=1).amax(dim=1).mean()))
    assert sure[1] < sure[0] - 0.1


def test_gates_are_fixed_at_their_majority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a live network decides for most images; then for all, and training leaves it so."""
    live = short(tmp_path / "live.pt", qat_epochs=0, l1=4.0, gate_spread=4.0)
    train_network(live)
    before = load_checkpoint(live.out)
    data = load_digits()
    shares = gate_shares(before.net, data.normalize(data.train_images))
    assert 0 < ((shares > 0) & (shares < 1)).double().mean() < 1
    fixed = replace(
        live, init=live.out, out=tmp_path / "fixed.pt", fix_gates=True, gate_lr=0.0, quiet=False
    )
    train_network(fixed)
    after = gate_shares(load_checkpoint(fixed.out).net, data.normalize(data.test_images))
    assert torch.equal(after, (shares >= 0.5).double())
    dependent = int(((shares > 0) & (shares < 1)).sum())
    assert f"gates fixed: {dependent} that depend" in capsys.readouterr().out.replace("\n", " ")
    for wrong in ({"init": None}, {"gate_lr": 0.1}):
        with pytest.raises(ConfigError, match="fix_gates fixes those of another network"):
            replace(fixed, **wrong)
    with pytest.raises(ConfigError, match="resnet8 has no gates of LC-Net to fix"):
        fix_gates(build_any(parse_any("resnet8"), 0), data)


def gate_shares(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Of every score the share of the images for which it is open."""
    with torch.no_grad():
        _, scores = net.eval()(images)
    return torch.cat([kept(part).double().mean(dim=0) for each in scores for part in each])


def test_tensorboard_has_the_lines_too(tmp_path: Path) -> None:
    """Where it is installed; a run that goes on hides what the one before left from there on."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "net.pt"
    train_network(short(out))
    RunLog(out, {}, resume=False).epoch("train", 2, {"loss": 7.0}, {})

    def scalars() -> dict[str, list[tuple[int, float]]]:
        found = events.EventAccumulator(str(out.with_suffix(".tensorboard")))
        found.Reload()
        names = found.Tags()["scalars"]
        return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in names}

    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert len(lines) == 1  # RunLog began anew
    steps = {name: [step for step, _ in values] for name, values in scalars().items()}
    assert steps["train/lr"] == [1] and steps["quantise/loss"] == [1]
    assert scalars()["train/loss"][-1] == (2, 7.0)


def test_runs_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are all there is."""
    for name in ("tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "net.pt"
    log = RunLog(out, {}, resume=False)
    log.epoch("train", 1, {"loss": 1.0}, {})
    log.finish()
    assert json.loads(log.lines.read_text()) == {"phase": "train", "epoch": 1, "loss": 1.0}
    assert not out.with_suffix(".tensorboard").exists()


def test_resume_refuses_other_settings(tmp_path: Path) -> None:
    config = short(tmp_path / "net.pt")
    log = RunLog(config.out, {"lr": 0.1, "epochs": 2}, resume=False)
    log.epoch("train", 1, {}, {})
    with pytest.raises(CheckpointError, match=r"with other settings: .*train without --resume"):
        train_network(replace(config, resume=True))


def test_resume_knows_runs_from_before_a_setting(tmp_path: Path) -> None:
    """A setting that came later, untouched, is no other setting; one that is used, or gone, is."""
    out = tmp_path / "net.pt"
    RunLog(out, {"lr": 0.1}, resume=False).epoch("train", 1, {}, {"epoch": 1})
    assert RunLog(out, {"lr": 0.1, "growth": None}, resume=True).state is not None
    for settings, name in (({"lr": 0.1, "growth": 8}, "growth"), ({}, "lr")):
        with pytest.raises(CheckpointError, match=f"with other settings: {name} "):
            RunLog(out, settings, resume=True)


def test_starts_from_a_backbone(tmp_path: Path) -> None:
    train_network(short(tmp_path / "plain.pt", network="resnet8"))
    still = {"lr": 0.0, "qat_lr": 0.0, "gate_lr": None, "weight_decay": 0.0}
    train_network(short(tmp_path / "gated.pt", init=tmp_path / "plain.pt", **still))
    plain = load_checkpoint(tmp_path / "plain.pt").net
    gated = load_checkpoint(tmp_path / "gated.pt").net
    assert torch.equal(plain.fc.weight, gated.fc.weight)
    assert torch.equal(plain.blocks[1].convs[1].weight, gated.blocks[1].convs[1].weight)
    assert load_checkpoint(tmp_path / "gated.pt").metrics["epochs"] == 3 + 3
    with pytest.raises(CheckpointError, match="not a backbone of lcnet-resnet14"):
        train_network(
            short(tmp_path / "x.pt", network="lcnet-resnet14", init=tmp_path / "plain.pt")
        )


@pytest.mark.long
def test_steering_reaches_its_target(tmp_path: Path) -> None:
    """From an L1 weight far too small, the batches' MACs come down to the target."""
    settings = {"l1": 0.1, "epochs": 20, "widths": (8, 8, 8)}
    train_network(short(tmp_path / "free.pt", **settings))
    train_network(short(tmp_path / "steered.pt", **settings, mac_target=0.4))
    last = [
        json.loads((tmp_path / f"{name}.jsonl").read_text().splitlines()[19])
        for name in ("free", "steered")
    ]
    assert last[1]["train_mac_ratio"] < last[0]["train_mac_ratio"]
    assert last[1]["l1"] > last[0]["l1"]


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """torchrun: both processes hold the same weights, one of them writes and reports."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom penstock.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    short = ["--epochs", "6", "--qat-epochs", "1", "--widths", "4,6,8"]
    done = subprocess.run(
        [*launch, str(script), "train", *short, "-o", str(tmp_path / "net.pt")],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout.count("float accuracy") == 1
    assert load_checkpoint(tmp_path / "net.pt").metrics["qat_accuracy"] > 0.2
    assert len((tmp_path / "net.jsonl").read_text().splitlines()) == 7


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_valid(name: str, tmp_path: Path) -> None:
    settings = load_recipe(name)
    assert TrainConfig(**settings, out=tmp_path / "net.pt").dataset in name


@pytest.mark.parametrize(
    "text, message",
    [
        ("epochz: 3", r"unknown setting 'epochz' \(one of network, network_args, dataset, "),
        ("out: /etc/passwd", "unknown setting 'out'"),
        ("epochs: many", "epochs is 'many', not int"),
        ("lr: 5e-4", r"lr is '5e-4', not float \(YAML wants 5.0e-4"),
        ("- 1", "not a list of 'setting: value' lines"),
        ("a: [", "not YAML"),
    ],
)
def test_bad_recipes(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path / "recipe.yaml")


def test_unknown_recipe() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'none' \(a YAML file, or one of \['acs"):
        load_recipe("none")
