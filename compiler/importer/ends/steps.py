"""ONNX nodes as the host's steps (`program/network/ends.py`), where they have such a form.

The batch of one that shapes are inferred for is axis 0 of every tensor that is computed; a node
that touches it has no form for a batch of several.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.axes import normal_axis, permutation_of
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.program.network.ends import HostStep
from penstock.program.network.ends_ops import TYPES

FLOATS = ("float16", "float32", "float64")
VIEWS = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
#: Of one array, in floating point.
UNARY = ("Abs", "Ceil", "Exp", "Floor", "Log", "Neg", "Relu", "Round", "Sigmoid", "Sqrt", "Tanh")
BINARY = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")
TESTS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
REDUCTIONS = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")

#: A node's steps, and constants that it adds.
Steps = tuple[list[HostStep], dict[str, Array]]


def to_steps(net: Net, node: OpNode) -> Steps | None:
    """The steps of a node; None if the host has none for it, or it mixes a batch's images."""
    maker = MAKERS.get(node.op)
    if maker is None or not _batched(net, node):
        return None
    try:
        return maker(net, node)
    except (CompileError, IndexError, ValueError):
        return None  # an axis that there is not, operands that are no constants or do not fit


def constant_names(net: Net, node: OpNode) -> list[str]:
    """The operands of a node that are arrays to it, and constants."""
    return [name for name in node.inputs if name and net.is_constant(name)]


def _batched(net: Net, node: OpNode) -> bool:
    """Whether each computed tensor has a known type and shape, the batch of one first, and every
    constant operand leaves the batch alone."""
    shapes = []
    for name in (*node.inputs, *node.outputs):
        if not name or net.is_constant(name):
            continue
        shape = net.shapes.get(name)
        if not shape or shape[0] != 1 or net.types.get(name) not in TYPES:
            return False
        shapes.append(shape)
    return bool(shapes)


def _step(node: OpNode, op: str = "", **attributes: Any) -> Steps:
    names = tuple(name for name in node.inputs if name)[:1]
    return [
        HostStep(op=op or node.op, inputs=names, outputs=node.outputs, attributes=attributes)
    ], {}


def _constant(net: Net, node: OpNode, index: int) -> Array | None:
    """Operand `index`, None if it is absent; CompileError if it is computed."""
    name = node.optional_input(index)
    if not name:
        return None
    if not net.is_constant(name):
        raise node.error("an operand is not a constant")
    return net.constants[name]


def _rank(net: Net, node: OpNode) -> int:
    return len(net.shapes[node.inputs[0]])


def _axis(net: Net, node: OpNode, default: int) -> int:
    """An axis other than the batch's."""
    axis = normal_axis(node, int(node.attrs.get("axis", default)), _rank(net, node))
    if axis == 0:
        raise node.error("works across the batch")
    return axis


def _axes(net: Net, node: OpNode, index: int) -> list[int]:
    """Axes of an operand or an attribute, all if there are none; without the batch's."""
    given = _constant(net, node, index)
    given = node.attrs.get("axes") if given is None else given.reshape(-1)
    rank = _rank(net, node)
    named = range(rank) if given is None else given
    axes = [normal_axis(node, int(axis), rank) for axis in named]
    if 0 in axes:
        raise node.error("works across the batch")
    return axes


def _view(net: Net, node: OpNode) -> Steps:
    return _step(node, "Reshape", shape=list(net.shapes[node.output][1:]))


def _transpose(net: Net, node: OpNode) -> Steps | None:
    perm = permutation_of(net, node)
    return _step(node, perm=list(perm)) if perm[0] == 0 else None


def _cast(net: Net, node: OpNode) -> Steps | None:
    kind = onnx.helper.tensor_dtype_to_np_dtype(node.attrs["to"]).name
    return _step(node, to=kind) if kind in TYPES else None


def _unary(net: Net, node: OpNode) -> Steps | None:
    exact = node.op in ("Abs", "Neg", "Relu")
    known = exact or net.types[node.inputs[0]] in FLOATS
    return _step(node) if known else None


def _leaky(net: Net, node: OpNode) -> Steps:
    return _step(node, alpha=float(node.attrs.get("alpha", 0.01)))


def _not(net: Net, node: OpNode) -> Steps:
    return _step(node)


