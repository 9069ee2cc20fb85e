"""A builder of small QDQ networks, and their comparison with onnxruntime."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph, run_node
from penstock.compiler.numerics import SCORE_SCALE, quantize

Array = npt.NDArray[Any]
X = 0.05  # scale of the image
Y = 0.04  # scale of a map
P = 0.02  # scale of a pooled vector


class Qdq:
    """Builds a network node by node; every method returns the name of the new tensor."""

    def __init__(self, rng: np.random.Generator, shape: tuple[Any, ...] = ("N", 3, 6, 5)) -> None:
        self.rng = rng
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.channels: dict[str, int] = {"image": shape[1]}
        self.image_type = TensorProto.FLOAT
        self.metadata: dict[str, str] = {}

    def const(self, array: Any, kind: npt.DTypeLike = np.float32) -> str:
        name = f"const{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def node(self, op: str, *inputs: str, name: str = "", **attrs: Any) -> str:
        output = f"{name or op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attrs))
        self.channels[output] = max(self.channels.get(x, 0) for x in inputs)
        return output

    def quantize(self, x: str, scale: Any, signed: bool = True, name: str = "") -> str:
        zero = self.const(0, np.int8 if signed else np.uint8)
        return self.node("QuantizeLinear", x, self.const(scale), zero, name=name)

    def dequantize(self, x: str, scale: Any, kind: npt.DTypeLike = np.int8, **attrs: Any) -> str:
        zero = self.const(np.zeros(np.shape(scale)), kind)
        return self.node("DequantizeLinear", x, self.const(scale), zero, **attrs)

    def qdq(self, x: str, scale: float, signed: bool = True, name: str = "") -> str:
        kind = np.int8 if signed else np.uint8
        return self.dequantize(self.quantize(x, scale, signed, name), scale, kind)

    def image(self) -> str:
        return self.qdq("image", X, name="image_q")

    def weight(self, shape: tuple[int, ...], axis: int = 0) -> str:
        scale = self.rng.uniform(0.5, 1.5, shape[axis]) / (40 * np.prod(shape) / shape[axis]) ** 0.5
        integers = self.const(self.rng.integers(-127, 128, shape), np.int8)
        return self.dequantize(integers, scale / 20, axis=axis)

    def conv(self, x: str, outputs: int, kernel: int = 3, **attrs: Any) -> str:
        weight = self.weight((outputs, self.channels[x], kernel, kernel))
        bias = self.const(self.rng.normal(0, 0.3, outputs))
        attrs = {"pads": [kernel // 2] * 4, "name": f"conv{len(self.nodes)}"} | attrs
        y = self.node("Conv", x, weight, bias, **attrs)
        self.channels[y] = outputs
        return y

    def pool(self, x: str) -> str:
        y = self.qdq(self.node("GlobalAveragePool", x), P, signed=False)
        return self.node("Flatten", y)

    def gemm(self, x: str, outputs: int, name: str = "fc", bias: float = 0.5) -> str:
        weight = self.weight((outputs, self.channels[x]))
        offset = self.const(self.rng.normal(bias, 0.3, outputs))
        y = self.node("Gemm", x, weight, offset, name=name, transB=1)
        self.channels[y] = outputs
        return y

    def clip(self, x: str, low: float = 0.0, high: float = 1.0) -> str:
        return self.node("Clip", x, self.const(low), self.const(high))

    def map_shape(self, x: str) -> str:
        return self.node("Reshape", x, self.const([-1, self.channels[x], 1, 1], np.int64))

    def gate(self, pooled: str, outputs: int, name: str = "gate") -> str:
        score = self.clip(self.gemm(pooled, outputs, name))
        return self.map_shape(self.qdq(score, SCORE_SCALE, signed=False))

    def stem(self, outputs: int = 4) -> str:
        """image -> Conv -> Relu -> uint8."""
        y = self.node("Relu", self.conv(self.image(), outputs, name="stem"))
        return self.qdq(y, Y, signed=False)

    def classifier(self, x: str, classes: int = 4) -> str:
        return self.qdq(self.gemm(self.pool(x), classes, "classifier"), 0.03, name="logits")

    def model(self, output: str, opset: int = 18, ir_version: int = 10) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", self.image_type, list(self.shape))],
            [helper.make_empty_tensor_value_info(output)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
        helper.set_model_props(model, self.metadata)
        inferred = onnx.shape_inference.infer_shapes(model)
        model.graph.output[0].CopyFrom(inferred.graph.output[0])
        return model


def assert_matches(text: str, message: str) -> None:
    """`text` is one line that starts with `message`, in which * stands for anything."""
    assert "\n" not in text
    assert re.match(".*".join(map(re.escape, message.split("*"))), text), text


Importer = Callable[..., ir.Graph]


@pytest.fixture
def net(rng: np.random.Generator) -> Qdq:
    """An empty network with a 3x6x5 image."""
    return Qdq(rng)


@pytest.fixture
def new_net(rng: np.random.Generator) -> Callable[..., Qdq]:
    """An empty network for any image shape."""
    return lambda *shape: Qdq(rng, shape)


@pytest.fixture
def load(tmp_path: Path) -> Importer:
    """Import a built network, or a model."""

    def run(net: Qdq | onnx.ModelProto, output: str = "", **options: Any) -> ir.Graph:
        path = tmp_path / "net.onnx"
        model = net.model(output, **options) if isinstance(net, Qdq) else net
        path.write_bytes(model.SerializeToString())
        return import_onnx(path)

    return run


@pytest.fixture
def refuse(net: Qdq, load: Importer) -> Callable[..., None]:
    """Check the message that refuses what a function builds on an empty network."""

    def run(build: Callable[[Qdq], str], message: str, opset: int = 18) -> None:
        output = build(net)
        with pytest.raises(CompileError) as caught:
            load(net, output, opset=opset)
        assert_matches(str(caught.value), message)

    return run


def run_onnxruntime(model: onnx.ModelProto, names: list[str], images: Array) -> dict[str, Array]:
    """Tensors of the ONNX network, not optimised, one image at a time."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    key = session.get_inputs()[0].name
    runs = [session.run(names, {key: image[None]}) for image in images]
    return {
        name: np.concatenate(arrays)
        for name, arrays in zip(names, zip(*runs, strict=True), strict=True)
    }


