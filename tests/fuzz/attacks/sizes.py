"""Small files that promise much, or ask for much work; impossible geometry."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.fuzz.attacks.registry import attack, between, first, network


def weight_of(op: str, constants: dict[str, Any], **attributes: Any) -> onnx.ModelProto:
    """The convolution's weight is what `op` makes of constants."""
    node = helper.make_node(op, list(constants), ["new"], **attributes)
    return between(node, constants=constants)


HUGE = np.array([1 << 15, 1 << 15, 1, 1], np.int64)


@attack
def huge_constant_of_shape() -> onnx.ModelProto:
    return weight_of("ConstantOfShape", {"size": HUGE})


@attack
def huge_expand() -> onnx.ModelProto:
    return weight_of("Expand", {"one": np.float32(1), "size": HUGE})


@attack
def huge_tile() -> onnx.ModelProto:
    return weight_of("Tile", {"one": np.ones((1, 1, 1, 1), np.float32), "repeats": HUGE})


@attack
def huge_range() -> onnx.ModelProto:
    values = {"a": np.float32(0), "b": np.float32(1e9), "c": np.float32(1)}
    return weight_of("Range", values)


@attack
def vector_of_sizes_without_end() -> onnx.ModelProto:
    """A Reshape to two thousand million dimensions, of which there are four."""
    sizes = numpy_helper.from_array(np.array([1, 3, 6, 5], np.int64), "sizes")
    model = between(helper.make_node("Reshape", ["image", "sizes"], ["new"]), constants={})
    sizes.dims[:] = [(1 << 31) - 1]
    model.graph.initializer.append(sizes)
    return model


@attack
def slow_constant_convolution() -> onnx.ModelProto:
    """A few kilobytes that a reference implementation multiplies for hours."""
    values = {"x": np.ones((1, 1, 300, 300), np.float32), "w": np.ones((64, 1, 3, 3), np.float32)}
    pads = [4000] * 4
    return weight_of("Conv", values, pads=pads)


@attack
def constant_convolution_of_hours() -> onnx.ModelProto:
    """The same with a result of ordinary size, and terabytes of patches."""
    values = {"x": np.zeros((4, 8, 128, 128), np.float32)}
    values["w"] = np.zeros((3, 8, 127, 127), np.float32)
    return weight_of("Conv", values, pads=[64] * 4)


@attack
def slow_pattern() -> onnx.ModelProto:
    """A regular expression with exponential backtracking."""
    text = {"text": np.array(["a" * 40 + "b"], dtype=object)}
    model = weight_of("RegexFullMatch", text, pattern="(a|a)*")
    model.opset_import[0].version = 20
    return model


@attack
def initializer_of_64_tebibytes() -> onnx.ModelProto:
    model = network()
    weight = next(t for t in model.graph.initializer if list(t.dims) == [4, 3, 3, 3])
    del weight.dims[:]
    weight.dims.extend([1 << 20, 1 << 20, 8, 8])
    return model


@attack
def sparse_initializer_of_64_tebibytes() -> onnx.ModelProto:
    model = network()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "s_i"))
    sparse.dims.extend([1 << 20, 1 << 20, 64])
    first(model, "Conv").input[1] = "s"
    return model


@attack
def huge_image() -> onnx.ModelProto:
    model = network()
    for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]:
        dim.dim_value = 1 << 40
    return model


@attack
def image_of_a_million_pixels_a_side() -> onnx.ModelProto:
    model = network()
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 1 << 20
    return model


@attack
def negative_image() -> onnx.ModelProto:
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -5
    return model


@attack
def negative_dimension() -> onnx.ModelProto:
    model = network()
    weight = next(t for t in model.graph.initializer if list(t.dims) == [4, 3, 3, 3])
    weight.dims[0], weight.dims[1] = -4, -3
    return model


@attack
def long_name() -> onnx.ModelProto:
    model = network()
    first(model, "Conv").name = "n" * 1_000_000
    return model


for _what, _attributes in {
    "kernel_0": {"kernel_shape": [0, 0]},
    "kernel_huge": {"kernel_shape": [1 << 40, 1 << 40]},
    "stride_0": {"strides": [0, 0]},
    "stride_negative": {"strides": [-1, -1]},
    "stride_huge": {"strides": [1 << 62, 1 << 62]},
    "dilation_0": {"dilations": [0, 0]},
    "dilation_huge": {"dilations": [1 << 62, 1 << 62]},
    "pads_negative": {"pads": [-3, -3, -3, -3]},
    "pads_huge": {"pads": [1 << 62] * 4},
    "pads_short": {"pads": [1]},
    "group_0": {"group": 0},
    "group_negative": {"group": -1},
    "padding_by_an_unknown_name": {"auto_pad": "\xff"},
}.items():

    def _convolution(attributes: dict[str, Any] = _attributes) -> onnx.ModelProto:
        return network(**attributes)

    _convolution.__name__ = f"convolution_{_what}"
    attack(_convolution)
