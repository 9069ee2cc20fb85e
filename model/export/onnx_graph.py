"""A small builder of ONNX QDQ graphs: it formats nodes and initialisers, nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18  # per-channel QDQ is in it, and every current runtime reads it
IR_VERSION = 8  # of the release that brought opset 18; onnxruntime 1.31 reads up to 13


class GraphBuilder:
    """Collects nodes; every method returns the name of the value it produced.

    Nodes are named after the module they come from; a node's value is "<node>_output".
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """An initialiser; naming an existing one again shares it, if the value agrees."""
        tensor = numpy_helper.from_array(value, name)
        known = self._initializers.setdefault(name, tensor)
        if known.SerializeToString() != tensor.SerializeToString():
            raise ValueError(f"initialiser {name} has two values")
        return name

    def node(self, op: str, name: str, inputs: list[str], **attributes: object) -> str:
        """Any operator with one output."""
        output = f"{name}_output"
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def rename(self, value: str, name: str) -> None:
        """Give any value its name in the graph's interface."""
        for node in self._nodes:
            node.input[:] = [name if given == value else given for given in node.input]
            node.output[:] = [name if made == value else made for made in node.output]

    def quantize(self, value: str, name: str, scale: str, *, signed: bool) -> str:
        """QuantizeLinear -> DequantizeLinear on int8 or uint8, zero point 0."""
        zero = (
            self.constant("zero_int8", np.array(0, dtype=np.int8))
            if signed
            else self.constant("zero_uint8", np.array(0, dtype=np.uint8))
        )
        integers = self.node("QuantizeLinear", f"{name}.quantize", [value, scale, zero])
        return self.node("DequantizeLinear", f"{name}.dequantize", [integers, scale, zero])

    def weights(self, name: str, values: NDArray[np.int8], scale: NDArray[np.float32]) -> str:
        """Dequantised int8 weights, a scale for each output channel (axis 0)."""
        inputs = [
            self.constant(f"{name}.weight", values),
            self.constant(f"{name}.weight_scale", scale),
            self.constant(f"{name}.weight_zero", np.zeros(scale.shape, dtype=np.int8)),
        ]
        return self.node("DequantizeLinear", f"{name}.weight.dequantize", inputs, axis=0)

    def bias(self, name: str, values: NDArray[np.int32], scale: NDArray[np.float32]) -> str:
        """Dequantised int32 biases at the accumulator's scale (s_in * s_w)."""
        inputs = [
            self.constant(f"{name}.bias", values),
            self.constant(f"{name}.bias_scale", scale),
        ]
        return self.node("DequantizeLinear", f"{name}.bias.dequantize", inputs, axis=0)

    def build(
        self,
        name: str,
        input_name: str,
        input_shape: list[int | str],
        output_name: str,
        output_shape: list[int | str],
        metadata: Mapping[str, str],
        others: Sequence[str] = (),
    ) -> onnx.ModelProto:
        """The checked model, with the shape of every value inferred.

        `others`: more outputs, in front of the last, of the same shape.
        """
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, input_shape)],
            [
                helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)
                for output in (*others, output_name)
            ],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="penstock",
        )
        helper.set_model_props(model, dict(metadata))
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model
