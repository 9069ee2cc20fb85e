"""Checkpoints of older formats, written by the versions that had them.

Format 1: the last version that had a quantised class a network.  Format 2: the last whose residual
blocks and gate networks had their layers as attributes.
"""

import json
from pathlib import Path

import pytest
import torch

from penstock.model import CheckpointError, build_onnx, load_checkpoint
from penstock.model.checkpoint.file import save_checkpoint
from tests.model.pinned import pin

FOLDER = Path(__file__).with_name("format1")
PROGRAMS = json.loads((FOLDER / "programs.json").read_text())
SECOND = Path(__file__).with_name("format2")
FILES = [
    *(FOLDER / f"{name}.pt" for name in PROGRAMS),
    *(SECOND / f"{name}.pt" for name in ("acsdg-se", "bottleneck", "moe")),
]


def onnx_pin(path: Path) -> dict[str, object]:
    quantized = load_checkpoint(path).quantized
    exits = quantized.config.early_exits
    return pin(build_onnx(quantized, {"thresholds": ",".join(["0.5"] * exits)} if exits else {}))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_program_is_the_one_that_it_had(path: Path, tmp_path: Path) -> None:
    assert onnx_pin(path) == PROGRAMS[path.stem]
    save_checkpoint(tmp_path / "again.pt", load_checkpoint(path))
    assert torch.load(tmp_path / "again.pt", weights_only=True)["penstock_checkpoint"] == 3
    assert onnx_pin(tmp_path / "again.pt") == PROGRAMS[path.stem]


def test_a_tensor_that_is_missing_is_named(tmp_path: Path) -> None:
    content = torch.load(FOLDER / "identity.pt", weights_only=True)
    del content["quantized_state"]["chains.1.scale"]
    torch.save(content, tmp_path / "short.pt")
    with pytest.raises(CheckpointError, match=r"short\.pt: .*'chains\.1\.scale'.*network alone"):
        load_checkpoint(tmp_path / "short.pt")


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    content = torch.load(FOLDER / "identity.pt", weights_only=True)
    content["quantized_state"]["blocks.9.conv1.weight"] = torch.zeros(1)
    torch.save(content, tmp_path / "long.pt")
    with pytest.raises(CheckpointError, match=r"'blocks\.9\.conv1\.weight'.*file alone"):
        load_checkpoint(tmp_path / "long.pt")


def test_a_tensor_of_format_2_that_is_missing_is_named(tmp_path: Path) -> None:
    content = torch.load(SECOND / "moe.pt", weights_only=True)
    del content["float_state"]["blocks.0.conv1.weight"]
    torch.save(content, tmp_path / "short.pt")
    with pytest.raises(CheckpointError, match=r"'blocks\.0\.conv1\.weight'"):
        load_checkpoint(tmp_path / "short.pt")
