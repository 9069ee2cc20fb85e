"""`penstock demo` as a user runs it, once: the report, and every bar of the main job."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.bench.demo_report import KEYS
from penstock.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(demo_folder: Path) -> Path:
    return demo_folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def test_report_has_exactly_the_agreed_keys(report: dict[str, Any]) -> None:
    assert tuple(report) == tuple(KEYS)
    for key, inner in KEYS.items():
        if inner:
            assert tuple(report[key]) == inner
    for engine in report["engines"].values():
        assert tuple(engine) == ("images", "mismatches")


def test_no_byte_differs_on_any_test_image(report: dict[str, Any]) -> None:
    assert report["images"] >= 300
    for engine in report["engines"].values():
        assert engine == {"images": report["images"], "mismatches": 0}


def test_accuracy(report: dict[str, Any]) -> None:
    accuracy = report["accuracy"]
    assert accuracy["integer"] >= 0.975
    assert accuracy["integer"] >= accuracy["float"] - 0.01


def test_gates_skip(report: dict[str, Any], folder: Path) -> None:
    """At most half of the MACs, and a quarter of a block's channels depend on the image."""
    macs = report["macs"]
    assert macs["executed"] + macs["gates"] <= 0.5 * macs["dense"]
    results = np.load(folder / "results.npz")
    channel_gates = [
        results[name] > 0
        for name in results.files
        if name.startswith("gate:") and results[name].shape[1] > 1
    ]
    assert channel_gates
    share = max((kept.any(0) & ~kept.all(0)).mean() for kept in channel_gates)
    assert share >= 0.25


def test_gates_save_cycles_and_bytes(report: dict[str, Any]) -> None:
    cycles, weights = report["cycles"], report["weight_bytes"]
    assert cycles["dynamic"] < cycles["dense"]
    assert weights["fetched"] < weights["dense"]
    assert weights["survivors"] <= weights["fetched"]


def test_cost_model_is_within_two_percent(report: dict[str, Any]) -> None:
    cycles = report["cycles"]
    for run in ("dense", "dynamic"):
        assert cycles[f"predicted_{run}"] == pytest.approx(cycles[run], rel=0.02)


def test_saved_files_run_again(folder: Path, report: dict[str, Any], tmp_path: Path) -> None:
    """What the demo leaves is what the other commands take."""
    code = main(
        [
            *("simulate", str(folder / "net"), "--engine", "golden"),
            *("--images", str(folder / "images.npy"), "--labels", str(folder / "labels.npy")),
            *("--json", str(tmp_path / "out.json")),
        ]
    )
    assert code == 0
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["engines"]["golden"]["accuracy"] == report["accuracy"]["integer"]
