"""The networks of the zoo: what their cards say is so, and their gates are alive."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.model import ConfigError
from penstock.model.train.recipe import recipe_names
from penstock.model.zoo import zoo_card, zoo_names, zoo_onnx
from penstock.program.core.config import get_config
from penstock.sim.golden import run as run_golden

STORE = Path(__file__).resolve().parents[2] / "bench" / "results" / "zoo"
GATED = [name for name in zoo_names() if name.startswith("lcnet")]
LARGEST = 3_000_000  # bytes


@cache
def compiled(name: str) -> CompiledNetwork:
    return compile_onnx(zoo_onnx(name), get_config("z7020"))


def stored(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((STORE / f"{name}.json").read_text())
    return result


def kept_images(name: str) -> tuple[np.ndarray, list[int]]:
    """The images whose pixels are stored, normalised [N, 3, 32, 32], and their executed MACs."""
    images = [image for group in ("easiest", "hardest") for image in stored(name)[group]]
    pixels = [np.frombuffer(base64.b64decode(image["pixels"]), np.uint8) for image in images]
    raw = np.stack(pixels).reshape(-1, 3, 32, 32)
    properties = onnx.load(zoo_onnx(name)).metadata_props
    recorded = {entry.key.removeprefix("penstock."): entry.value for entry in properties}
    mean, std = (
        np.array([float(value) for value in recorded[key].split(",")], np.float32)
        for key in ("mean", "std")
    )
    scaled = raw.astype(np.float32) / np.float32(recorded["full_scale"])
    normalised = (scaled - mean.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1)
    return normalised, [image["macs"] for image in images]


def test_there_is_a_gated_network() -> None:
    assert GATED


@pytest.mark.parametrize("name", zoo_names())
def test_card_describes_its_network(name: str) -> None:
    card, content = zoo_card(name), zoo_onnx(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == card["sha256"]
    assert len(content) <= LARGEST
    assert card == stored(name)["card"], "measured with another network: make bench-zoo"
    for command in card["commands"]:
        words = command.removeprefix("torchrun --nproc-per-node 2 --no-python ").split()
        assert words[0] == "penstock" and words[1] in ("train", "search", "evaluate")
        assert "--recipe" not in words or words[words.index("--recipe") + 1] in recipe_names()


@pytest.mark.parametrize("name", GATED)
def test_gates_are_alive(name: str) -> None:
    """Scores depend on the image, something is skipped, and not always the same."""
    images, macs = kept_images(name)
    network = compiled(name)
    decoded = network.decode_output(run_golden(network.package, network.quantize_input(images)))
    kept = np.concatenate([scores > 0 for scores in decoded.scores.values()], axis=1)
    undecided = kept.any(axis=0) & ~kept.all(axis=0)  # open for some images, closed for others
    print(f"{name}: {undecided.sum()} of {kept.shape[1]} gates depend on the image")
    assert undecided.mean() > 0.05
    assert 0 < kept.mean() < 1
    count = [
        round(network.macs({g: s[i : i + 1] for g, s in decoded.scores.items()}).executed)
        for i in range(len(images))
    ]
    assert count == macs
    assert max(count) > min(count)


@pytest.mark.parametrize("name", GATED)
def test_gates_cost_little_accuracy(name: str) -> None:
    """Over the whole test set, against the same network without gates and in floating point."""
    card, static = zoo_card(name), zoo_card(name.partition("-")[2])
    assert card["dataset"] == static["dataset"]
    assert card["test_images"] == static["test_images"] == 10_000
    assert card["metrics"]["mac_ratio"] <= 0.65
    accuracy = card["accuracy"]
    assert accuracy["integer"] >= 0.88
    assert accuracy["integer"] >= static["accuracy"]["integer"] - 0.01
    assert abs(accuracy["integer"] - accuracy["float"]) <= 0.005


def test_exits_cost_little_accuracy() -> None:
    """S2DNAS: where images end, over the whole test set, against the network that was split."""
    card, static = zoo_card("s2d-resnet20-cifar10"), zoo_card("resnet20-cifar10")
    assert card["metrics"]["dense_macs"] == static["metrics"]["dense_macs"]
    assert card["metrics"]["mac_ratio"] <= 0.55
    best = max(static["accuracy"][name] for name in ("integer", "integer_after_training"))
    assert card["accuracy"]["integer_with_exits"] >= best - 0.01


@pytest.mark.parametrize("name", GATED)
def test_stored_activity_differs_between_classes(name: str) -> None:
    """Over the whole measured set: some channels run for some classes more than for others."""
    tables = [np.array(table) for table in stored(name)["activity"].values()]
    spread = np.concatenate([table.max(axis=0) - table.min(axis=0) for table in tables])
    assert (spread > 0.2).sum() >= 10


@pytest.mark.parametrize("name", zoo_names())
def test_stored_run_is_bit_exact(name: str) -> None:
    result = stored(name)
    assert result["images"] >= 1000
    assert result["dense_mismatches"] == 0
    assert all(figures["mismatches"] == 0 for figures in result["schedules"].values())


def test_unknown_network() -> None:
    with pytest.raises(ConfigError, match="no trained network 'none'"):
        zoo_onnx("none")
