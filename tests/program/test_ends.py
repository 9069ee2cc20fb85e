"""The host's steps: each as onnxruntime has it, and every defect of the stored form by name."""

import copy
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from penstock.compiler.importer.ends.parts import host_part
from penstock.compiler.importer.ends.steps import MAKERS
from penstock.compiler.importer.net import EndNodes
from penstock.compiler.importer.onnx_file.load import infer, to_net
from penstock.compiler.onnx_session import open_session
from penstock.program.network.ends import decode_part
from penstock.program.network.ends_ops import OPERATORS

SHAPE = (3, 4, 5)
#: One vector, as logits are.
VECTOR = (7,)
F, INT = np.float32, np.int64

#: operator -> attributes and constant operands (in their places behind the data).
CASES: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("Reshape", {}, [np.array([-1, 20, 3], INT)]),
    ("Flatten", {"axis": 1}, []),
    ("Unsqueeze", {}, [np.array([2, -1], INT)]),
    ("Transpose", {"perm": [0, 3, 1, 2]}, []),
    ("Cast", {"to": onnx.TensorProto.INT8}, []),
    ("Cast", {"to": onnx.TensorProto.DOUBLE}, []),
    *[(op, {}, []) for op in ("Abs", "Ceil", "Floor", "Neg", "Relu", "Round", "Sigmoid", "Tanh")],
    ("Exp", {}, []),
    ("LeakyRelu", {"alpha": 0.2}, []),
    ("Add", {}, [np.arange(5, dtype=F)]),
    ("Sub", {}, [np.arange(4, dtype=F).reshape(1, 1, 4, 1)]),
    ("Mul", {}, [np.array(0.3, F)]),
    ("Div", {}, [np.array([0.3, 2, 3], F).reshape(3, 1, 1)]),
    ("Max", {}, [np.array([0.1], F)]),
    ("Min", {}, [np.array(0.1, F)]),
    ("Pow", {}, [np.array(2, F)]),
    ("Clip", {}, [np.array(-0.5, F), np.array(1.5, F)]),
    ("Greater", {}, [np.array(0, F)]),
    ("LessOrEqual", {}, [np.array(0.2, F)]),
    ("Softmax", {"axis": 1}, []),
    ("Softmax", {}, []),
    ("LogSoftmax", {"axis": -2}, []),
    ("ArgMax", {"axis": 2}, []),
    ("ArgMax", {"axis": -1, "keepdims": 0, "select_last_index": 1}, []),
    ("ArgMin", {"axis": 1, "keepdims": 0}, []),
    *[
        (op, {"keepdims": keep}, [np.array([1, -1], INT)])
        for op in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceL2")
        for keep in (0, 1)
    ],
    (
        "Slice",
        {},
        [np.array([3, 1], INT), np.array([-9, 9], INT), np.array([2, 3], INT), np.array([-2, 2])],
    ),
    ("Gather", {"axis": 1}, [np.array([[2, -1], [0, 0]], INT)]),
    ("Gather", {"axis": -1}, [np.array(3, INT)]),
    ("Concat", {"axis": 2}, [np.ones((1, 3, 2, 5), F)]),
    ("Pad", {}, [np.array([0, 1, 0, 2, 0, 0, 3, 1], INT), np.array(0.5, F)]),
    ("QuantizeLinear", {}, [np.array(0.05, F), np.array(-7, np.int8)]),
    ("QuantizeLinear", {"axis": 1}, [np.array([0.1, 0.2, 0.3], F), np.array([1, 2, 3], np.uint8)]),
]


@pytest.mark.parametrize(("op", "attrs", "constants"), CASES)
def test_operator_as_onnxruntime_has_it(op: str, attrs: Any, constants: Any) -> None:
    rng = np.random.default_rng(5)
    images = rng.normal(0, 2, (6, *SHAPE)).astype(F)
    model = one_node(op, attrs, constants)
    part = part_of(model)
    found = part.run(images)
    session = open_session(model)
    expected = np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)
    else:
        assert (found == expected).all()


#: On a vector: what may move the largest number, and what may not.
ORDERS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("Softmax", {}, []),
    ("Softmax", {"axis": 1}, []),
    ("LogSoftmax", {}, []),
    ("Neg", {}, []),
    ("Cast", {"to": onnx.TensorProto.INT8}, []),
    ("Cast", {"to": onnx.TensorProto.DOUBLE}, []),
    ("QuantizeLinear", {}, [np.array(0.05, F), np.array(-7, np.int8)]),
    ("QuantizeLinear", {}, [np.arange(1, 8, dtype=F), np.zeros(7, np.int8)]),
]


