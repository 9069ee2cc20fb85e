"""`penstock evaluate` and `penstock export --float` on a small network trained for an epoch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.cli.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow gated ResNet-8 on digits, two epochs and one quantised."""
    path = tmp_path_factory.mktemp("evaluate") / "net.pt"
    arguments = ["train", "--widths", "8,12,16", "--epochs", "2", "--qat-epochs", "1"]
    assert main([*arguments, "-o", str(path), "--json", "-"]) == 0
    return path


def test_accuracies_side_by_side(penstock: Any, checkpoint: Path, tmp_path: Path) -> None:
    """Integer arithmetic rounds halves up: at most one image in a hundred may differ."""
    from penstock.model import load_checkpoint

    arrays, report_file = tmp_path / "macs.npz", tmp_path / "report.json"
    result = penstock(
        "evaluate", checkpoint, "--per-image", arrays, "--json", report_file, "--calibration", 200
    )
    assert result.code == 0
    for text in ("float", "fake quantized", "integer", "integer after training", "sequential"):
        assert text in result.out
    report = json.loads(report_file.read_text())
    accuracy, metrics = report["accuracy"], load_checkpoint(checkpoint).metrics
    assert list(accuracy) == ["float", "fake_quantized", "integer", "integer_after_training"]
    assert accuracy["float"] == metrics["float_accuracy"]
    assert accuracy["fake_quantized"] == metrics["qat_accuracy"]
    assert abs(accuracy["integer"] - accuracy["fake_quantized"]) <= 0.01
    assert accuracy["integer_after_training"] >= accuracy["float"] - 0.05
    assert (report["images"], report["calibration_images"]) == (360, 200)
    macs = report["macs"]
    sequential, parallel = macs["executed"]["sequential"], macs["executed"]["parallel"]
    assert sequential["mean"] == pytest.approx(metrics["executed_macs_without_gates"])
    assert macs["dense"]["total"] == metrics["dense_macs"]
    for found in (sequential, parallel):
        assert sum(found["layers"].values()) == pytest.approx(found["mean"])
        assert found["percentiles"]["0"] < found["mean"] < found["percentiles"]["100"]
    assert sequential["mean"] < parallel["mean"] < macs["dense"]["total"]
    with np.load(arrays) as saved:
        assert saved["macs_sequential"].mean() == pytest.approx(sequential["mean"])
        assert (saved["macs_sequential"] <= saved["macs_parallel"]).all()
        assert (saved["predicted"] == saved["labels"]).mean() == accuracy["integer"]


def test_a_part_of_the_test_set(penstock: Any, checkpoint: Path) -> None:
    result = penstock("evaluate", checkpoint, "--images", 40, "--json", "-")
    assert json.loads(result.out)["images"] == 40


def test_float_export_is_calibrated_by_compile(
    penstock: Any, checkpoint: Path, tmp_path: Path
) -> None:
    from penstock.model import load_dataset

    path = tmp_path / "float.onnx"
    assert penstock("export", "--float", checkpoint, "-o", path).code == 0
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert "Conv" in operators and "QuantizeLinear" not in operators
    assert "error" in penstock("compile", path, "--config", "tiny", "-o", tmp_path / "no").err
    data = load_dataset("digits", None)
    np.save(tmp_path / "x.npy", data.normalize(data.train_images[:64]).numpy())
    arguments = ("compile", path, "--calibration", tmp_path / "x.npy", "--config", "tiny")
    assert penstock(*arguments, "-o", tmp_path / "net").code == 0
    assert penstock("export", checkpoint, "-o", path).code == 0
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(path).graph.node}


def test_refusals(penstock: Any, tmp_path: Path) -> None:
    assert "no such file" in penstock("evaluate", tmp_path / "none.pt").error


def test_stages_of_a_split_network(penstock: Any, tmp_path: Path) -> None:
    """Searched for, trained, evaluated: where images end, and accuracy against MACs."""
    plan, net, report_file = (tmp_path / name for name in ("plan.json", "net.pt", "report.json"))
    small = ["--dataset", "digits", "--widths", "8,8,8"]
    budget = ["--steps", 2, "--batch-size", 16, "--images", 40, "--candidates", 2, "--batch", 2]
    result = penstock("search", "--network", "resnet8", *small, *budget, "-o", plan)
    assert result.code == 0 and "2 plans" in result.out
    found = json.loads(plan.read_text())
    assert found["split"] in result.out and 0 < found["mac_ratio"] < 1
    trained = ["--epochs", 1, "--qat-epochs", 1, "--split", found["split"], "-o", net]
    assert penstock("train", "--network", "s2d-resnet8", *small, *trained, "--json", "-").code == 0
    result = penstock("evaluate", net, "--json", report_file)
    assert result.code == 0
    assert "stage 3" in result.out and "accuracy against mean MACs" in result.out
    report = json.loads(report_file.read_text())
    exits, metrics = report["exits"], load_metrics(net)
    accuracy = report["accuracy"]
    assert abs(accuracy["integer_with_exits"] - metrics["exits_accuracy"]) <= 0.01
    assert abs(accuracy["integer"] - metrics["qat_accuracy"]) <= 0.01
    assert exits["split"] == found["split"]
    assert exits["chosen"]["accuracy"] == metrics["exits_accuracy"]
    assert exits["chosen"]["macs"] == metrics["executed_macs"]
    assert exits["last_accuracy"] == report["accuracy"]["fake_quantized"]
    macs = [point["macs"] for point in exits["sweep"]]
    assert macs == sorted(macs) and len(exits["exit_macs"]) == 3


def load_metrics(checkpoint: Path) -> dict[str, float]:
    from penstock.model import load_checkpoint

    return load_checkpoint(checkpoint).metrics
