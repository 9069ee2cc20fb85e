"""What the host computes of whole arrays, operator by operator: ONNX's semantics in NumPy.

Arrays have the batch first.  An axis counts from 0 with the batch as axis 0, which no operator
touches.  Attributes are numbers, or lists of them, as `ATTRIBUTES` says.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Array], Attributes], list[Array]]

#: No array that a step makes of one image is larger (elements).
LARGEST = 1 << 26

#: NumPy's names of the types that arrays may have.
# fmt: off
TYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "float32", "float64",
)
# fmt: on


def _one(function: Callable[..., Any]) -> Operator:
    """An operator of whole arrays that stay of one type, broadcast as NumPy and ONNX do."""

    def run(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        bounded(np.broadcast_shapes(*(array.shape for array in arrays)))
        return [np.asarray(function(*arrays), dtype=arrays[0].dtype)]

    return run


def _test(function: Callable[..., Any]) -> Operator:
    """The same, with a result of type bool."""

    def run(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        bounded(np.broadcast_shapes(*(array.shape for array in arrays)))
        return [np.asarray(function(*arrays), dtype=np.bool_)]

    return run


def bounded(shape: Sequence[int]) -> None:
    """ValueError if an array of N x `shape` would hold more an image than anything real does."""
    if int(np.prod([int(side) for side in shape[1:]], dtype=object)) > LARGEST:
        raise ValueError(f"makes an array of {' x '.join(map(str, shape))}")


def _reshape(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """`shape`: of one image."""
    return [arrays[0].reshape(len(arrays[0]), *attributes["shape"])]


def _transpose(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    return [arrays[0].transpose(attributes["perm"])]


def _cast(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    to = np.dtype(attributes["to"])
    array = arrays[0]
    if array.dtype.kind == "f" and to.kind in "iu" and to.itemsize < 8:
        array = array.astype(np.int64)  # what C leaves open differs between machines
    return [array.astype(to)]


def softmax(x: Array, axis: int) -> Array:
    """exp(x - max) / sum, in the type of `x`."""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def _softmax(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    return [softmax(arrays[0], attributes["axis"])]


def _log_softmax(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    axis = attributes["axis"]
    moved = arrays[0] - arrays[0].max(axis=axis, keepdims=True)
    return [moved - np.log(np.exp(moved).sum(axis=axis, keepdims=True))]


def _extreme(function: Callable[..., Any]) -> Operator:
    def run(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        axis, x = attributes["axis"], arrays[0]
        if attributes["last"]:
            found = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis)
        else:
            found = function(x, axis=axis)
        found = np.asarray(found, dtype=np.int64)
        return [np.expand_dims(found, axis) if attributes["keepdims"] else found]

    return run


def _reduce(function: Callable[..., Any]) -> Operator:
    def run(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
        axes, keep = tuple(attributes["axes"]), bool(attributes["keepdims"])
        made = function(arrays[0], axis=axes, keepdims=keep)
        return [np.asarray(made, dtype=arrays[0].dtype)]

    return run


def _norm(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.sqrt((x * x).sum(axis=axis, keepdims=keepdims)))


def _top_k(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """The k largest (or smallest) in order; of equal ones the first."""
    axis, x = attributes["axis"], arrays[0]
    keys = -x.astype(np.float64) if attributes["largest"] else x
    order = np.argsort(keys, axis=axis, kind="stable")
    first = np.take(order, range(attributes["k"]), axis=axis)
    return [np.take_along_axis(x, first, axis), first.astype(np.int64)]


def _concat(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    axis = attributes["axis"]
    count = max(len(array) for array in arrays)
    wide = [np.broadcast_to(array, (count, *array.shape[1:])) for array in arrays]
    return [np.concatenate(wide, axis=axis)]


def _slice(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """From `starts` on, `counts` of them in steps of `steps`, along `axes`."""
    x = arrays[0]
    keys = zip(*(attributes[key] for key in ("axes", "starts", "counts", "steps")), strict=True)
    for axis, start, count, step in keys:
        bounded((1, count))
        x = np.take(x, start + step * np.arange(count), axis=axis)
    return [x]


def _gather(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """Along one axis: `indices`, in the shape `shape` (empty: one of them)."""
    axis, x = attributes["axis"], arrays[0]
    indices = np.asarray(attributes["indices"], dtype=np.int64).reshape(attributes["shape"])
    return [np.take(x, indices, axis=axis)]


def _split(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    sizes, axis, x = attributes["sizes"], attributes["axis"], arrays[0]
    if sum(sizes) != x.shape[axis]:
        raise ValueError("splits into parts that do not add up")
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _pad(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """`before` and `after` of every axis behind the batch, filled with `value`."""
    x = arrays[0]
    widths = [(0, 0), *zip(attributes["before"], attributes["after"], strict=True)]
    bounded([side + sum(width) for side, width in zip(x.shape, widths, strict=True)])
    value = np.asarray(attributes["value"]).astype(x.dtype)
    return [np.pad(x, widths, constant_values=value)]


def _quantize(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """q = sat(rint(x / scale) + zero point), of the zero point's type."""
    x, scale, zero = arrays
    info = np.iinfo(zero.dtype)
    steps = np.rint(x / scale) + zero.astype(np.float32)
    return [np.clip(steps, info.min, info.max).astype(zero.dtype)]


