"""`compile --check` and the onnx engine of `simulate`: figures, and what they refuse."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from penstock.compiler import api, compiled, ir


def wrong_bias(graph: ir.Graph, layer: int) -> ir.Graph:
    """The graph with another bias in one of its convolutions: ten steps of its output more."""
    nodes = list(graph.nodes)
    at = [i for i, node in enumerate(nodes) if isinstance(node, ir.Conv)][layer]
    node = nodes[at]
    assert isinstance(node, ir.Conv)
    step = 2.0 ** node.requantize.shift.astype(float) / np.maximum(node.requantize.multiplier, 1)
    bias = (node.bias + 10 * step).astype(np.int32)
    nodes[at] = dataclasses.replace(node, bias=bias)
    return dataclasses.replace(graph, nodes=tuple(nodes))


@pytest.fixture
def miscompiled(monkeypatch: pytest.MonkeyPatch) -> str:
    """An importer that gets the third convolution wrong; the layer's name."""
    names = []

    def broken(path: Path, *rest: Any) -> ir.Graph:
        graph = real(path, *rest)
        names.append([node.name for node in graph.nodes if isinstance(node, ir.Conv)][2])
        return wrong_bias(graph, 2)

    real = api.import_onnx
    monkeypatch.setattr(api, "import_onnx", broken)
    return "stage0.block0.conv2"


def test_compile_checks_where_there_are_images(
    penstock: Any, workspace: Any, tmp_path: Path
) -> None:
    result = penstock(
        *("compile", workspace.onnx, "--config", "tiny", "-o", tmp_path / "net"),
        *("--check-images", workspace.images, "--json", "-"),
    )
    assert result.code == 0, result.err
    figures = json.loads(result.out)["check"]
    assert figures == json.loads((tmp_path / "net" / "report.json").read_text())["check"]
    graph = compiled.load(tmp_path / "net").integer_graph()
    assert figures["images"] == 6 and figures["first_wrong"] is None
    assert len(figures["layers"]) + len(figures["unnamed"]) == len(graph.nodes)
    assert all(layer["maximum"] <= 1 for layer in figures["layers"])
    assert {gate["decisions"] for gate in figures["gates"]} >= {6}
    assert figures["logits"]["maximum"] <= 2 and figures["logits"]["disagreements"] == 0


def test_no_check_and_no_images(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    for options in ((), ("--no-check", "--check-images", workspace.images)):
        result = penstock("compile", workspace.onnx, "-o", tmp_path / "net", *options)
        assert result.code == 0, result.err
        assert "check" not in json.loads((tmp_path / "net" / "report.json").read_text())
    result = penstock("compile", workspace.onnx, "-o", tmp_path / "net", "--check")
    assert result.error == "error: --check needs images; --check-images x.npy"


def test_a_wrong_layer_is_named_and_nothing_is_written(
    penstock: Any, workspace: Any, miscompiled: str, tmp_path: Path
) -> None:
    command = ("compile", workspace.onnx, "-o", tmp_path / "net")
    result = penstock(*command, "--check-images", workspace.images)
    assert f"node '{miscompiled}' (Conv): differs from onnxruntime by " in result.error
    assert "--no-check compiles it all the same" in result.error
    assert not (tmp_path / "net").exists()
    assert penstock(*command, "--no-check").code == 0


def test_simulate_compares_with_the_file(penstock: Any, workspace: Any) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--engine", "onnx,golden"),
        *("--images", workspace.images, "--json", "-"),
    )
    assert result.code == 0, result.err
    figures = json.loads(result.out)["engines"]
    assert set(figures) == {"onnx", "golden", "graph"}
    assert figures["onnx"]["mismatches"] == 0
    assert figures["onnx"]["check"]["logits"]["disagreements"] == 0


def test_simulate_names_the_layer_that_differs(
    penstock: Any, workspace: Any, tmp_path: Path
) -> None:
    """A folder whose ONNX file was changed: the Program is another network's."""
    folder = tmp_path / "net"
    shutil.copytree(workspace.compiled, folder)
    graph = compiled.load(folder).integer_graph()
    result = penstock("simulate", folder, "--engine", "onnx", "--images", workspace.images)
    assert result.code == 0, result.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_import_bytes", lambda model: wrong_bias(graph, 1))
        result = penstock("simulate", folder, "--engine", "onnx", "--images", workspace.images)
    name = [node.name for node in graph.nodes if isinstance(node, ir.Conv)][1]
    assert result.code == 1
    assert f"graph and onnx differ: layer {name} differs from onnxruntime by" in result.err


def test_forced_gates_have_no_file_to_compare_with(penstock: Any, workspace: Any) -> None:
    result = penstock(
        *("simulate", workspace.compiled, "--engine", "onnx", "--images", workspace.images),
        *("--force-gates", "1"),
    )
    assert "the onnx engine has no --force-gates" in result.error


def test_without_onnxruntime(
    penstock: Any, workspace: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = penstock(
        *("compile", workspace.onnx, "-o", tmp_path / "net", "--check-images", workspace.images)
    )
    assert result.error.endswith("pip install onnxruntime")
    assert penstock("compile", workspace.onnx, "-o", tmp_path / "net").code == 0


def test_what_quantising_cost(penstock: Any, tmp_path: Path) -> None:
    """Calibrated with images that never reach what the network is for: a warning, no error."""
    weight = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["image", "w"], ["y"], name="only")],
        "one",
        [onnx.helper.make_tensor_value_info("image", 1, [1, 2, 3, 3])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 2, 3, 3])],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "f.onnx"
    )
    images = np.random.default_rng(0).normal(0, 1, (9, 2, 3, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "far.npy", images * 5)
    command = ("compile", tmp_path / "f.onnx", "-o", tmp_path / "net")
    command = (*command, "--calibration", tmp_path / "x.npy")
    result = penstock(*command, "--json", "-")
    figures = json.loads(result.out)["check"]
    assert figures["images"] == 8 and figures["original"]["maximum"] < 0.02
    result = penstock(*command, "--check-images", tmp_path / "far.npy")
    assert result.code == 0
    assert "warning: quantising moves the logits by " in result.err
