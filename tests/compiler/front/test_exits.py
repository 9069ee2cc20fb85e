"""ONNX files with several outputs: early exits in the order and with the thresholds they name."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock.compiler.api import compile_onnx
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import exits_taken, run_graph
from penstock.program.core.config import get_config
from penstock.program.network.exits import exit_bound
from penstock.sim import golden

OUTPUTS = ["exit0", "exit1", "logits"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gated network of this project's export with two exits, thresholds 0.3 and 0.25."""
    pytest.importorskip("torch")
    from penstock.model import ResNetConfig, build_onnx, random_network

    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), exits=(0, 1))
    model = build_onnx(random_network(config, seed=3), {"thresholds": "0.3,0.25"})
    path = tmp_path_factory.mktemp("exits") / "net.onnx"
    onnx.save(model, path)
    return path


def changed(network: Path, folder: Path, **properties: str | None) -> Path:
    """The same file with other metadata; None removes it."""
    model = onnx.load(network)
    known = {entry.key: entry.value for entry in model.metadata_props}
    known |= {f"penstock.{key}": value for key, value in properties.items()}  # type: ignore[misc]
    del model.metadata_props[:]
    helper.set_model_props(model, {key: value for key, value in known.items() if value is not None})
    onnx.save(model, folder / "changed.onnx")
    return folder / "changed.onnx"


def test_exits_in_order(network: Path, tmp_path: Path) -> None:
    graph = import_onnx(network)
    assert [leave.threshold for leave in graph.exits] == [0.3, 0.25]
    shapes = [graph.values[leave.logits].shape for leave in graph.exits]
    assert shapes == [graph.values[graph.output].shape] * 2
    swapped = import_onnx(changed(network, tmp_path, exits="exit1, exit0, logits"))
    assert [leave.logits for leave in swapped.exits] == [e.logits for e in graph.exits][::-1]
    with pytest.raises(CompileError, match="exits run in the order"):
        compile_onnx(tmp_path / "changed.onnx", get_config("tiny"))


