"""`compile` and `simulate` on a network with early exits: every engine, figures, thresholds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def branchy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained network of two exits and images."""
    import onnx

    from penstock.model import ResNetConfig, build_onnx, random_network

    folder = tmp_path_factory.mktemp("branchy")
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), exits=(0, 1))
    onnx.save(
        build_onnx(random_network(config, seed=3), {"thresholds": "0.3,0.25"}), folder / "n.onnx"
    )
    rng = np.random.default_rng(1)
    images = rng.normal(size=(24, 2, 8, 6)) * rng.uniform(0.1, 2, (24, 1, 1, 1))
    np.save(folder / "x.npy", images.astype(np.float32))
    np.save(folder / "y.npy", np.arange(24) % 10)
    return folder


def test_every_engine(penstock: Any, branchy: Path, tmp_path: Path) -> None:
    result = penstock("compile", branchy / "n.onnx", "--config", "tiny", "-o", tmp_path / "net")
    assert result.code == 0, result.err
    arguments = ("--images", branchy / "x.npy", "--labels", branchy / "y.npy")
    result = penstock(
        *("simulate", tmp_path / "net", "--engine", "golden,csim,rtl,graph", *arguments),
        *("--save", tmp_path / "out.npz", "--json", "-"),
    )
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert all(engine["mismatches"] == 0 for engine in figures["engines"].values())
    assert [leave["name"] for leave in figures["exits"]] == [
        *("exit0.fc.quantize_output", "exit1.fc.quantize_output"),
        "classifier.fc.quantize_output",
    ]
    assert [leave["threshold"] for leave in figures["exits"]] == [0.3, 0.25, None]
    assert sum(leave["images"] for leave in figures["exits"]) == 24
    counts = np.bincount(np.load(tmp_path / "out.npz")["exit"], minlength=3)
    assert counts.tolist() == [leave["images"] for leave in figures["exits"]]
    right = [leave["images"] * (leave["accuracy"] or 0) for leave in figures["exits"]]
    assert sum(right) == pytest.approx(24 * figures["engines"]["rtl"]["accuracy"])
    cycles = figures["engines"]["rtl"]["counters"]["cycles"]
    assert figures["predicted"]["cycles"] == pytest.approx(cycles, rel=0.02)
    result = penstock("simulate", tmp_path / "net", "--engine", "golden", *arguments)
    assert "where the images end" in result.out and "exit 1, t = 0.25" in result.out


def test_thresholds(penstock: Any, branchy: Path, tmp_path: Path) -> None:
    """Of compile, and of simulate without compiling again; fewer MACs the earlier."""
    compiled = ("compile", branchy / "n.onnx", "--config", "tiny", "-o", tmp_path / "net")
    assert penstock(*compiled, "--thresholds", "0,0").code == 0
    macs = []
    for given, share in (((), [1, 0, 0]), (("2,0",), [0, 1, 0]), (("2,2",), [0, 0, 1])):
        options = ("--thresholds", *given) if given else ()
        result = penstock(
            *("simulate", tmp_path / "net", "--engine", "golden,graph", *options),
            *("--images", branchy / "x.npy", "--json"),
        )
        assert result.code == 0, result.err
        figures = json.loads(result.out)
        assert [leave["share"] for leave in figures["exits"]] == share
        assert figures["engines"]["graph"]["mismatches"] == 0
        macs.append(figures["macs"]["executed"])
    assert macs[0] < macs[1] < macs[2]


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ("0.5", "1 exit thresholds"),
        ("0.5,-1", "is not a number >= 0"),
        ("high,low", "--thresholds 'high,low'"),
    ],
)
def test_refused(
    penstock: Any, branchy: Path, tmp_path: Path, thresholds: str, message: str
) -> None:
    assert (
        penstock("compile", branchy / "n.onnx", "--config", "tiny", "-o", tmp_path / "n").code == 0
    )
    result = penstock(
        *("simulate", tmp_path / "n", "--images", branchy / "x.npy", "--thresholds", thresholds)
    )
    assert message in result.error
