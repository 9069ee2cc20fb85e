"""Checkpoints and resume files that others wrote, or that were damaged: typed errors, no crash."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from penstock.model.checkpoint.export import export_checkpoint
from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.errors import CheckpointError
from penstock.model.train.config import TrainConfig
from penstock.model.train.flow import train_network
from penstock.model.train.progress import RunLog

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "c.pt"
    config = TrainConfig(
        network="lcnet-resnet8", widths=(4, 6, 8), epochs=1, qat_epochs=0, out=path, quiet=True
    )
    train_network(config)
    return path


def changed(good: Path, folder: Path, change: Change) -> Path:
    content = torch.load(good, weights_only=True)
    result = change(content)
    path = folder / "crafted.pt"
    torch.save(content if result is None else result, path)
    return path


def put(*keys: str, to: Any) -> Change:
    """put("network", "depth", to=3): content["network"]["depth"] = 3."""

    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def drop(*keys: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def weights(tensor: Callable[[torch.Tensor], Any], state: str = "float_state") -> Change:
    def change(content: dict[str, Any]) -> None:
        name = next(k for k, v in content[state].items() if v.ndim == 4)
        content[state][name] = tensor(content[state][name])

    return change


def poisoned(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return change


def deep(content: dict[str, Any]) -> None:
    content["network"] |= {"depth": 60002, "blocks": (10000,) * 3}


FIELDS = ("kind", "network", "float_state", "quantized_state", "training", "normalization",
          "metrics")  # fmt: skip
HUGE = 10**12

CRAFTED: dict[str, tuple[Change, str]] = {
    "a list": (lambda c: [c], "not a checkpoint"),
    "a tensor": (lambda c: torch.zeros(3), "not a checkpoint"),
    "a state dict": (lambda c: c["float_state"], "not a Penstock checkpoint of format 1"),
    "other version": (put("penstock_checkpoint", to=4), "format 1"),
    "version as text": (put("penstock_checkpoint", to="1"), "format 1"),
    "version true": (put("penstock_checkpoint", to=True), "format 1"),
    **{f"no {name}": (drop(name), f"field '{name}' is missing") for name in FIELDS[1:]},
    **{
        f"{name} a number": (put(name, to=3), f"'{name}' is an integer, expected")
        for name in FIELDS
    },
    "unknown kind": (put("kind", to="transformer"), "unknown kind 'transformer'"),
    "another kind": (put("kind", to="vgg"), "unknown setting"),
    "unknown setting": (put("network", "magic", to=1), "unknown setting 'magic'"),
    "widths a text": (put("network", "widths", to="16"), "setting 'widths'"),
    "widths of text": (put("network", "widths", to=("4", "6", "8")), "setting 'widths'"),
    "widths too few": (put("network", "widths", to=(4, 6)), "crafted.pt"),
    "widths others": (put("network", "widths", to=(4, 6, 9)), "has shape"),
    "widths none": (put("network", "widths", to=()), "crafted.pt"),
    "widths zero": (put("network", "widths", to=(0, 0, 0)), "crafted.pt"),
    "widths negative": (put("network", "widths", to=(-4, 6, 8)), "crafted.pt"),
    "widths huge": (put("network", "widths", to=(HUGE, 6, 8)), "setting 'widths'"),
    "widths terabytes": (put("network", "widths", to=(60000, 60000, 60000)), "crafted.pt"),
    "depth huge": (deep, "30000 layers in field 'network'"),
    "depth a float": (put("network", "depth", to=8.5), "setting 'depth'"),
    "image of no size": (put("network", "input_size", to=(0, 0)), "crafted.pt"),
    "image of one side": (put("network", "input_size", to=(8,)), "setting 'input_size'"),
    "no classes": (put("network", "classes", to=0), "crafted.pt"),
    "gates unknown": (put("network", "gates", to="x"), "setting 'gates'"),
    "schedule unknown": (put("network", "schedule", to=None), "setting 'schedule'"),
    "split a number": (put("network", "split", to=4), "setting 'split'"),
    "split empty": (put("network", "split", to={}), "crafted.pt"),
    "no tensor": (weights(lambda t: t.tolist()), "no tensor"),
    "other shape": (weights(lambda t: t[:-1]), "has shape"),
    "sparse": (weights(lambda t: t.to_sparse()), "not a plain tensor"),
    "complex": (weights(lambda t: t.to(torch.complex64)), "not a plain tensor"),
    "expanded": (weights(lambda t: torch.zeros(1).expand(HUGE)), "larger than its data"),
    "NaN": (weights(poisoned(float("nan"))), "holds NaN or infinity"),
    "infinity": (weights(poisoned(float("inf")), "quantized_state"), "holds NaN or infinity"),
    "a tensor less": (lambda c: c["float_state"].popitem() and None, "is in the network alone"),
    "a tensor more": (put("float_state", "more", to=torch.zeros(1)), "is in the file alone"),
    "no dataset": (drop("training", "dataset"), "field 'dataset' is missing"),
    "dataset a number": (put("training", "dataset", to=1), "field 'dataset'"),
    "no seed": (drop("training", "seed"), "field 'seed' is missing"),
    "no mean": (drop("normalization", "mean"), "field 'mean'"),
    "two means": (put("normalization", "mean", to=[0.0, 0.0]), "field 'mean'"),
    "std zero": (put("normalization", "std", to=[0.0]), "not above 0"),
    "std NaN": (put("normalization", "std", to=[float("nan")]), "field 'std'"),
    "no full scale": (drop("normalization", "full_scale"), "field 'full_scale'"),
    "no epochs": (drop("metrics", "epochs"), "no 'epochs'"),
    "a figure in words": (put("metrics", "epochs", to="ten"), "no number at 'epochs'"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_checkpoints(good: Path, tmp_path: Path, name: str) -> None:
    change, message = CRAFTED[name]
    path = changed(good, tmp_path, change)
    for use in (load_checkpoint, lambda p: export_checkpoint(p, tmp_path / "n.onnx")):
        with pytest.raises(CheckpointError, match=message) as caught:
            use(path)
        assert str(path) in str(caught.value)
    assert not (tmp_path / "n.onnx").exists()


def test_files_that_are_none(good: Path, tmp_path: Path) -> None:
    whole = good.read_bytes()
    middle = len(whole) // 2
    damaged = (b"", b"text", whole[:middle], whole[:40], whole[:middle] + whole[middle + 9 :],
               b"\x80\x02c__builtin__\neval\nq\x00.", b"PK\x05\x06" + bytes(18))  # fmt: skip
    for content in damaged:
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"x\.pt"):
            load_checkpoint(tmp_path / "x.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pt")  # a pickled module would run code
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("role", ["init", "teacher"])
def test_init_and_teacher(good: Path, tmp_path: Path, role: str) -> None:
    bad = changed(good, tmp_path, drop("normalization"))
    settings: dict[str, Any] = {role: bad, "out": tmp_path / "out.pt"}
    with pytest.raises(CheckpointError, match="field 'normalization' is missing"):
        train_network(TrainConfig(widths=(4, 6, 8), epochs=1, quiet=True, **settings))
    assert not (tmp_path / "out.pt").exists()


RESUME: dict[str, Change] = {
    "a list": lambda c: [c],
    "no settings": drop("settings"),
    "settings a number": put("settings", to=1),
    "no kept": drop("kept"),
    "kept a list": put("kept", to=[]),
    "no trainer": drop("trainer"),
    "trainer empty": put("trainer", to={}),
    "net empty": put("trainer", "net", to={}),
    "net a number": put("trainer", "net", to=3),
    "no generator": drop("trainer", "generator"),
    "generator short": put("trainer", "generator", to=torch.zeros(3, dtype=torch.uint8)),
    "optimizer empty": put("trainer", "optimizer", to={}),
    "epoch in words": put("trainer", "epoch", to="one"),
    "pressure in words": put("kept", "pressure", to="much"),
}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    """The state that a run interrupted in its second epoch leaves, and its settings."""
    out = tmp_path_factory.mktemp("left") / "c.pt"
    settings = {"widths": (4, 6, 8), "epochs": 2, "qat_epochs": 0, "quiet": True}
    original = RunLog.write

    def write(log: RunLog, *arguments: Any) -> None:
        original(log, *arguments)
        raise KeyboardInterrupt

    RunLog.write = write  # type: ignore[method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            train_network(TrainConfig(out=out, **settings))
    finally:
        RunLog.write = original  # type: ignore[method-assign]
    return settings, out.with_suffix(".resume").read_bytes()


@pytest.mark.parametrize("name", RESUME)
def test_crafted_resume_files(
    left: tuple[dict[str, Any], bytes], tmp_path: Path, name: str
) -> None:
    settings, state = left
    path = tmp_path / "c.resume"
    path.write_bytes(state)
    content = torch.load(path, weights_only=True)
    result = RESUME[name](content)
    torch.save(content if result is None else result, path)
    with pytest.raises(CheckpointError, match=r"c\.resume: .*\(train without --resume"):
        train_network(TrainConfig(out=tmp_path / "c.pt", resume=True, **settings))
    assert path.is_file()


def test_neighbours_of_the_output_that_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"prompt": "mine"}\n')
    with pytest.raises(CheckpointError, match="is not a log of training"):
        RunLog(tmp_path / "c.pt", {}, resume=False)
    assert (tmp_path / "c.jsonl").read_text() == '{"prompt": "mine"}\n'
    for suffix in (".jsonl", ".resume"):
        with pytest.raises(CheckpointError, match="choose another -o"):
            RunLog(tmp_path / f"x{suffix}", {}, resume=False)
    (tmp_path / "d.jsonl").write_text('{"phase": "float", "epoch": 1}\n')
    RunLog(tmp_path / "d.pt", {}, resume=False)
    assert not (tmp_path / "d.jsonl").exists()
