"""Float networks made by hand, compiled with calibration images and compared with onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.compiler.onnx_session import open_session
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import CONFIGS

Array = npt.NDArray[Any]


class Floats:
    """A network under construction: every method returns the name of the tensor it makes.

    Channels, height and width are all 4 unless said otherwise, so that a wrong axis fits as well.
    """

    def __init__(self, seed: int, shape: tuple[Any, ...] = (1, 4, 4, 4)) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, array: Any, kind: npt.DTypeLike = np.float32, name: str = "") -> str:
        name = name or f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def normal(self, *shape: int, spread: float = 0.5, name: str = "") -> str:
        return self.const(self.rng.normal(0, spread, shape), name=name)

    def node(self, op: str, *inputs: str, name: str = "", out: str = "", **attrs: Any) -> str:
        output = out or f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attrs))
        return output

    def conv(self, x: str, outputs: int = 4, inputs: int = 4, kernel: int = 3, **k: Any) -> str:
        weight = self.normal(outputs, inputs, kernel, kernel, spread=(inputs * kernel**2) ** -0.5)
        bias = self.normal(outputs, spread=0.3)
        return self.node("Conv", x, weight, bias, pads=[kernel // 2] * 4, **k)

    def relu(self, x: str, **k: Any) -> str:
        return self.node("Relu", x, **k)

    def pooled(self, x: str) -> str:
        return self.node("Flatten", self.node("GlobalAveragePool", x))

    def gemm(self, x: str, outputs: int = 4, inputs: int = 4, bias: float = 0.3, **k: Any) -> str:
        weight = self.normal(outputs, inputs)
        return self.node("Gemm", x, weight, self.const(np.full(outputs, bias)), transB=1, **k)

    def head(self, x: str, inputs: int = 4) -> str:
        return self.gemm(self.pooled(x), 5, inputs)

    def model(self, *outputs: str, opset: int = 18) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(self.shape))],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        opsets += [helper.make_opsetid(d, 1) for d in {node.domain for node in self.nodes} - {""}]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model).graph.output
        for index, name in enumerate(outputs):
            known = inferred[index].type.tensor_type.HasField("shape")
            open_shape = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "K"])
            model.graph.output[index].CopyFrom(inferred[index] if known else open_shape)
        return model


def run_float(model: onnx.ModelProto, images: Array) -> Array:
    """Logits [N, K] of the float network, one image a run."""
    session = open_session(model)
    name = session.get_inputs()[0].name
    return np.concatenate(
        [session.run(None, {name: image[None]})[0].reshape(1, -1) for image in images]
    )


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "float.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def check_float(
    model: onnx.ModelProto, folder: Path, images: Array, tolerance: float = 0.08
) -> ir.Graph:
    """The calibrated integer graph, after a comparison: logits within `tolerance` of their range.

    It also compiles: the back end names what it derives from the values.
    """
    graph = import_float(save(model, folder), images)
    source, result = graph.values[graph.input], graph.values[graph.output]
    got = run_graph(graph, quantize(images, source.scale, source.signed))[graph.output]
    expected = run_float(model, images)
    error = np.abs(got.reshape(len(images), -1) * result.scale - expected)
    assert expected.shape[1] == got.reshape(len(images), -1).shape[1]
    assert error.max() <= tolerance * np.abs(expected).max()
    compile_graph(graph, CONFIGS["tiny"])
    return graph


def some_images(seed: int, scale: float = 1.0, shape: tuple[int, ...] = (4, 4, 4)) -> Array:
    return (np.random.default_rng(seed).normal(0, 1, (16, *shape)) * scale).astype(np.float32)
