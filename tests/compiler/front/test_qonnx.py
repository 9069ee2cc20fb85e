"""QONNX's Quant nodes: integers of 8 bits and fewer, against onnxruntime on their QDQ form."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from tests.compiler.back.test_bit_exact import assert_exact
from tests.compiler.front.floats import save
from tests.compiler.front.test_quantisers import checked

DOMAIN = "qonnx.custom_op.general"


class Qonnx:
    """A small network whose tensors Quant nodes quantise, as brevitas writes them."""

    def __init__(self, opset: int = 13, domain: str = DOMAIN) -> None:
        self.rng = np.random.default_rng(5)
        self.opset, self.domain = opset, domain
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, array: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attrs: Any) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, domain=domain, **attrs))
        return name

    def quant(self, x: str, scale: Any, bits: float = 8, zero: float = 0, **attrs: Any) -> str:
        attrs = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attrs
        parameters = self.const(scale), self.const(zero), self.const(bits)
        return self.node("Quant", x, *parameters, domain=self.domain, **attrs)

    def conv(self, x: str, shape: tuple[int, ...], bits: float, **attrs: Any) -> str:
        scale = self.rng.uniform(0.5, 1, (shape[0], 1, 1, 1)) / 2 ** (bits + 1)
        weight = self.const(self.rng.normal(0, 0.3, shape))
        w = self.quant(weight, scale, bits, narrow=1)
        return self.node("Conv", x, w, self.const(self.rng.normal(0, 0.2, shape[0])), **attrs)

    def model(self, bits: float = 8, zero: float = 0) -> onnx.ModelProto:
        x = self.quant("x", 0.05)
        y = self.node("Relu", self.conv(x, (6, 3, 3, 3), bits, pads=[1] * 4))
        y = self.quant(y, 0.04 * 2 ** (8 - bits), bits, zero, signed=0)
        y = self.node("Relu", self.conv(y, (5, 6, 3, 3), bits, pads=[1] * 4, strides=[2, 2]))
        y = self.quant(y, 0.05 * 2 ** (8 - bits), bits, signed=0)
        y = self.quant(self.node("GlobalAveragePool", y), 0.02, signed=0)
        return self.made(self.quant(self.conv(y, (4, 5, 1, 1), bits), 0.03))

    def made(self, output: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "qonnx",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * 4)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(self.domain, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def images() -> Any:
    return np.random.default_rng(9).normal(0, 2, (6, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
@pytest.mark.parametrize(
    ("opset", "domain"), [(13, DOMAIN), (11, "onnx.brevitas"), (18, "finn.custom_op.general")]
)
def test_bits(bits: int, opset: int, domain: str, tmp_path: Path) -> None:
    graph = checked(Qonnx(opset, domain).model(bits), tmp_path, images())
    assert_exact(graph, "tiny")
    convs = [node for node in graph.nodes if isinstance(node, ir.Conv)]
    assert convs[0].clamp == (0, 2**bits - 1)
    if bits > 2:  # there a finer accumulator keeps the biases
        assert max(np.abs(conv.weight).max() for conv in convs) <= 2 ** (bits - 1) - 1


def test_a_zero_point(tmp_path: Path) -> None:
    checked(Qonnx().model(8, 7), tmp_path, images())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 16}, r"\(Quant\): quantises to \[16.0\] bits; quantise to 8 bits or fewer"),
        ({"bits": 3.5}, r"\(Quant\): quantises to \[3.5\] bits"),
        ({"rounding_mode": "FLOOR"}, r"\(Quant\): rounds by FLOOR"),
        ({"zero": 0.5}, r"\(Quant\): has zero points that are no single whole number"),
        ({"zero": 300}, r"\(Quant\): has the zero point 300, beyond int8"),
        ({"scale": [[1.0, 2.0], [3.0, 4.0]]}, r"\(Quant\): has scales of shape \(2, 2\)"),
        ({"scale": np.inf}, r"\(Quant\): has a scale, .* that is not finite"),
    ],
)
def test_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    net = Qonnx()
    settings = {"scale": 0.05} | change
    model = net.made(net.quant("x", **settings))
    with pytest.raises(CompileError, match=message):
        import_onnx(save(model, tmp_path))


def test_a_computed_scale_is_refused(tmp_path: Path) -> None:
    net = Qonnx()
    model = net.made(net.quant("x", 0.05))
    model.graph.node[0].input[1] = "x"
    with pytest.raises(CompileError, match=r"\(Quant\): has a scale, .* that is no constant"):
        import_onnx(save(model, tmp_path))
