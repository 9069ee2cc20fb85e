"""`compile`, `disasm` and `simulate` on a small network: figures, saved arrays, exit codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler.compiled import load
from penstock.program.core.counters import COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor

BLOCKS = ("stage0.block0", "stage1.block0", "stage2.block0")


def test_engines_agree_and_json_is_parseable(penstock: Any, workspace: Any) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--engine", "golden,csim,rtl,graph"),
        *("--images", workspace.images, "--labels", workspace.labels, "--json", "-"),
    )
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert figures["images"] == 6
    assert set(figures["engines"]) == {"golden", "csim", "rtl", "graph"}
    for engine in figures["engines"].values():
        assert engine["mismatches"] == 0
        assert engine["images"] == 6
        assert 0 <= engine["accuracy"] <= 1
    assert set(figures["engines"]["rtl"]["counters"]) == set(COUNTER_NAMES)


def test_saved_arrays(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    for engine in ("golden", "rtl"):
        result = penstock(
            *("simulate", workspace.compiled, "--engine", engine, "--images", workspace.images),
            *("--save", tmp_path / f"{engine}.npz", "--json", tmp_path / "out.json"),
        )
        assert result.code == 0, result.err
    golden, rtl = (np.load(tmp_path / f"{engine}.npz") for engine in ("golden", "rtl"))
    assert golden["logits"].dtype == np.float32
    assert golden["logits"].shape == (6, 5)
    assert np.array_equal(golden["label"], golden["logits"].argmax(axis=1))
    gates = [name for name in golden.files if name.startswith("gate:")]
    assert len(gates) == 2 * len(BLOCKS)
    for name in ("logits", "label", *gates):
        assert np.array_equal(golden[name], rtl[name])
    assert {f"counter:{name}" for name in COUNTER_NAMES} <= set(rtl.files)
    assert (rtl["counter:cycles"] > 0).all()
    assert json.loads((tmp_path / "out.json").read_text())["images"] == 6


def test_stalls_change_cycles_but_no_result(penstock: Any, workspace: Any) -> None:
    figures = []
    for stall in ("0", "0.4"):
        result = penstock(
            *("simulate", workspace.compiled, "--images", workspace.images),
            *("--stall", stall, "--seed", "7", "--json"),
        )
        assert result.code == 0, result.err
        figures.append(json.loads(result.out)["engines"]["rtl"])
    assert all(engine["mismatches"] == 0 for engine in figures)
    assert figures[1]["counters"]["cycles"] > figures[0]["counters"]["cycles"]


def test_forced_gates_execute_everything(penstock: Any, workspace: Any) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--images", workspace.images),
        *("--force-gates", "1", "--json"),
    )
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert all(gate == {"mean_score": 1.0, "kept": 1.0} for gate in figures["gates"].values())
    assert figures["macs"]["executed"] == figures["macs"]["dense"]
    # A shortcut in two forms has opposite predicates: the one for a closed block is skipped.
    package = load(workspace.compiled).package
    words = range(0, len(package.descriptors), DESCRIPTOR_BYTES)
    descriptors = [Descriptor.decode(package.descriptors[i : i + DESCRIPTOR_BYTES]) for i in words]
    closed_form = sum(d.cout for d in descriptors if d.pred_not)
    assert figures["engines"]["rtl"]["counters"]["channels_skipped"] == closed_form


def test_limit_and_table(penstock: Any, workspace: Any) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--images", workspace.images, "--limit", "2")
    )
    assert result.code == 0, result.err
    assert "2 images" in " ".join(result.out.split())  # the title may wrap
    assert "bytes that differ" in result.out
    assert "cycles an image" in result.out


def test_waveform(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--engine", "rtl", "--images", workspace.images),
        *("--limit", "1", "--vcd", tmp_path / "core.vcd"),
    )
    assert result.code == 0, result.err
    assert "$enddefinitions" in (tmp_path / "core.vcd").read_text()


def test_difference_is_exit_code_1(
    penstock: Any, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One flipped bit of one engine is found and located."""
    import penstock.sim.golden as golden

    run = golden.run

    def flipped(package: Any, inputs: Any) -> Any:
        records = run(package, inputs).copy()
        records[2, -1 - np.argmax(records[2, ::-1] != 0)] ^= 1
        return records

    monkeypatch.setattr(golden, "run", flipped)
    result = penstock(
        "simulate", workspace.compiled, "--engine", "golden,rtl", "--images", workspace.images
    )
    assert result.code == 1
    assert "golden and rtl differ: first at image 2" in result.err


def test_compile_reports_and_replaces(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    arguments = ("compile", workspace.onnx, "--config", "tiny", "-o", tmp_path / "net", "--json")
    for _ in range(2):
        result = penstock(*arguments)
        assert result.code == 0, result.err
        figures = json.loads(result.out)
        assert figures["config"] == "tiny"
        assert figures["descriptors"] > 10
    first, second = (
        next(folder.glob("*.pspkg")).read_bytes()
        for folder in (workspace.compiled, tmp_path / "net")
    )
    assert first == second


def test_disasm_lists_every_operation(penstock: Any, workspace: Any) -> None:
    result = penstock("disasm", workspace.compiled)
    assert result.code == 0, result.err
    for operation in ("LOAD", "CONV", "GATE", "DENSE", "STORE", "HALT"):
        assert operation in result.out


def test_float_network_is_quantised_with_images(
    penstock: Any, workspace: Any, tmp_path: Path
) -> None:
    """A file without any quantiser, made by another exporter, compiles given images."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    net = nn.Sequential(
        *(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 7, 3, 2, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 5)),
    )
    example = (torch.zeros(1, 2, 8, 6),)
    file = tmp_path / "float.onnx"
    torch.onnx.export(net.eval(), example, file, dynamo=False, opset_version=18)
    compiled = ("compile", file, "--config", "tiny", "-o", tmp_path / "net")
    assert "--calibration" in penstock(*compiled).error
    result = penstock(*compiled, "--calibration", workspace.images)
    assert result.code == 0, result.err
    result = penstock(
        *("simulate", tmp_path / "net", "--engine", "golden,csim,rtl,graph"),
        *("--images", workspace.images, "--save", tmp_path / "out.npz", "--json"),
    )
    assert result.code == 0, result.err
    with torch.no_grad():
        expected = net(torch.from_numpy(np.load(workspace.images))).numpy()
    logits = np.load(tmp_path / "out.npz")["logits"]
    assert np.abs(logits - expected).max() < 0.1 * np.abs(expected).max()