def _binary(net: Net, node: OpNode) -> Steps | None:
    if len(node.inputs) != 2 or not _broadcasts(net, node):
        return None
    kinds = {
        net.constants[name].dtype.name if net.is_constant(name) else net.types.get(name)
        for name in node.inputs
    }
    if len(kinds) != 1 or (node.op in ("Div", "Pow") and not kinds <= set(FLOATS)):
        return None
    return [HostStep(op=node.op, inputs=node.inputs, outputs=node.outputs, attributes={})], {}


def _broadcasts(net: Net, node: OpNode) -> bool:
    """Whether operands broadcast with the batch first: computed ones of one rank, constants of no
    higher one and without a batch."""
    ranks = {len(net.shapes[name]) for name in node.inputs if not net.is_constant(name)}
    rank = max(ranks)
    constants = [net.constants[name].shape for name in constant_names(net, node)]
    plain = all(len(s) < rank or (len(s) == rank and s[0] == 1) for s in constants)
    return len(ranks) == 1 and plain


def _clip(net: Net, node: OpNode) -> Steps | None:
    """Maximum with the lower bound, minimum with the upper one."""
    steps, constants, name = [], {}, node.inputs[0]
    for op, index in (("Max", 1), ("Min", 2)):
        bound = _constant(net, node, index)
        if bound is None:
            continue
        key, made = f"{node.output}.{op.lower()}", f"{node.output}.{op.lower()}imum"
        constants[key] = bound.reshape(()).astype(net.types[node.inputs[0]])
        steps.append(HostStep(op=op, inputs=(name, key), outputs=(made,), attributes={}))
        name = made
    if not steps:
        return None
    last = steps[-1]
    steps[-1] = HostStep(op=last.op, inputs=last.inputs, outputs=node.outputs, attributes={})
    return steps, constants


def _softmax(net: Net, node: OpNode) -> Steps | None:
    known = net.types[node.inputs[0]] in FLOATS
    return _step(node, axis=_axis(net, node, -1)) if known else None


def _extreme(net: Net, node: OpNode) -> Steps:
    axis = _axis(net, node, 0)
    keep, last = (int(node.attrs.get(k, d)) for k, d in (("keepdims", 1), ("select_last_index", 0)))
    return _step(node, axis=axis, keepdims=keep, last=last)


def _reduce(net: Net, node: OpNode) -> Steps | None:
    if net.types[node.inputs[0]] not in FLOATS:
        return None
    if node.attrs.get("noop_with_empty_axes") and not node.optional_input(1):
        return None
    return _step(node, axes=_axes(net, node, 1), keepdims=int(node.attrs.get("keepdims", 1)))


def _top_k(net: Net, node: OpNode) -> Steps | None:
    count = _constant(net, node, 1)
    if count is None or not node.attrs.get("sorted", 1):
        return None
    axis, largest = _axis(net, node, -1), int(node.attrs.get("largest", 1))
    return _step(node, axis=axis, k=int(count.reshape(())), largest=largest)


def _concat(net: Net, node: OpNode) -> Steps | None:
    if not _broadcasts(net, node) or any(net.constants[n].ndim != len(net.shapes[node.output])
                                         for n in constant_names(net, node)):  # fmt: skip
        return None
    axis = normal_axis(node, int(node.attrs["axis"]), len(net.shapes[node.output]))
    step = HostStep(
        op="Concat", inputs=node.inputs, outputs=node.outputs, attributes={"axis": axis}
    )
    return ([step], {}) if axis else None


def _slice(net: Net, node: OpNode) -> Steps | None:
    starts, ends, steps = (_constant(net, node, index) for index in (1, 2, 4))
    if starts is None or ends is None:
        return None
    given = _constant(net, node, 3)
    rank = _rank(net, node)
    axes = range(len(starts)) if given is None else given.reshape(-1)
    jumps = np.ones(len(starts), np.int64) if steps is None else steps
    keys: dict[str, Any] = {"axes": [], "starts": [], "counts": [], "steps": []}
    for axis, start, end, step in zip(axes, starts, ends, jumps, strict=True):
        where = normal_axis(node, int(axis), rank)
        chosen = range(net.shapes[node.inputs[0]][where])[slice(int(start), int(end), int(step))]
        if (where == 0 and list(chosen) != [0]) or not chosen:
            return None
        for key, value in zip(keys, (where, chosen.start, len(chosen), chosen.step), strict=True):
            if where:
                keys[key].append(value)
    return _step(node, **keys)


def _gather(net: Net, node: OpNode) -> Steps | None:
    indices = _constant(net, node, 1)
    axis = _axis(net, node, 0)
    if indices is None:
        return None
    side = net.shapes[node.inputs[0]][axis]
    chosen = [normal_axis(node, int(index), side) for index in indices.reshape(-1)]
    return _step(node, axis=axis, indices=chosen, shape=list(indices.shape))