@pytest.mark.parametrize(
    ("shape", "op", "attrs", "constants"),
    [*[(SHAPE, *case) for case in CASES], *[(VECTOR, *case) for case in ORDERS]],
)
def test_the_largest_number_stays_where_it_is_said_to(
    shape: tuple[int, ...], op: str, attrs: Any, constants: Any
) -> None:
    part = part_of(one_node(op, attrs, constants, shape))
    images = np.random.default_rng(6).normal(0, 300, (50, *shape)).astype(F)
    made = part.run(images).reshape(50, -1)
    if part.keeps_order:
        first = images.reshape(50, -1).argmax(axis=1)
        assert (made[np.arange(50), first] == made.max(axis=1)).all()


def test_order_is_kept_by_what_classifiers_end_with() -> None:
    kept = [part_of(one_node(*case, VECTOR)).keeps_order for case in ORDERS]
    assert kept == [True, True, True, False, False, True, True, False]


def one_node(
    op: str, attrs: Any, constants: Any, shape: tuple[int, ...] = SHAPE
) -> onnx.ModelProto:
    names = [f"k{index}" for index in range(len(constants))]
    node = helper.make_node(op, ["x", *names], ["y"], **attrs)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, *shape])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(a, n) for n, a in zip(names, constants, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model)
    model.graph.output[0].CopyFrom(inferred.graph.output[0])
    return model


def part_of(model: onnx.ModelProto) -> Any:
    net = to_net(infer(model))
    return host_part(net, EndNodes(nodes=net.nodes, source="x", result="y"))


def test_every_operator_is_tried() -> None:
    tried = {op for op, _, _ in CASES}
    missing = set(MAKERS) - tried
    dense = {"FloatGemm", "FloatMatMul"}  # tests/compiler/front/test_float_last.py
    assert missing - dense == {
        "DequantizeLinear", "Equal", "GreaterOrEqual", "Less", "Log", "Not", "Split", "Sqrt",
        "Squeeze", "TopK",
    }  # fmt: skip


def test_top_k_and_split_and_dequantize() -> None:
    x = np.random.default_rng(1).normal(0, 1, (4, 7)).astype(F)
    largest, places = OPERATORS["TopK"]([x], {"axis": 1, "k": 3, "largest": 1})
    assert (places == np.argsort(-x, axis=1)[:, :3]).all()
    assert (largest == -np.sort(-x, axis=1)[:, :3]).all()
    first, last = OPERATORS["Split"]([x], {"axis": 1, "sizes": [2, 5]})
    assert (np.concatenate([first, last], axis=1) == x).all()
    codes = np.arange(-128, 128, dtype=np.int8)
    (real,) = OPERATORS["DequantizeLinear"]([codes, F(0.5), np.int8(-128)], {})
    assert (real == np.arange(256) * F(0.5)).all()


META: dict[str, Any] = part_of(one_node("Add", {}, [np.arange(5, dtype=F)])).encode()


def test_round_trip() -> None:
    part = decode_part(META)
    assert part.encode() == META
    assert (part.run(np.zeros((2, *SHAPE), F)) == np.arange(5)).all()


DEFECTS: dict[str, tuple[list[Any], Any, str]] = {
    "version": (["version"], 2, "has version 2, this release reads 1"),
    "no steps": (["steps"], None, "lacks constants or steps"),
    "unknown operator": (["steps", 0, "op"], "Loop", "has the unknown operator 'Loop'"),
    "attribute": (["steps", 0, "attributes"], {"axis": 1}, "has a step Add with other attributes"),
    "unknown input": (["steps", 0, "inputs"], ["x", "z"], "reads ['z'], which nothing makes"),
    "no names": (["steps", 0, "outputs"], [], "has a step Add without names"),
    "type": (["source", "type"], "object", "has a tensor without a name or type"),
    "shape": (["source", "shape"], [3, -4, 5], "has the shape [3, -4, 5]"),
    "huge": (["source", "shape"], [1 << 20, 1 << 20], "has the shape"),
    "data": (["constants", "k0", "data"], "!", "that is not base64"),
    "short": (["constants", "k0", "data"], "AAAA", "has a constant 'k0' cut short"),
    "another shape": (["source", "shape"], [3, 4, 6], "cannot be run"),
    "result": (["result", "shape"], [3, 4, 4], "makes float32 of shape (2, 3, 4, 5)"),
    "result type": (["result", "type"], "int8", "int8 (2, 3, 4, 5) is promised"),
    "no result": (["result", "name"], "z", "does not make its result"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_by_name(defect: str) -> None:
    path, value, message = DEFECTS[defect]
    meta = copy.deepcopy(META)
    where = meta
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    with pytest.raises(ValueError) as caught:
        decode_part(meta)
    assert message in str(caught.value)