def test_each_output_is_what_onnxruntime_says(network: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    images = np.random.default_rng(0).normal(size=(20, 2, 8, 6)).astype(np.float32)
    expected = runtime.InferenceSession(network).run(OUTPUTS, {"input": images})
    graph = import_onnx(network)
    scale = graph.values[graph.input].scale
    values = run_graph(graph, np.clip(np.rint(images / np.float32(scale)), -128, 127).astype(int))
    for name, logits in zip(
        [*(leave.logits for leave in graph.exits), graph.output], expected, strict=True
    ):
        steps = np.abs(values[name] - np.rint(logits / graph.values[name].scale))
        assert steps.max() <= 2 and (steps > 0).mean() <= 0.05, name


def test_which_exit_is_taken(network: Path) -> None:
    """Graph and program agree; other thresholds replace the file's."""
    rng = np.random.default_rng(1)
    images = (rng.normal(size=(24, 2, 8, 6)) * rng.uniform(0.1, 2, (24, 1, 1, 1))).astype("f4")
    seen = set()
    for thresholds in (None, [0.0, 0.0], [2.0, 0.1], [2.0, 2.0]):
        compiled = compile_onnx(network, get_config("tiny"), thresholds=thresholds)
        inputs = compiled.quantize_input(images)
        got = compiled.decode_output(golden.run(compiled.package, inputs))
        expected = compiled.decode_output(compiled.run_graph(inputs))
        np.testing.assert_array_equal(got.exits, expected.exits)
        np.testing.assert_array_equal(got.logits, expected.logits)
        seen |= set(got.exits)
        assert compiled.graph is not None
        codes = inputs[:, :96].view(np.int8).reshape(-1, 2, 8, 6)
        taken = exits_taken(compiled.graph, run_graph(compiled.graph, codes))
        np.testing.assert_array_equal(taken, got.exits)
    assert seen == {0, 1, 2}


def test_the_saved_folder_keeps_the_thresholds(network: Path, tmp_path: Path) -> None:
    from penstock.compiler.compiled import load

    compile_onnx(network, get_config("tiny"), thresholds=[0.5, 0.125]).save(tmp_path / "net")
    loaded = load(tmp_path / "net")
    assert [leave["threshold"] for leave in loaded.package.meta["exits"]] == [0.5, 0.125]
    assert import_onnx(tmp_path / "net" / "model.onnx").exits[1].threshold == 0.125
    assert f"sum <= {exit_bound(0.125)}: go on at" in (tmp_path / "net" / "listing.txt").read_text()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            {"thresholds": None, "exits": "exit0,exit1,logits"},
            r"the network has 3 outputs \(exit0, exit1, logits\)",
        ),
        ({"thresholds": "0.5"}, "1 exit thresholds for 2 early exits"),
        ({"thresholds": "0.5,high"}, "penstock.thresholds is '0.5,high'"),
        ({"thresholds": "0.5,-1"}, "penstock.thresholds is '0.5,-1'"),
        ({"thresholds": "0.5,nan"}, "penstock.thresholds is '0.5,nan'"),
        ({"exits": "exit0,logits"}, "penstock.exits names exit0, logits, the outputs are"),
    ],
)
def test_refused(network: Path, tmp_path: Path, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        import_onnx(changed(network, tmp_path, **properties))


def test_a_float_network_is_calibrated(tmp_path: Path) -> None:
    """Every exit's logits are quantised, at a scale of their own."""
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    nodes, constants, channels, x = [], [], 2, "x"
    for stage, width in enumerate((6, 5)):
        weight = rng.normal(size=(width, channels, 3, 3)).astype(np.float32) * 0.3
        head = rng.normal(size=(4, width)).astype(np.float32)
        constants += [numpy_helper.from_array(weight, f"w{stage}")]
        constants += [numpy_helper.from_array(head, f"h{stage}")]
        nodes += [
            helper.make_node("Conv", [x, f"w{stage}"], [f"c{stage}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{stage}"], [f"r{stage}"]),
            helper.make_node("GlobalAveragePool", [f"r{stage}"], [f"p{stage}"]),
            helper.make_node("Flatten", [f"p{stage}"], [f"f{stage}"]),
            helper.make_node("Gemm", [f"f{stage}", f"h{stage}"], [f"y{stage}"], transB=1),
        ]
        channels, x = width, f"r{stage}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "branchy",
        [info("x", TensorProto.FLOAT, ["N", 2, 7, 9])],
        [info(name, TensorProto.FLOAT, ["N", 4]) for name in ("y0", "y1")],
        constants,
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    images = (rng.normal(size=(16, 2, 7, 9)) * rng.uniform(0.1, 1, (16, 1, 1, 1))).astype("f4")
    both = compile_onnx(tmp_path / "net.onnx", get_config("tiny"), calibration=images)
    assert [entry["name"] for entry in both.package.meta["outputs"]] == ["y0", "y1"]
    compiled = compile_onnx(
        tmp_path / "net.onnx", get_config("tiny"), calibration=images, thresholds=[0.5]
    )
    inputs = compiled.quantize_input(images)
    got = compiled.decode_output(golden.run(compiled.package, inputs))
    np.testing.assert_array_equal(
        got.exits, compiled.decode_output(compiled.run_graph(inputs)).exits
    )
    assert set(got.exits) == {0, 1}


def test_a_float_network_that_names_its_exits_is_calibrated(tmp_path: Path) -> None:
    """The quantised file has other outputs: its metadata names those."""
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    weight, head = rng.normal(size=(4, 4, 1, 1)), rng.normal(size=(4, 4))
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    for source, output in (("a", "early"), ("b", "late")):
        nodes += [
            helper.make_node("GlobalAveragePool", [source], [f"p{output}"]),
            helper.make_node("Flatten", [f"p{output}"], [f"f{output}"]),
            helper.make_node("Gemm", [f"f{output}", "h"], [output]),
        ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "named",
        [info("x", TensorProto.FLOAT, [1, 4, 4, 4])],
        [info(name, TensorProto.FLOAT, [1, 4]) for name in ("late", "early")],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for array, name in ((weight, "w"), (head, "h"))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    properties = {"penstock.exits": "early,late", "penstock.thresholds": "0.5"}
    helper.set_model_props(model, properties)
    onnx.save(model, tmp_path / "net.onnx")
    images = rng.normal(size=(8, 4, 4, 4)).astype(np.float32)
    compiled = compile_onnx(tmp_path / "net.onnx", get_config("tiny"), calibration=images)
    assert [leave["name"] for leave in compiled.package.meta["exits"]] == ["early"]
    assert compiled.package.meta["output"]["name"] == "late"


#: What makes no float of 1 x 4.
RESULTS = {"Squeeze": (TensorProto.FLOAT, [4]), "ArgMax": (TensorProto.INT64, [1, 1])}


def ended(early: list[str], late: list[str]) -> onnx.ModelProto:
    """A network and its early exit, each ending in these operators behind its dense layer."""
    rng = np.random.default_rng(1)
    weight, head = rng.normal(size=(4, 4, 1, 1)), rng.normal(size=(4, 4))
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    outputs = []
    for source, ops in (("a", early), ("b", late)):
        name = f"p{source}"
        nodes.append(helper.make_node("GlobalAveragePool", [source], [name]))
        for op in ["Flatten", "Gemm", *ops]:
            made = f"{name}.{op}"
            more = {"Gemm": ["h"], "Squeeze": ["zero"]}.get(op, [])
            axis = {"axis": 1} if op == "ArgMax" else {}
            nodes.append(helper.make_node(op, [name, *more], [made], **axis))
            name = made
        outputs.append(name)
    info = helper.make_tensor_value_info
    arrays = (weight.astype("f"), "w"), (head.astype("f"), "h"), (np.zeros(1, np.int64), "zero")
    graph = helper.make_graph(
        nodes,
        "ended",
        [info("x", TensorProto.FLOAT, [1, 4, 4, 4])],
        [
            info(name, *RESULTS.get(name.split(".")[-1], (TensorProto.FLOAT, [1, 4])))
            for name in outputs
        ],
        [numpy_helper.from_array(array, name) for array, name in arrays],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(
        model, {"penstock.exits": ",".join(outputs), "penstock.thresholds": "0.3"}
    )
    return model


@pytest.mark.parametrize(
    "early, late", [(["Squeeze"], ["Softmax"]), (["Softmax"], []), (["Squeeze"], [])]
)
def test_ends_of_the_same_numbers(early: list[str], late: list[str], tmp_path: Path) -> None:
    """An exit's logits without a batch, a softmax behind one of two: an image has one result."""
    onnx.save(ended(early, late), tmp_path / "net.onnx")
    images = np.random.default_rng(2).normal(size=(16, 4, 4, 4)).astype(np.float32)
    compiled = compile_onnx(tmp_path / "net.onnx", get_config("tiny"), calibration=images)
    inputs = compiled.quantize_input(images)
    got = compiled.decode_output(golden.run(compiled.package, inputs))
    assert set(got.exits) == {0, 1}
    assert got.results.shape == (16, 4)


def test_ends_of_other_shapes_are_refused(tmp_path: Path) -> None:
    onnx.save(ended([], ["ArgMax"]), tmp_path / "net.onnx")
    images = np.random.default_rng(2).normal(size=(16, 4, 4, 4)).astype(np.float32)
    with pytest.raises(CompileError, match=r"exit 'pa.*' makes float32 of shape \(4,\).*int64"):
        compile_onnx(tmp_path / "net.onnx", get_config("tiny"), calibration=images)
