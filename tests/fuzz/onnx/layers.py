"""Layers with odd attributes, in a `Builder`: convolutions, dense layers, pools, limits, views."""

import dataclasses
from typing import Any

import numpy as np

from tests.fuzz.onnx.builder import Builder
from tests.fuzz.onnx.curves import curve

Y = 0.04  # scale of a map
P = 0.02  # scale of a pooled vector


@dataclasses.dataclass(frozen=True, slots=True)
class Map:
    """A map that layers may read: quantised, in a QDQ network."""

    name: str
    scale: float
    signed: bool


# ---- convolutions


def geometry(b: Builder, kernel: int, stride: int) -> dict[str, Any]:
    """Padding, strides and dilations of a convolution: K // 2 all round, or something odd."""
    attrs: dict[str, Any] = {"pads": [kernel // 2] * 4}
    if stride == 2 and kernel == 3 and b.chance(0.25):  # Keras
        attrs["pads"] = [0, 0, 1, 1]
    if stride > 1 or b.chance(0.3):
        attrs["strides"] = [stride] * 2
    if b.chance(0.5):
        attrs["kernel_shape"] = [kernel] * 2
    if b.odd(0.06):
        attrs.pop("pads")
        attrs["auto_pad"] = b.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    elif b.odd(0.15):
        attrs["pads"] = b.pick(
            [0] * 4, [0, 0, 1, 1], [b.pick(0, 1, kernel // 2, kernel) for _ in range(4)]
        )
    if b.odd(0.05):
        attrs["strides"] = [b.pick(1, 2, 3, 4), b.pick(1, stride, 3)]
    if b.odd(0.03):
        attrs["dilations"] = [b.pick(1, 1, 2), b.pick(1, 1, 2)]
    return attrs


def conv(b: Builder, x: str, outputs: int, kernel: int, stride: int = 1, gain: float = 1.0) -> str:
    """A convolution with its bias, nothing after it."""
    channels = b.shape(x)[1]
    groups = b.pick(1, 1, 1, 1, channels, 2)
    if channels % groups or outputs % groups:
        groups = 1
    attrs = geometry(b, kernel, stride)
    if groups > 1 or b.odd(0.2):
        attrs["group"] = groups
    sides = (kernel, kernel)
    if b.odd(0.05):
        sides = large(b, attrs)
    weight = b.weight((outputs, channels // groups, *sides), 0, gain)
    y = with_bias(b, "Conv", x, weight, outputs, **attrs)
    behind = 0.1 if b.quantized else 0.3
    return normalized(b, y) if b.chance(behind) else y


def large(b: Builder, attrs: dict[str, Any]) -> tuple[int, int]:
    """A kernel beyond the core's, or one that its dilation makes so; `attrs` for it."""
    sides = b.pick((9, 1), (1, 8), (3, 9), (10, 2), (3, 3), (2, 3))
    dilations = b.pick((4, 4), (5, 1), (1, 6)) if max(sides) == 3 else (1, 1)
    reach = [(side - 1) * step for side, step in zip(sides, dilations, strict=True)]
    attrs.pop("kernel_shape", None)
    attrs.pop("auto_pad", None)
    before = [span // 2 for span in reach]
    after = [span - half for span, half in zip(reach, before, strict=True)]
    attrs |= {"pads": [*before, *after], "dilations": list(dilations)}
    return sides


def normalized(b: Builder, x: str) -> str:
    """A batch normalisation; one of its parameters serves twice, at times."""
    channels = b.shape(x)[1]
    gain, offset, mean = (b.const(b.rng.normal(at, 0.3, channels)) for at in (1.0, 0.0, 0.0))
    if b.odd(0.2):
        gain, offset = b.pick((gain, gain), (mean, offset), (gain, mean))
    variance = b.const(b.rng.uniform(0.5, 2.0, channels) if not b.odd(0.1) else np.ones(channels))
    attrs = {"epsilon": b.pick(1e-5, 1e-3, 0.0)} if b.chance(0.5) else {}
    return str(b.node("BatchNormalization", x, gain, offset, mean, variance, **attrs))


def passed(b: Builder, x: str) -> str:
    """The tensor itself, perhaps behind a node that does nothing."""
    if b.odd(0.03):
        return str(b.node(b.pick("Identity", "Dropout"), x))
    return x


def with_bias(b: Builder, op: str, x: str, weight: str, outputs: int, **attrs: Any) -> str:
    """A layer with its bias: its own, one added behind it, or none."""
    offsets = b.rng.normal(0, 0.3, outputs)
    if b.odd(0.1):
        offsets *= b.pick(1e-4, 0.01, 10.0)
    kind = b.random.random()
    if op != "MatMul" and kind < 0.6:
        return str(b.node(op, x, weight, b.const(offsets), **attrs))
    y = str(b.node(op, x, weight, **attrs))
    if kind < 0.75:
        return y
    rank = len(b.shape(y))
    shape = [outputs] if rank == 2 else [outputs, *[1] * (rank - 2)]
    if b.odd(0.15):
        shape = b.pick([1, *shape], [1], [], [outputs], [1, outputs], [outputs, 1], [1, 1, outputs])
    bias = b.const(np.resize(offsets, shape))
    return str(b.node("Add", *b.random.sample([y, bias], 2)))


# ---- larger maps


def doubled(b: Builder, x: str) -> str:
    """A map of twice the sides, or of others: what is stored, its pixels in more places."""
    channels, *sides = b.shape(x)[1:]
    if b.chance(0.4) and channels % 4 == 0:
        size = 2 if not b.odd(0.05) else 1
        attrs = {"blocksize": size} | ({"mode": b.pick("DCR", "CRD")} if b.chance(0.8) else {})
        return str(b.node("DepthToSpace", x, **attrs))
    scale = b.pick(1.5, 3.0, 0.5, 1.0, 4.0) if b.odd(0.08) else 2.0
    scales = [1.0, 1.0, scale, b.pick(1.0, 2.0) if b.odd(0.03) else scale]
    attrs = {}
    if b.chance(0.8):
        places = ["asymmetric", "asymmetric", "half_pixel", "pytorch_half_pixel"]
        places += ["align_corners", "tf_half_pixel_for_nn"] if b.odd(0.2) else []
        attrs["coordinate_transformation_mode"] = b.random.choice(places)
    if b.chance(0.8):
        rounded = ["floor", "round_prefer_floor"] if not b.odd(0.1) else ["ceil"]
        attrs["nearest_mode"] = b.random.choice(rounded)
    if b.chance(0.6):
        attrs["mode"] = "nearest" if not b.odd(0.05) else b.pick("linear", "cubic")
    none = b.const([])
    if b.chance(0.6):
        return str(b.node("Resize", x, none, b.const(scales), **attrs))
    wanted = [
        1,
        channels,
        *(int(side * more) for side, more in zip(sides, scales[2:], strict=True)),
    ]
    return str(b.node("Resize", x, none, none, b.const(wanted, np.int64), **attrs))


def transposed(b: Builder, x: str, outputs: int, gain: float = 1.0) -> str:
    """A transposed convolution with its bias, nothing after it."""
    channels, kernel = b.shape(x)[1], b.pick(2, 2, 3, 3, 4, 4, 5, 1)
    groups = b.pick(1, 1, 1, channels, 2)
    if channels % groups or outputs % groups:
        groups = 1
    pads = b.pick([0] * 4, [(kernel - 1) // 2] * 4, [kernel // 4] * 4, [0, 0, 1, 1])
    attrs: dict[str, Any] = {"strides": [2, 2], "pads": pads}
    if b.chance(0.3):
        attrs["output_padding"] = b.pick([1, 1], [0, 0], [1, 0])
    if b.odd(0.15):
        attrs.pop("pads")
        attrs["auto_pad"] = b.pick("SAME_UPPER", "SAME_LOWER", "VALID")
    if groups > 1 or b.odd(0.2):
        attrs["group"] = groups
    if b.odd(0.04):
        attrs |= b.pick({"strides": [1, 1]}, {"strides": [2, 1]}, {"dilations": [2, 2]})
    weight = b.weight((channels, outputs // groups, kernel, kernel), 1, gain)
    y = with_bias(b, "ConvTranspose", x, weight, outputs, **attrs)
    return normalized(b, y) if b.chance(0.1 if b.quantized else 0.3) else y


# ---- limits


def activate(b: Builder, x: str) -> tuple[str, bool]:
    """An activation, or none; and whether the result may be negative."""
    x = passed(b, x)
    if b.chance(0.15):
        return curve(b, x), True
    kind = b.random.random()
    if kind < 0.25:
        return x, True
    if kind < 0.7:
        return str(b.node("Relu", x)), False
    if kind < 0.8:
        return str(b.node("Clip", x, b.const(0.0), b.const(b.pick(6.0, 1.5, 1e9)))), False
    if kind < 0.86:
        return str(b.node("Max", *b.random.sample([x, b.const(0.0)], 2))), False
    return limit(b, x), True


def limit(b: Builder, x: str, top: float = 3.0) -> str:
    """A limit of any kind, of a tensor that may have limits already."""
    low, high = sorted(b.rng.uniform(-top / 2, top, 2).tolist())
    if b.chance(0.5):
        low, high = round(low / 0.04) * 0.04, round(high / 0.04) * 0.04
    kind = b.random.random()
    if kind < 0.3:
        return str(b.node("Clip", x, b.const(low), b.const(high)))
    if kind < 0.45:
        bounds = ["", b.const(high)] if b.chance(0.5) else [b.const(low)]
        return str(b.node("Clip", x, *bounds))
    if kind < 0.6:
        return str(b.node("Relu", x))
    shape = b.pick([], [], [1], [1, 1, 1, 1], list(b.shape(x)[1:2])) if b.odd(0.5) else []
    op, bound = b.pick(("Min", high), ("Max", low))
    return str(b.node(op, *b.random.sample([x, b.const(np.full(shape, bound))], 2)))


# ---- pools


def pool_attrs(b: Builder, kernel: int, side: int, *, average: bool) -> dict[str, Any]:
    """Attributes of a pool of windows."""
    stride = b.pick(1, 2, 2)
    attrs: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    if kernel == side and b.chance(0.5):
        attrs.pop("strides")
    if kernel == 3 and b.chance(0.5):
        attrs["pads"] = [1] * 4
        if average and b.chance(0.8):
            attrs["count_include_pad"] = 1
    if b.odd(0.08):
        attrs.pop("pads", None)
        attrs["auto_pad"] = b.pick("SAME_UPPER", "SAME_LOWER", "VALID")
    elif b.odd(0.08):
        attrs["pads"] = [b.pick(0, 1, 1) for _ in range(4)]
    if b.odd(0.08):
        attrs["ceil_mode"] = 1
    if average and b.odd(0.08):
        attrs["count_include_pad"] = b.pick(0, 1)
    if b.odd(0.03):
        attrs["strides"] = [b.pick(1, 2, 3), b.pick(1, 2, 3)]
    if b.odd(0.03) and (not average or b.opset >= 19):
        attrs["dilations"] = [b.pick(1, 2), 1]
    return attrs


def pooled_map(b: Builder, x: Map) -> Map:
    """A pool of windows."""
    side = b.shape(x.name)[2]
    kernel = b.pick(2, 2, 3, 3, 1, side)
    if b.chance(0.6):
        y = b.node("MaxPool", x.name, **pool_attrs(b, kernel, side, average=False))
        return Map(b.qdq(y, x.scale, x.signed) if b.chance(0.5) else y, x.scale, x.signed)
    y = b.node("AveragePool", x.name, **pool_attrs(b, kernel, side, average=True))
    return Map(b.qdq(y, x.scale, x.signed), x.scale, x.signed)


def average(b: Builder, x: Map) -> str:
    """The average over the map in one of its spellings, not yet quantised."""
    kind = b.random.random()
    if kind < 0.5:
        return str(b.node("GlobalAveragePool", x.name))
    if kind < 0.8:
        axes = b.pick([2, 3], [-1, -2], [3, 2], [-2, 3])
        if b.odd(0.1):
            axes = b.pick([1, 2], [1, 3], [2], [-3, -1], [3], [1], [-3, -2, -1])
        return b.axes("ReduceMean", x.name, axes, keepdims=b.pick(0, 1))
    side = b.shape(x.name)[2]
    return str(
        b.node("AveragePool", x.name, **pool_attrs(b, side, side, average=True))
        if b.odd(0.4)
        else b.node("AveragePool", x.name, kernel_shape=list(b.shape(x.name)[2:]))
    )


# ---- vectors


def flatten(b: Builder, v: str) -> str:
    """A pooled vector as N x C, in one of many ways; some of them mean something else."""
    shape = b.shape(v)
    size = int(np.prod(shape))
    if len(shape) == 2 and not b.odd(0.2):
        return v
    kind = b.random.random()
    if kind < 0.05:
        return b.by_size(v, size)
    if kind < 0.35:
        axis = b.pick(0, 2, 3, -1, -3, -len(shape)) if b.odd(0.1) else b.pick(1, 1 - len(shape))
        return str(b.node("Flatten", v, axis=axis))
    if kind < 0.75 or len(shape) == 2:
        target = b.pick([1, size], [-1, size], [0, size], [1, -1], [0, -1])
        if b.odd(0.2):
            target = b.pick([size, 1], [1, 1, size], [size], [-1, 1], [1, size, 1], [-1])
        return str(b.node("Reshape", v, b.const(target, np.int64)))
    axes = b.pick([2, 3], [-1, -2], [3, 2]) if len(shape) == 4 else [-1]
    if b.odd(0.05):
        return str(b.node("Squeeze", v))
    return b.axes("Squeeze", v, [axes[0]] if b.odd(0.05) else axes)


def dense(b: Builder, v: str, outputs: int, gain: float = 1.0) -> str:
    """A dense layer on a pooled vector, of whatever rank it is, nothing behind it."""
    shape = b.shape(v)
    if len(shape) == 4 and not b.odd(0.1):
        attrs = geometry(b, 1, 1)
        if b.odd(0.1):
            attrs["pads"] = b.pick([1] * 4, [0, 1, 0, 0])
        kernel = 3 if b.odd(0.05) else 1
        if kernel == 3:
            attrs = {"pads": [1] * 4}
        weight = b.weight((outputs, shape[1], kernel, kernel), 0, gain)
        return with_bias(b, "Conv", v, weight, outputs, **attrs)
    inputs = shape[-1]
    if b.chance(0.5) and len(shape) == 2:
        attrs = {}
        if b.odd(0.03):
            attrs = b.pick({"alpha": 0.5}, {"beta": 2.0}, {"transA": 1}, {"alpha": 1.0})
        if b.chance(0.7):
            weight = b.weight((outputs, inputs), 0, gain)
            return with_bias(b, "Gemm", v, weight, outputs, transB=1, **attrs)
        return with_bias(b, "Gemm", v, b.weight((inputs, outputs), 1, gain), outputs, **attrs)
    if b.odd(0.05):  # rank 3, or as many rows as there are outputs
        return with_bias(b, "MatMul", v, b.weight((1, inputs, outputs), 2, gain), outputs)
    if b.odd(0.03) and not b.quantized:
        return str(b.node("MatMul", b.weight((outputs, inputs), 0, gain), v))
    return with_bias(b, "MatMul", v, b.weight((inputs, outputs), 1, gain), outputs)
