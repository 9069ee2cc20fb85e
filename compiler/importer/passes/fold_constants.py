"""Evaluate what depends on constants alone: shapes of reshapes, quantised float weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from penstock.compiler.importer.net import Array, Net, OpNode

#: Folding never builds anything larger than this (elements).
MAX_ELEMENTS = 1 << 26

Fold = Callable[[OpNode, list[Array]], Array]


def fold_constants(net: Net) -> Net:
    """Replace nodes with constant inputs by their value.  DequantizeLinear stays: its integers
    are the weights.  Preserves every remaining value."""
    constants = dict(net.constants)
    kept: list[OpNode] = []
    for node in net.nodes:
        value = _evaluate(node, constants, net)
        if value is None:
            kept.append(node)
        else:
            constants[node.output] = value
    return net.replace(nodes=tuple(kept), constants=constants)


def _evaluate(node: OpNode, constants: dict[str, Array], net: Net) -> Array | None:
    if node.op == "Shape":
        shape = net.shapes.get(node.inputs[0])
        span = slice(node.attrs.get("start", 0), node.attrs.get("end"))
        return None if shape is None else np.array(shape, dtype=np.int64)[span]
    if node.op == "Constant":
        return _constant(node)
    fold = FOLDS.get(node.op)
    if fold is None or not all(name in constants for name in node.inputs if name):
        return None
    arrays = [constants[name] for name in node.inputs if name]
    if sum(array.size for array in arrays) > MAX_ELEMENTS:
        raise node.error("constants are too large to fold")
    try:
        return fold(node, arrays)
    except (ValueError, IndexError, TypeError) as error:
        raise node.error(f"cannot be evaluated: {error}") from None


def _constant(node: OpNode) -> Array:
    for key, value in node.attrs.items():
        if key == "value":
            return np.asarray(value)
        if key in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise node.error("has no numeric value")


def _cast(node: OpNode, arrays: list[Array]) -> Array:
    return arrays[0].astype(onnx.helper.tensor_dtype_to_np_dtype(node.attrs["to"]))


def _concat(node: OpNode, arrays: list[Array]) -> Array:
    return np.concatenate(arrays, axis=node.attrs["axis"])


def _gather(node: OpNode, arrays: list[Array]) -> Array:
    return np.take(arrays[0], arrays[1], axis=node.attrs.get("axis", 0))


def _reshape(node: OpNode, arrays: list[Array]) -> Array:
    data, target = arrays
    dims = [data.shape[i] if dim == 0 else int(dim) for i, dim in enumerate(target)]
    return data.reshape(dims)


def _squeeze(node: OpNode, arrays: list[Array]) -> Array:
    axes = tuple(int(axis) for axis in arrays[1]) if len(arrays) > 1 else None
    return np.squeeze(arrays[0], axis=axes)


def _unsqueeze(node: OpNode, arrays: list[Array]) -> Array:
    return np.expand_dims(arrays[0], tuple(int(axis) for axis in arrays[1]))


def _transpose(node: OpNode, arrays: list[Array]) -> Array:
    return np.transpose(arrays[0], node.attrs.get("perm"))


def _quantize(node: OpNode, arrays: list[Array]) -> Array:
    """QuantizeLinear of a float weight: half to even, as onnxruntime does it."""
    data, scale = arrays[0], arrays[1]
    zero = arrays[2] if len(arrays) > 2 else np.array(0, dtype=np.uint8)
    if zero.any():
        raise ValueError("the zero point is not 0")
    if zero.dtype not in (np.int8, np.uint8, np.int32):
        raise ValueError(f"quantises to {zero.dtype}, not to 8 bit")
    if scale.size > 1:
        shape = [1] * data.ndim
        shape[node.attrs.get("axis", 1)] = -1
        scale = scale.reshape(shape)
    limits = np.iinfo(zero.dtype)
    steps = np.rint(data.astype(np.float32) / scale)
    return np.clip(steps, limits.min, limits.max).astype(zero.dtype)


def _elementwise(function: Callable[..., Any]) -> Fold:
    return lambda node, arrays: np.asarray(function(*arrays))


def _divide(node: OpNode, arrays: list[Array]) -> Array:
    a, b = arrays
    return np.asarray(a // b if a.dtype.kind in "iu" else a / b)


FOLDS: dict[str, Fold] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _divide,
    "Gather": _gather,
    "Identity": lambda node, arrays: arrays[0],
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "QuantizeLinear": _quantize,
    "Reshape": _reshape,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
