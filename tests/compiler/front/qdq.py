"""A builder of small QDQ networks."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from penstock.compiler.numerics import SCORE_SCALE

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
        """The network, its output's type and shape inferred."""
        model = self.untyped(output, opset, ir_version)
        model.graph.output[0].CopyFrom(helper.make_empty_tensor_value_info(output))
        inferred = onnx.shape_inference.infer_shapes(model)
        model.graph.output[0].CopyFrom(inferred.graph.output[0])
        return model

    def untyped(self, output: str, opset: int = 18, ir_version: int = 10) -> onnx.ModelProto:
        """The network with an output of four open dimensions: no shape is inferred."""
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", self.image_type, list(self.shape))],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, list("abcd"))],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
        helper.set_model_props(model, self.metadata)
        return model