def _split(net: Net, node: OpNode) -> Steps:
    axis = _axis(net, node, 0)
    return _step(node, axis=axis, sizes=[net.shapes[name][axis] for name in node.outputs])


def _pad(net: Net, node: OpNode) -> Steps | None:
    pads, value, axes = (_constant(net, node, index) for index in (1, 2, 3))
    if pads is None or node.attrs.get("mode", "constant") != "constant" or axes is not None:
        return None
    rank, number = _rank(net, node), 0.0 if value is None else float(value.reshape(()))
    before, after = (list(map(int, half)) for half in (pads[:rank], pads[rank:]))
    if before[0] or after[0] or min(before + after) < 0 or not math.isfinite(number):
        return None
    return _step(node, before=before[1:], after=after[1:], value=number)


def _quantizer(net: Net, node: OpNode) -> Steps | None:
    """QuantizeLinear and DequantizeLinear, per tensor or along an axis."""
    scale, zero = _constant(net, node, 1), _constant(net, node, 2)
    data = net.types[node.inputs[0]]
    quantizes = node.op == "QuantizeLinear"
    if scale is None or scale.dtype != np.float32 or scale.ndim > 1 or node.attrs.get("block_size"):
        return None
    if zero is None:
        zero = np.zeros(scale.shape, np.uint8 if quantizes else data)
    if not scale.size or zero.size not in (1, scale.size):
        return None
    if zero.dtype.kind not in "iu" or net.types[node.output] not in (zero.dtype.name, "float32"):
        return None
    if quantizes and data != "float32":
        return None
    shape = [1] * _rank(net, node)
    if scale.size > 1:
        shape[_axis(net, node, 1)] = scale.size
    shape = shape if scale.size > 1 else []
    names = f"{node.output}.scale", f"{node.output}.zero_point"
    zero = zero.reshape(shape if zero.size > 1 else [])
    constants = {names[0]: scale.reshape(shape), names[1]: zero}
    inputs = (node.inputs[0], *names)
    return [HostStep(op=node.op, inputs=inputs, outputs=node.outputs, attributes={})], constants


def _matmul(net: Net, node: OpNode) -> Steps | None:
    """A product with a constant matrix on the right."""
    weight = net.constants.get(node.inputs[1])
    if weight is None or weight.ndim != 2 or _rank(net, node) < 2:
        return None
    if net.types[node.inputs[0]] != "float32" or weight.dtype != np.float32:
        return None
    return [HostStep(op="MatMul", inputs=node.inputs, outputs=node.outputs, attributes={})], {}


def _gemm(net: Net, node: OpNode) -> Steps | None:
    """A product, then a sum; factors and a transposed weight are in the constants."""
    weight, bias = _constant(net, node, 1), _constant(net, node, 2)
    float32 = net.types[node.inputs[0]] == "float32"
    if weight is None or weight.dtype != np.float32 or node.attrs.get("transA") or not float32:
        return None
    weight = weight.T if node.attrs.get("transB") else weight
    names = [f"{node.output}.{what}" for what in ("weight", "bias", "product")]
    constants = {names[0]: np.ascontiguousarray(weight * np.float32(node.attrs.get("alpha", 1.0)))}
    made = node.outputs if bias is None else (names[2],)
    inputs = (node.inputs[0], names[0])
    steps = [HostStep(op="MatMul", inputs=inputs, outputs=made, attributes={})]
    if bias is not None:
        if bias.dtype != np.float32 or bias.ndim > 2 or (bias.ndim == 2 and len(bias) != 1):
            return None
        constants[names[1]] = bias * np.float32(node.attrs.get("beta", 1.0))
        steps.append(
            HostStep(op="Add", inputs=(names[2], names[1]), outputs=node.outputs, attributes={})
        )
    return steps, constants


MAKERS: dict[str, Callable[[Net, OpNode], Steps | None]] = {
    **dict.fromkeys(VIEWS, _view),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys((*BINARY, *TESTS), _binary),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "FloatGemm": _gemm,
    "FloatMatMul": _matmul,
    "Transpose": _transpose,
    "Cast": _cast,
    "LeakyRelu": _leaky,
    "Not": _not,
    "Clip": _clip,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "ArgMax": _extreme,
    "ArgMin": _extreme,
    "TopK": _top_k,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Pad": _pad,
    "QuantizeLinear": _quantizer,
    "DequantizeLinear": _quantizer,
}
