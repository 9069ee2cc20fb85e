"""Squeeze without axes: it drops every axis of size 1, and must not drop the batch with them."""

import numpy as np
import onnx
from onnx import numpy_helper

#: A batch that is no size of 1.
SEVERAL = 2


def name_squeezed_axes(model: onnx.ModelProto, image: onnx.ValueInfoProto) -> None:
    """Give every Squeeze without axes those that it drops for a batch of several images, in place.

    Only where the batch of the input is open: the network then is one for any batch, and for one
    image alone a Squeeze would drop the batch as well.
    """
    squeezes = [node for node in model.graph.node if _is_plain(node)]
    batch = image.type.tensor_type.shape.dim[:1]
    if not squeezes or not batch or batch[0].dim_value:
        return
    shapes = _shapes(model, image.name)
    opset = next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), 0)
    used = {name for node in model.graph.node for name in (*node.input, *node.output)}
    for index, node in enumerate(squeezes):
        shape = shapes.get(node.input[0])
        if shape is None or opset < 13:
            continue
        name = f"squeezed_axes_{index}"
        while name in used:
            name += "_"
        axes = np.array([axis for axis, size in enumerate(shape) if size == 1], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(axes, name))
        del node.input[1:]
        node.input.append(name)


def _is_plain(node: onnx.NodeProto) -> bool:
    named = len(node.input) > 1 and node.input[1]
    return node.op_type == "Squeeze" and not named and not node.attribute


def _shapes(model: onnx.ModelProto, image: str) -> dict[str, tuple[int, ...]]:
    """Static shapes for a batch of several."""
    several = onnx.ModelProto()
    several.CopyFrom(model)
    for value in several.graph.input:
        if value.name == image:
            value.type.tensor_type.shape.dim[0].dim_value = SEVERAL
    del several.graph.value_info[:]
    for output in several.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(several, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):
        return {}
    shapes = {}
    for info in (*inferred.graph.value_info, *inferred.graph.input):
        dims = info.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[info.name] = tuple(dim.dim_value for dim in dims)
    return shapes
