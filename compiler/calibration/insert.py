"""Insert QuantizeLinear and DequantizeLinear at the chosen points, and quantise weights."""

import dataclasses

import numpy as np

from penstock.compiler.calibration.points import Points
from penstock.compiler.importer.net import Array, Net, OpNode

#: Float bias over accumulator step: keeps the bias of a (nearly) dead channel inside int32.
MAX_BIAS_STEPS = 2.0**22
MIN_SCALE = 1e-12
WEIGHT_LAYERS = frozenset(["Conv", "Gemm", "MatMul"])


class _Inserter:
    """The nodes and constants of the network being written."""

    def __init__(self, net: Net) -> None:
        self.constants = dict(net.constants)
        self.nodes: list[OpNode] = []
        self.shapes = dict(net.shapes)

    def pair(self, name: str, scale: float, unsigned: bool) -> str:
        """Quantise and dequantise a tensor; the name of the result."""
        kind = np.uint8 if unsigned else np.int8
        parameters = self.parameters(name, np.float32(scale), kind)
        quantized, real = f"{name}_quantized", f"{name}_dequantized"
        self.add("QuantizeLinear", (name, *parameters), quantized)
        self.add("DequantizeLinear", (quantized, *parameters), real)
        self.shapes |= {quantized: self.shapes[name], real: self.shapes[name]}
        return real

    def parameters(self, name: str, scale: Array | np.float32, kind: type) -> tuple[str, str]:
        """Scale and zero point constants for a tensor."""
        names = (f"{name}_scale", f"{name}_zero_point")
        self.constants[names[0]] = np.asarray(scale, dtype=np.float32)
        self.constants[names[1]] = np.zeros(np.shape(scale), dtype=kind)
        return names

    def add(self, op: str, inputs: tuple[str, ...], output: str, axis: int | None = None) -> None:
        attrs = {} if axis is None else {"axis": axis}
        node = OpNode(name=output, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
        self.nodes.append(node)


def insert(net: Net, points: Points, scales: dict[str, float]) -> Net:
    """The quantised network.  Tensors keep their names; quantised ones get a suffix."""
    out = _Inserter(net)
    real = {}
    if net.input in points.unsigned:
        real[net.input] = out.pair(net.input, scales[net.input], points.unsigned[net.input])
    for index, node in enumerate(net.nodes):
        inputs = list(node.inputs)
        for slot, name in enumerate(inputs):
            if (index, slot) in points.readers:
                inputs[slot] = real[name]
        if node.op in WEIGHT_LAYERS:
            inputs[1] = _weight(out, node, scales[node.inputs[0]])
        out.nodes.append(dataclasses.replace(node, inputs=tuple(inputs)))
        if node.output in points.unsigned:
            unsigned = points.unsigned[node.output]
            real[node.output] = out.pair(node.output, scales[node.output], unsigned)
    return net.replace(
        nodes=tuple(out.nodes),
        constants=out.constants,
        shapes=out.shapes,
        output=real[net.output],
        exits=tuple(real[name] for name in net.exits),
    )


def _weight(out: _Inserter, node: OpNode, in_scale: float) -> str:
    """int8 weights of a layer, one scale an output channel; the dequantised name."""
    weight = out.constants.get(node.inputs[1])
    if weight is None:
        raise node.error("its weight is not a constant")
    axis = 0 if node.op == "Conv" or node.attrs.get("transB", 0) else 1
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.abs(weight.astype(np.float64)).max(axis=others) / 127
    bias = out.constants.get(node.optional_input(2), np.zeros(1))
    floor = np.abs(bias.astype(np.float64).reshape(-1)) / (in_scale * MAX_BIAS_STEPS)
    scale = np.maximum(np.maximum(largest, floor), MIN_SCALE).astype(np.float32)
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = np.rint(weight / scale.reshape(shape))
    name = f"{node.label}_weight"
    out.constants[f"{name}_quantized"] = np.clip(steps, -127, 127).astype(np.int8)
    out.add(
        "DequantizeLinear",
        (f"{name}_quantized", *out.parameters(name, scale, np.int8)),
        f"{name}_dequantized",
        axis=axis,
    )
    return f"{name}_dequantized"
