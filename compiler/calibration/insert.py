"""Insert QuantizeLinear and DequantizeLinear at the chosen points, and quantise weights."""

import dataclasses

import numpy as np

from penstock.compiler.calibration.points import Points
from penstock.compiler.importer.exits import EXITS
from penstock.compiler.importer.logits import scale_properties
from penstock.compiler.importer.net import Array, Net, OpNode

#: Float bias over accumulator step: keeps the bias of a (nearly) dead channel inside int32.
MAX_BIAS_STEPS = 2.0**22
#: Of a channel without weights and bias in a layer of such channels: any scale will do.
DEAD_SCALE = 1.0
LARGEST = 2**31 - 1
TINY = float(np.finfo(np.float32).tiny)
WEIGHT_LAYERS = frozenset(["Conv", "Gemm", "MatMul"])


class _Inserter:
    """The nodes and constants of the network being written."""

    def __init__(self, net: Net) -> None:
        self.constants = dict(net.constants)
        self.nodes: list[OpNode] = []
        self.shapes = dict(net.shapes)
        self.fresh = net.fresh_names()

    def pair(self, name: str, scale: float, unsigned: bool) -> str:
        """Quantise and dequantise a tensor; the name of the result."""
        kind = np.uint8 if unsigned else np.int8
        parameters = self.parameters(name, np.float32(scale), kind)
        quantized, real = self.fresh(f"{name}_quantized"), self.fresh(f"{name}_dequantized")
        self.add("QuantizeLinear", (name, *parameters), quantized)
        self.add("DequantizeLinear", (quantized, *parameters), real)
        self.shapes |= {quantized: self.shapes[name], real: self.shapes[name]}
        return real

    def parameters(self, name: str, scale: Array | np.float32, kind: type) -> tuple[str, str]:
        """Scale and zero point constants for a tensor."""
        scales = np.asarray(scale, dtype=np.float32)
        return (
            self.constant(f"{name}_scale", scales),
            self.constant(f"{name}_zero_point", np.zeros(np.shape(scale), dtype=kind)),
        )

    def constant(self, wanted: str, array: Array) -> str:
        """A new constant; its name."""
        name = self.fresh(wanted)
        self.constants[name] = array
        return name

    def add(self, op: str, inputs: tuple[str, ...], output: str, axis: int | None = None) -> None:
        attrs = {} if axis is None else {"axis": axis}
        node = OpNode(name=output, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
        self.nodes.append(node)


def check_layers(net: Net) -> None:
    """CompileError unless weights and biases are finite constants."""
    for node in net.nodes:
        if node.op not in WEIGHT_LAYERS:
            continue
        for index, what in ((1, "weight"), (2, "bias")):
            array = net.constants.get(node.optional_input(index))
            if array is None:
                if index == 1 or node.optional_input(index):
                    raise node.error(f"its {what} is not a constant")
                continue
            rank = 4 if node.op == "Conv" else 2
            if index == 1 and array.ndim != rank:
                raise node.error(f"its weight has {array.ndim} dimensions", f"give it {rank}")
            if not np.isfinite(array).all():
                raise node.error(f"its {what} holds infinity")


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
            inputs[1], steps = _weight(out, node, scales[node.inputs[0]])
            if node.optional_input(2) and _normal(steps):
                inputs[2] = _bias(out, node, steps)
        out.nodes.append(dataclasses.replace(node, inputs=tuple(inputs)))
        for name in node.outputs:
            if name in points.unsigned and name not in points.wide:
                real[name] = out.pair(name, scales[name], points.unsigned[name])
    results = [real.get(name, name) for name in net.results]
    wide = {name: scales[name] for name in net.results if name in points.wide}
    metadata = {**net.metadata, **scale_properties(wide)}
    if EXITS in metadata:
        metadata[EXITS] = ",".join(results)
    return net.with_results(
        results,
        nodes=tuple(out.nodes),
        constants=out.constants,
        shapes=out.shapes,
        metadata=metadata,
    )


def _weight(out: _Inserter, node: OpNode, in_scale: float) -> tuple[str, Array]:
    """int8 weights of a layer, one scale an output channel: the dequantised name, and the steps of
    the accumulator, float32 (outputs,)."""
    weight = out.constants[node.inputs[1]].astype(np.float64)
    axis = 0 if node.op == "Conv" or node.attrs.get("transB", 0) else weight.ndim - 1
    scale = _weight_scales(out, node, np.moveaxis(weight, axis, 0), in_scale)
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = np.rint(weight / scale.reshape(shape))
    name = f"{node.label}_weight"
    integers = out.constant(f"{name}_quantized", np.clip(steps, -127, 127).astype(np.int8))
    real = out.fresh(f"{name}_dequantized")
    out.add("DequantizeLinear", (integers, *out.parameters(name, scale, np.int8)), real, axis=axis)
    return real, (in_scale * scale.astype(np.float64)).astype(np.float32)


def _bias(out: _Inserter, node: OpNode, steps: Array) -> str:
    """int32 biases of a layer in steps of its accumulator; the dequantised name.

    So the file says what the core adds, also where a step of the result is finer than that.
    """
    bias = np.broadcast_to(
        out.constants[node.inputs[2]].astype(np.float64).reshape(-1), steps.shape
    )
    whole = np.rint(bias / steps.astype(np.float64))
    name = f"{node.label}_bias"
    integers = out.constant(f"{name}_quantized", np.clip(whole, -LARGEST, LARGEST).astype(np.int32))
    real = out.fresh(f"{name}_dequantized")
    scale = out.constant(f"{name}_scale", steps)
    out.add("DequantizeLinear", (integers, scale), real, axis=0)
    return real


def _normal(steps: Array) -> bool:
    """Whether float32 holds them in full precision; a bias stays as it is where it does not."""
    return bool(np.isfinite(steps).all() and (steps >= TINY).all())


def _weight_scales(out: _Inserter, node: OpNode, weight: Array, in_scale: float) -> Array:
    """float32, one an output channel; `weight` has them first.

    The largest weight is 127 steps, unless the bias then were more steps than an accumulator
    should hold.  A channel without either takes the largest scale of the others.
    """
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1, initial=0.0) / 127
    bias = np.zeros(1)
    if node.optional_input(2):
        bias = out.constants[node.inputs[2]].astype(np.float64).reshape(-1)
    if bias.size not in (1, len(weight)):
        raise node.error(f"its bias has {bias.size} elements for {len(weight)} outputs")
    floor = np.abs(bias) / (in_scale * MAX_BIAS_STEPS)
    scale = np.maximum(largest, floor)
    scale = np.where(scale > 0, scale, scale.max(initial=0.0) or DEAD_SCALE)
    return np.maximum(scale, TINY).astype(np.float32)
