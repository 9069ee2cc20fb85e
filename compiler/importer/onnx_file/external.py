"""External weight files: read only from the model's own folder, only if they are complete."""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from google.protobuf.message import Message  # type: ignore[import-untyped]

from penstock.compiler.errors import CompileError
from penstock.program.base.arith import ceil_div

#: Model and weights each: the largest network by name, ResNet-152, has 241 MB in floating point.
MAX_MODEL_BYTES = 1 << 28


def load_external(model: onnx.ModelProto, folder: Path) -> None:
    """Put the external tensors of `model` into it, wherever in it they are.

    Raises:
        CompileError: a path that leaves `folder`, a missing or short file, too much data.
    """
    tensors = [t for t in _tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL]
    if sum(_tensor_bytes(tensor) for tensor in tensors) > MAX_MODEL_BYTES:
        raise CompileError(f"external weights exceed {MAX_MODEL_BYTES} bytes")
    for tensor in tensors:
        _load(tensor, folder)


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Every tensor: initialisers, attributes, those of subgraphs and functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _tensors(inner)


def _load(tensor: onnx.TensorProto, folder: Path) -> None:
    """Read one tensor's bytes into it."""
    info = {entry.key: entry.value for entry in tensor.external_data}
    path = _safe_path(info.get("location", ""), folder, tensor.name)
    try:
        offset, length = int(info.get("offset", "0")), int(info.get("length", "-1"))
    except ValueError:
        raise CompileError(f"tensor '{tensor.name}': bad external data fields") from None
    size = path.stat().st_size
    length = size - offset if length < 0 else length
    if offset < 0 or length < 0 or offset + length > size:
        raise CompileError(
            f"tensor '{tensor.name}': external file '{path.name}' has {size} bytes, "
            f"bytes {offset} to {offset + length} are needed",
            hint="export the model again",
        )
    if length != _tensor_bytes(tensor):
        raise CompileError(
            f"tensor '{tensor.name}': {length} bytes of external data where its shape and type "
            f"take {_tensor_bytes(tensor)}",
            hint="export the model again",
        )
    with path.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes of the tensor's elements; 0 if a type is unknown or a dimension negative."""
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return 0
    # NumPy has a byte for each of these, a file has two or four in one.
    bits = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}
    elements = math.prod(max(size, 0) for size in tensor.dims)
    return ceil_div(elements * bits.get(kind.name, 8 * kind.itemsize), 8)


def _safe_path(location: str, folder: Path, name: str) -> Path:
    """The file `location` names inside `folder`."""
    outside = (
        not location
        or PurePosixPath(location).is_absolute()
        or PureWindowsPath(location).is_absolute()
        or ".." in PurePosixPath(location.replace("\\", "/")).parts
    )
    path = folder / location
    try:
        if outside or not path.resolve().is_relative_to(folder.resolve()):
            raise CompileError(
                f"tensor '{name}': external data path '{location}' leaves the model's folder",
                hint="keep the weight file beside the model",
            )
        if not path.is_file():
            raise CompileError(f"tensor '{name}': external file '{location}' is missing")
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte
        raise CompileError(f"tensor '{name}': bad external data path: {error}") from None
    return path