def _dequantize(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """x = (q - zero point) * scale."""
    codes, scale, zero = arrays
    return [(codes.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale]


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _matmul(arrays: Sequence[Array], attributes: Attributes) -> list[Array]:
    """x @ w, of the type of `x`; `w` is a matrix."""
    x, w = arrays
    if w.ndim != 2 or x.ndim < 2 or x.shape[-1] != len(w):
        raise ValueError(f"multiplies {x.shape} with {w.shape}")
    bounded((*x.shape[:-1], w.shape[1]))
    return [np.asarray(x @ w, dtype=x.dtype)]


#: Kinds of attributes: a number, a list of numbers, a type's name.
INT, INTS, NUMBER, TYPE = "int", "ints", "number", "type"

#: What each operator takes beside its arrays.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "Reshape": {"shape": INTS},
    "Transpose": {"perm": INTS},
    "Cast": {"to": TYPE},
    "Softmax": {"axis": INT},
    "LogSoftmax": {"axis": INT},
    "ArgMax": {"axis": INT, "keepdims": INT, "last": INT},
    "ArgMin": {"axis": INT, "keepdims": INT, "last": INT},
    "ReduceMax": {"axes": INTS, "keepdims": INT},
    "ReduceMin": {"axes": INTS, "keepdims": INT},
    "ReduceSum": {"axes": INTS, "keepdims": INT},
    "ReduceMean": {"axes": INTS, "keepdims": INT},
    "ReduceL2": {"axes": INTS, "keepdims": INT},
    "TopK": {"axis": INT, "k": INT, "largest": INT},
    "Concat": {"axis": INT},
    "Slice": {"axes": INTS, "starts": INTS, "counts": INTS, "steps": INTS},
    "Gather": {"axis": INT, "indices": INTS, "shape": INTS},
    "Split": {"axis": INT, "sizes": INTS},
    "Pad": {"before": INTS, "after": INTS, "value": NUMBER},
    "LeakyRelu": {"alpha": NUMBER},
}

OPERATORS: dict[str, Operator] = {
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Cast": _cast,
    "Add": _one(np.add),
    "Sub": _one(np.subtract),
    "Mul": _one(np.multiply),
    "Div": _one(np.divide),
    "Max": _one(np.maximum),
    "Min": _one(np.minimum),
    "Pow": _one(np.power),
    "Neg": _one(np.negative),
    "Abs": _one(np.abs),
    "Exp": _one(np.exp),
    "Log": _one(np.log),
    "Sqrt": _one(np.sqrt),
    "Floor": _one(np.floor),
    "Ceil": _one(np.ceil),
    "Round": _one(np.rint),
    "Sigmoid": _one(_sigmoid),
    "Tanh": _one(np.tanh),
    "Relu": _one(lambda x: np.maximum(x, 0)),
    "LeakyRelu": lambda arrays, attributes: _one(
        lambda x: np.where(x < 0, x * np.asarray(attributes["alpha"], x.dtype), x)
    )(arrays, attributes),
    "Greater": _test(np.greater),
    "GreaterOrEqual": _test(np.greater_equal),
    "Less": _test(np.less),
    "LessOrEqual": _test(np.less_equal),
    "Equal": _test(np.equal),
    "Not": _test(np.logical_not),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "ArgMax": _extreme(np.argmax),
    "ArgMin": _extreme(np.argmin),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceSum": _reduce(np.sum),
    "ReduceMean": _reduce(np.mean),
    "ReduceL2": _reduce(_norm),
    "TopK": _top_k,
    "MatMul": _matmul,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}

#: Behind these the largest logit is still the largest, or as large as any.
KEEPS_ORDER = frozenset(
    ["Cast", "DequantizeLinear", "LogSoftmax", "QuantizeLinear", "Relu", "Reshape", "Sigmoid"]
    + ["Softmax", "Tanh"]
)
#: These put numbers elsewhere and compute nothing.
MOVES = frozenset(["Gather", "Reshape", "Slice", "Split", "Transpose"])
