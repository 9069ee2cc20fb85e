"""An ONNX graph under construction: node by node, with the shape of every tensor, odd names.

The same calls make a QDQ network, or the float network of the same form: there `qdq` is the
tensor itself and weights are floating point.
"""

import math
import random as stdlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

Array = npt.NDArray[Any]

#: Names that tools, this project's among them, make of another tensor's.
SUFFIXES = (
    *("_scale", "_zero_point", "_quantized", "_dequantized", "_bias", "_weight", "_axes", "_1"),
    *(".part0", ".copy", ".y", ".clear", ".pool", "_scale_quantized", "_weight_scale", "#1"),
    *("_weight_quantized", "_dequantized_scale", "_quantized_dequantized", "_output", "[0]"),
)
QONNX = "qonnx.custom_op.general"
DTYPES = {True: np.int8, False: np.uint8}


class Impossible(Exception):
    """What was drawn is no valid ONNX; draw again."""


class Builder:
    """`oddness` multiplies the probability of everything unusual; 0 makes plain graphs."""

    def __init__(
        self, random: stdlib.Random, *, opset: int, quantized: bool, oddness: float, names: str
    ) -> None:
        self.random = random
        self.rng = np.random.default_rng(random.getrandbits(32))
        self.opset, self.quantized, self.oddness = opset, quantized, oddness
        self.names = names  # "plain" or "generated"
        self.ranges = False  # tensors have scales and zero points of their own
        self.qonnx = False  # QONNX's Quant in place of both quantisers
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.types: dict[str, onnx.TypeProto] = {}
        self.metadata: dict[str, str] = {}
        self._opsets = [helper.make_opsetid("", opset)]

    # ---- chance

    def odd(self, probability: float) -> bool:
        """Whether to do something unusual."""
        return self.random.random() < probability * self.oddness

    def chance(self, probability: float) -> bool:
        """Whether to do something usual."""
        return self.random.random() < probability

    def pick(self, *choices: Any) -> Any:
        """One of them."""
        return self.random.choice(choices)

    # ---- tensors

    def fresh(self, hint: str) -> str:
        """A name no tensor has; one that looks generated, at times."""
        if self.names == "generated" and self.types and self.chance(0.4):
            name = self.random.choice(list(self.types)) + self.random.choice(SUFFIXES)
            if name not in self.types:
                return name
        return f"{hint}_{len(self.types)}"

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape; the batch is 1."""
        dims = self.types[name].tensor_type.shape.dim
        return tuple(int(dim.dim_value) for dim in dims)

    def input(self, name: str, kind: int, shape: Sequence[int]) -> str:
        """The network's input."""
        self.types[name] = helper.make_tensor_type_proto(kind, shape)
        return name

    def const(self, array: Any, kind: npt.DTypeLike = np.float32) -> str:
        """A constant: an initialiser, or the output of a node."""
        data = np.asarray(array, dtype=kind)
        name = self.fresh("const")
        tensor = numpy_helper.from_array(data, name)
        self.types[name] = helper.make_tensor_type_proto(tensor.data_type, data.shape)
        self.constants[name] = tensor
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        """Append a node; the name of its output, or a list of names.

        Raises:
            Impossible: its inputs or attributes do not fit.
        """
        names = []
        for _ in range(outputs):
            names.append(self.fresh(op.lower()))
            self.types[names[-1]] = onnx.TypeProto()
        node = helper.make_node(op, list(inputs), names, name=self._node_name(op), **attrs)
        known = [name for name in inputs if name]
        if op in ("QuantizeLinear", "DequantizeLinear"):  # half of all nodes, and plain
            return self._scaled(node)
        try:
            found = onnx.shape_inference.infer_node_outputs(
                defs.get_schema(op, self.opset),
                node,
                {name: self.types[name] for name in known},
                {name: self.constants[name] for name in known if name in self.constants},
                opset_imports=self._opsets,
                ir_version=10,
            )
        except (onnx.shape_inference.InferenceError, RuntimeError) as error:
            raise Impossible(str(error)) from None
        for name in names:
            kind = found.get(name, onnx.TypeProto())
            dims = kind.tensor_type.shape.dim
            scalar = not len(dims) and op != "Gather"  # of Gather, the batch's size
            if scalar or any(dim.dim_value < 1 for dim in dims):
                raise Impossible(f"no shape of {name}")
            self.types[name] = kind
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def by_size(self, x: str, size: int) -> str:
        """x.view(x.size(0), -1) as exporters write it; no inference follows its sizes."""
        shape, first = self.fresh("shape"), self.const(0, np.int64)
        self.types[shape] = helper.make_tensor_type_proto(TensorProto.INT64, [len(self.shape(x))])
        self.nodes.append(helper.make_node("Shape", [x], [shape]))
        batch = self.axes("Unsqueeze", self.node("Gather", shape, first, axis=0), [0])
        target = self.node("Concat", batch, self.const([-1], np.int64), axis=0)
        y = self.fresh("view")
        self.types[y] = helper.make_tensor_type_proto(TensorProto.FLOAT, [1, size])
        self.nodes.append(helper.make_node("Reshape", [x, target], [y]))
        return y

    def _scaled(self, node: onnx.NodeProto) -> str:
        """A quantiser, or its twin: the shape stays."""
        kind = TensorProto.FLOAT
        if node.op_type == "QuantizeLinear":
            zero = node.input[2] if len(node.input) > 2 else ""
            kind = self.types[zero].tensor_type.elem_type if zero else TensorProto.UINT8
        shape = self.shape(node.input[0])
        self.types[node.output[0]] = helper.make_tensor_type_proto(kind, shape)
        self.nodes.append(node)
        return str(node.output[0])

    def _node_name(self, op: str) -> str:
        kind = self.random.random()
        if self.names == "plain" or kind < 0.4:
            return f"{op.lower()}{len(self.nodes)}"
        return "" if kind < 0.7 else op.lower()  # several of one name

    def axes(self, op: str, x: str, axes: Sequence[int], **attrs: Any) -> str:
        """A node whose axes are an attribute in early operator sets, an input in later ones."""
        first = {"ReduceMean": 18, "Squeeze": 13, "Unsqueeze": 13}[op]
        if self.opset < first:
            return str(self.node(op, x, axes=list(axes), **attrs))
        return str(self.node(op, x, self.const(list(axes), np.int64), **attrs))

    # ---- quantisation

    def qdq(self, x: str, scale: float, signed: bool = True) -> str:
        """A tensor quantised and dequantised; in a float network itself."""
        if not self.quantized:
            return x
        if self.qonnx:
            return self._quant(x, scale, signed)
        q = self.quantize(x, scale, signed)
        if self.odd(0.03):
            q = self.limit_integers(q, signed)
        return self.dequantize(q, scale, DTYPES[signed])

    def _quant(self, x: str, scale: float, signed: bool) -> str:
        """QONNX's Quant of 8 bits, or of fewer."""
        bits = self.pick(8, 8, 8, 7, 5)
        names = [self.const(value) for value in (scale, 0.0, float(bits))]
        y = self.fresh("quant")
        self.types[y] = helper.make_tensor_type_proto(TensorProto.FLOAT, self.shape(x))
        attrs = {"signed": int(signed), "narrow": int(signed and self.odd(0.2))}
        self.nodes.append(
            helper.make_node(
                "Quant", [x, *names], [y], domain=QONNX, rounding_mode="ROUND", **attrs
            )
        )
        return y

    def coded(self, x: str, scale: float, signed: bool = True) -> tuple[str, float]:
        """`qdq`, and the scale; where tensors have `ranges`, another one, and a zero point."""
        if not (self.ranges and self.quantized):
            return self.qdq(x, scale, signed), scale
        scale = float(np.float32(scale * self.random.uniform(0.6, 1.7)))
        zero = self.pick(
            0, self.random.randint(-128, 127) if signed else self.pick(0, 30, 128, 200)
        )
        names = self.const(scale), self.const(zero, DTYPES[signed])
        q = self.node("QuantizeLinear", x, *names)
        return str(self.node("DequantizeLinear", q, *names)), scale

    def quantize(self, x: str, scale: float, signed: bool) -> str:
        """QuantizeLinear; without a zero point for uint8, at times."""
        parameters = [self.const(scale)]
        if signed or not self.odd(0.1):
            parameters.append(self.const(1 if self.odd(0.004) else 0, DTYPES[signed]))
        return str(self.node("QuantizeLinear", x, *parameters))

    def dequantize(self, x: str, scale: Any, kind: npt.DTypeLike, **attrs: Any) -> str:
        """DequantizeLinear with one scale, or one along an axis."""
        parameters = [self.const(scale)]
        if not self.odd(0.2):
            parameters.append(self.const(np.zeros(np.shape(scale)), kind))
        return str(self.node("DequantizeLinear", x, *parameters, **attrs))

    def limit_integers(self, q: str, signed: bool) -> str:
        """A limit between a quantiser and its twin."""
        kind = DTYPES[signed]
        low, high = sorted(self.random.sample(range(120), 2))
        op = self.pick("Clip", "Min", "Max")
        if op == "Clip":
            return str(self.node("Clip", q, self.const(low, kind), self.const(high, kind)))
        return str(self.node(op, q, self.const(low if op == "Max" else high, kind)))

    def weight(self, shape: Sequence[int], axis: int, gain: float = 1.0) -> str:
        """Weights of a layer, outputs along `axis`, of about unit variance at its result."""
        outputs = shape[axis]
        spread = gain / math.sqrt(math.prod(shape) / outputs)
        if not self.quantized:
            real = self.rng.normal(0, spread, shape)
            if self.odd(0.05):  # a dead output
                real[(slice(None),) * axis + (0,)] = 0
            return self.const(real)
        return self._integer_weight(list(shape), axis, spread)

    def _integer_weight(self, shape: list[int], axis: int, spread: float) -> str:
        largest = self.pick(127, 127, 127, 3, 1) if self.odd(0.3) else 127
        integers = self.rng.integers(-largest, largest + 1, shape)
        scale = self.rng.uniform(0.5, 1.5, shape[axis]) * spread * 1.7 / max(largest, 1.2)
        if self.odd(0.1):  # equal rows, unequal scales
            integers[:] = np.take(integers, [0], axis=axis)
        name = self.const(integers, np.int8)
        if self.chance(0.2):
            return self.dequantize(name, float(scale[0]), np.int8)
        return self.dequantize(name, scale, np.int8, axis=axis - len(shape) * self.odd(0.3))

    # ---- the model

    def model(self, image: str, outputs: Sequence[str], batch: bool) -> onnx.ModelProto:
        """The network; `batch`: with an open batch.  Some constants become nodes."""
        source = self.types[image].tensor_type
        shape = ["N" if batch else 1, *self.shape(image)[1:]]
        initializers, nodes = [], []
        for tensor in self.constants.values():
            if self.odd(0.05):
                nodes.append(helper.make_node("Constant", [], [tensor.name], value=tensor))
            else:
                initializers.append(tensor)
        graph = helper.make_graph(
            [*nodes, *self.nodes],
            "random",
            [helper.make_tensor_value_info(image, source.elem_type, shape)],
            [
                helper.make_tensor_value_info(
                    name, TensorProto.FLOAT, [None] * len(self.shape(name))
                )
                for name in outputs
            ],
            initializers,
        )
        opsets = [*self._opsets, *([helper.make_opsetid(QONNX, 1)] if self.qonnx else [])]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        helper.set_model_props(model, self.metadata)
        return model

    def _output(self, name: str) -> onnx.ValueInfoProto:
        """An output of the network, of any size."""
        dims = [None] * len(self.shape(name))
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
