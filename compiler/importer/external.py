"""External weight files: read only from the model's own folder, only if they are complete."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from penstock.compiler.errors import CompileError

#: Model plus weights.  Networks for the core are a few megabytes.
MAX_MODEL_BYTES = 1 << 30


def load_external(model: onnx.ModelProto, folder: Path) -> None:
    """Put the external tensors of `model` into it.

    Raises:
        CompileError: a path that leaves `folder`, a missing or short file, too much data.
    """
    total = 0
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            total += _load(tensor, folder)
            if total > MAX_MODEL_BYTES:
                raise CompileError(f"external weights exceed {MAX_MODEL_BYTES} bytes")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _load(tensor: onnx.TensorProto, folder: Path) -> int:
    """Read one tensor's bytes into it; the number of bytes."""
    info = {entry.key: entry.value for entry in tensor.external_data}
    path = _safe_path(info.get("location", ""), folder, tensor.name)
    try:
        offset, length = int(info.get("offset", "0")), int(info.get("length", "-1"))
    except ValueError:
        raise CompileError(f"tensor '{tensor.name}': bad external data fields") from None
    size = path.stat().st_size
    length = size - offset if length < 0 else length
    if offset < 0 or length > MAX_MODEL_BYTES or offset + length > size:
        raise CompileError(
            f"tensor '{tensor.name}': external file '{path.name}' has {size} bytes, "
            f"bytes {offset} to {offset + length} are needed",
            hint="export the model again",
        )
    with path.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
    return length


def _safe_path(location: str, folder: Path, name: str) -> Path:
    """The file `location` names inside `folder`."""
    outside = (
        not location
        or PurePosixPath(location).is_absolute()
        or PureWindowsPath(location).is_absolute()
        or ".." in PurePosixPath(location.replace("\\", "/")).parts
    )
    path = folder / location
    if outside or not path.resolve().is_relative_to(folder.resolve()):
        raise CompileError(
            f"tensor '{name}': external data path '{location}' leaves the model's folder",
            hint="keep the weight file beside the model",
        )
    if not path.is_file():
        raise CompileError(f"tensor '{name}': external file '{location}' is missing")
    return path
