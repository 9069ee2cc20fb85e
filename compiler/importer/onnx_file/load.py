"""Read an ONNX file: checked, shapes inferred for batch size 1, turned into a `Net`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.exits import read_exits, read_thresholds
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.onnx_file.branches import drop_dead_branches
from penstock.compiler.importer.onnx_file.external import MAX_MODEL_BYTES, load_external
from penstock.compiler.importer.onnx_file.functions import inline_functions
from penstock.compiler.importer.onnx_file.sizes import check_sizes
from penstock.compiler.importer.onnx_file.squeeze import name_squeezed_axes
from penstock.compiler.importer.onnx_file.standard import NEWEST, OLDEST, convert_opset, standardize
from penstock.compiler.importer.onnx_file.text import check_text

MAX_IR_VERSION = 13
INPUT_TYPES = ("float32", "int8", "uint8")
METADATA_PREFIX = "penstock."


def set_properties(model: onnx.ModelProto, properties: Mapping[str, str]) -> None:
    """Set metadata of a model, "penstock." before each name, in place of the file's own."""
    known = {entry.key: entry.value for entry in model.metadata_props}
    added = {METADATA_PREFIX + key: value for key, value in properties.items()}
    if added:
        onnx.helper.set_model_props(model, known | added)


def load_model(path: Path, properties: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The checked model in `path`, batch size 1, with inferred shapes.

    `properties`: metadata beside the file's (as in `set_properties`).

    Raises:
        CompileError: not an ONNX file, versions out of range, dynamic shapes, bad weights.
    """
    if not path.is_file():
        raise CompileError(f"'{path}' is not a file")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise CompileError(f"'{path.name}' is larger than {MAX_MODEL_BYTES} bytes")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise CompileError(f"'{path.name}' is not an ONNX file") from None
    check_text(model, path.name)
    _check_versions(model, path.name)
    load_external(model, path.parent)
    model = standardize(model)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        reason = f"'{path.name}' is not a valid ONNX model: {_first_line(error)}"
        raise CompileError(reason) from None
    model = convert_opset(model)
    set_properties(model, properties or {})
    return infer(inline_functions(model))


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for batch size 1, every shape inferred anew from its input.

    Raises:
        CompileError: the input is no image, or shapes do not fit.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    name_squeezed_axes(fixed, _image_input(fixed.graph))
    _fix_batch(_image_input(fixed.graph))
    del fixed.graph.value_info[:]
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    drop_dead_branches(fixed.graph)
    known = check_sizes(fixed)  # else folding finds out what the shapes depend on
    try:
        return onnx.shape_inference.infer_shapes(
            fixed, check_type=True, strict_mode=True, data_prop=known
        )
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        image = _image_input(fixed.graph)
        shape = static_shape(image) or ()
        if len(shape) not in (2, 4):
            text = ", ".join(map(str, ("N", *shape[1:])))
            raise CompileError(
                f"input '{image.name}' has shape ({text}), N x C x H x W is expected"
            ) from None
        raise CompileError(f"shapes do not fit: {_first_line(error)}") from None


def to_net(model: onnx.ModelProto) -> Net:
    """The model (from `load_model`) as a `Net`."""
    graph = model.graph
    image = _image_input(graph)
    metadata = {
        entry.key.removeprefix(METADATA_PREFIX): entry.value
        for entry in model.metadata_props
        if entry.key.startswith(METADATA_PREFIX)
    }
    outputs = [output.name for output in graph.output]
    made = {name for node in graph.node for name in node.output}
    for name in outputs:
        if name not in made:
            what = "the network's input" if name == image.name else "a constant"
            hint = "leave it out of the outputs"
            raise CompileError(f"the output '{name}' is not computed: it is {what}", hint=hint)
    *exits, output = read_exits(outputs, metadata)
    infos = [*graph.input, *graph.value_info, *graph.output]
    shapes = {info.name: shape for info in infos if (shape := static_shape(info)) is not None}
    types = {info.name: type_name(info) for info in infos}
    if types[image.name] not in INPUT_TYPES:
        reason = f"input '{image.name}' has type {types[image.name]}"
        raise CompileError(reason, hint=f"use {', '.join(INPUT_TYPES)}")
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    shapes |= {name: array.shape for name, array in constants.items()}
    return Net(
        name=graph.name or "network",
        nodes=tuple(_node(proto) for proto in graph.node),
        constants=constants,
        shapes=shapes,
        types=types,
        input=image.name,
        output=output,
        metadata=metadata,
        opset=next(
            entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")
        ),
        exits=tuple(exits),
        others=tuple(name for name in outputs if name not in (*exits, output)),
        thresholds=read_thresholds(metadata, len(exits)),
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_versions(model: onnx.ModelProto, name: str) -> None:
    if model.ir_version > MAX_IR_VERSION:
        raise CompileError(
            f"'{name}' has IR version {model.ir_version}, at most {MAX_IR_VERSION} is read",
            hint="set model.ir_version when exporting, or export with onnx<=1.22",
        )
    versions = _opsets(model)
    if not versions:
        raise CompileError(f"'{name}' is not an ONNX file: it names no operator set")
    if len(versions) > 1:
        raise CompileError(f"'{name}' names the standard operator set twice: {versions}")
    if not OLDEST <= versions[0] <= NEWEST:
        raise CompileError(
            f"'{name}' uses opset {versions[0]}, {OLDEST} to {NEWEST} are read",
            hint="export with opset_version=18",
        )


def _opsets(model: onnx.ModelProto) -> list[int]:
    """Versions of the standard operator set; a valid model has one."""
    return [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]


def _image_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise CompileError(f"the network has {len(inputs)} inputs ({names}), one image is expected")
    return inputs[0]


def _fix_batch(image: onnx.ValueInfoProto) -> None:
    """Set the batch dimension of the image input to 1."""
    dims = image.type.tensor_type.shape.dim
    text = ", ".join(dim.dim_param or str(dim.dim_value or "?") for dim in dims)
    if len(dims) < 2:
        raise CompileError(f"input '{image.name}' has shape ({text}), N x C x H x W is expected")
    if any(dim.dim_value < 1 for dim in dims[1:]):
        raise CompileError(
            f"input '{image.name}' has the dynamic shape ({text})",
            hint="fix channels, height and width when exporting; only the batch may be open",
        )
    if dims[0].dim_value > 1:
        raise CompileError(
            f"input '{image.name}' has batch size {dims[0].dim_value}",
            hint="export with batch size 1 or a dynamic batch",
        )
    dims[0].dim_value = 1


def static_shape(info: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The shape of a tensor, None if a dimension of it is open."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor.shape.dim)


def type_name(info: onnx.ValueInfoProto) -> str:
    """NumPy's name of a tensor's type, "unknown" if it has none."""
    kind = info.type.tensor_type.elem_type
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(kind).name)
    except KeyError:
        return "unknown"


def _array(tensor: onnx.TensorProto) -> Array:
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise CompileError(f"initialiser '{tensor.name}': {_first_line(error)}") from None
    if array.dtype.kind == "f" and np.isnan(array).any():  # infinite bounds of a Clip are fine
        raise CompileError(f"initialiser '{tensor.name}' holds a NaN")
    return array


def _node(proto: onnx.NodeProto) -> OpNode:
    domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
    return OpNode(
        name=proto.name,
        op=domain + proto.op_type,
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attrs={attribute.name: _attribute(proto, attribute) for attribute in proto.attribute},
    )


def _attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> Any:
    if attribute.ref_attr_name:
        raise CompileError(
            f"attribute '{attribute.name}' refers to one of a function, there is none around it",
            node=node.name,
            op=node.op_type,
        )
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return _array(value)
    return value