def node_differences(graph: ir.Graph, model: onnx.ModelProto, images: Array) -> dict[str, Array]:
    """Per graph value the absolute differences in steps, each node alone.

    Every node reads onnxruntime's own integers, so that differences do not add up.
    """
    made = {name for node in model.graph.node for name in node.output}
    names = [node.output for node in graph.nodes if node.output in made]
    expected = run_onnxruntime(model, names, images)
    source = graph.values[graph.input]
    integers = (
        images if images.dtype.kind in "iu" else quantize(images, source.scale, source.signed)
    )
    own = run_graph(graph, integers)
    values = {graph.input: own[graph.input]}
    result = {}
    for node in graph.nodes:
        got = run_node(graph, node, values)
        values[node.output] = got
        if node.output in expected:
            real = expected[node.output].reshape(got.shape)
            if real.dtype.kind in "fb":  # a score or maximum without a quantiser
                value = graph.values[node.output]
                real = quantize(real, value.scale, value.signed)
            values[node.output] = real
            result[node.output] = np.abs(got.astype(np.int64) - real.astype(np.int64))
    return result


@pytest.fixture
def differences() -> Callable[..., dict[str, Array]]:
    """`node_differences`, for networks made elsewhere."""
    return node_differences


Checker = Callable[..., ir.Graph]


@pytest.fixture
def check(load: Importer, rng: np.random.Generator) -> Checker:
    """Import a network and compare every value with onnxruntime's; gives the graph.

    Tolerance: one step.  onnxruntime accumulates and requantises in float32 and rounds half to
    even, the core rounds half up; on these small networks under 2 % of elements may differ.
    """

    def run(net: Qdq, output: str, count: int = 12, **options: Any) -> ir.Graph:
        graph = load(net, output, **options)
        model = net.model(output, **options)
        shape = (count, *net.shape[1:])
        images: Array = rng.normal(0, 2, shape).astype(np.float32)
        if net.image_type == TensorProto.INT8:
            images = rng.integers(-128, 128, shape, dtype=np.int8)
        if net.image_type == TensorProto.UINT8:
            images = rng.integers(0, 256, shape, dtype=np.uint8)
        differences = node_differences(graph, model, images)
        assert graph.output in differences
        assert {name: steps.max() for name, steps in differences.items() if steps.max() > 1} == {}
        assert np.concatenate([steps.ravel() for steps in differences.values()]).mean() <= 0.02
        return graph

    return run
