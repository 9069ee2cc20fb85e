"""Weights, and models, in places where they must not be read from."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.fuzz.attacks.growth import calls, nested
from tests.fuzz.attacks.registry import attack, network, setting


def outside(location: str, tensor: TensorProto | None = None) -> TensorProto:
    """A tensor that is to be read from `location`."""
    made = tensor or TensorProto(name="new", data_type=TensorProto.INT8, dims=[4, 3, 3, 3])
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "108"}.items():
        made.external_data.add(key=key, value=value)
    return made


def with_external(folder: Path, location: str, length: str = "108") -> Path:
    """The network in its own folder below `folder`, its weight in `location`."""
    inner = folder / "model"
    inner.mkdir()
    (folder / "secret.bin").write_bytes(bytes(108))
    model = network()
    weight = next(t for t in model.graph.initializer if list(t.dims) == [4, 3, 3, 3])
    outside(location, weight)
    weight.external_data[-1].value = length
    path = inner / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


for _name, _location in {
    "above": "../secret.bin",
    "absolute": "/etc/hostname",
    "hidden_above": "a/../../secret.bin",
    "backslashes": "..\\secret.bin",
    "drive": "C:\\secret.bin",
    "address": "file:///etc/hostname",
    "null": "a\x00b",
    "device": "/dev/zero",
    "folder": ".",
    "long": "a" * 5000,
    "surrogate": "\udcff",
}.items():

    def _external(folder: Path, location: str = _location) -> Path:
        return with_external(folder, location.encode("utf-8", "replace").decode())

    _external.__name__ = f"external_data_{_name}"
    setting(_external)


@setting
def external_data_by_symbolic_link(folder: Path) -> Path:
    path = with_external(folder, "link")
    (path.parent / "link").symlink_to(folder / "secret.bin")
    return path


@setting
def external_data_below_a_linked_folder(folder: Path) -> Path:
    path = with_external(folder, "link/secret.bin")
    (path.parent / "link").symlink_to(folder)
    return path


@setting
def external_data_in_a_pipe(folder: Path) -> Path:
    path = with_external(folder, "pipe")
    os.mkfifo(path.parent / "pipe")
    return path


@setting
def external_data_of_a_sparse_file(folder: Path) -> Path:
    """A file of a terabyte that takes no room."""
    path = with_external(folder, "big", length=str(1 << 29))
    with (path.parent / "big").open("wb") as file:
        file.truncate(1 << 40)
    return path


@setting
def external_data_many_times(folder: Path) -> Path:
    """One file of 100 MB, named by a thousand tensors."""
    path = with_external(folder, "big", length=str(100 << 20))
    with (path.parent / "big").open("wb") as file:
        file.truncate(100 << 20)
    model = onnx.ModelProto.FromString(path.read_bytes())
    weight = next(t for t in model.graph.initializer if t.external_data)
    for index in range(1000):
        model.graph.initializer.append(weight)
        model.graph.initializer[-1].name = f"again{index}"
    path.write_bytes(model.SerializeToString())
    return path


def hidden_external(place: str) -> Callable[[Path], Path]:
    """External data where initialisers are not: the file must not be opened from there either."""

    def write(folder: Path) -> Path:
        path = with_external(folder, "../secret.bin")
        model = network()
        tensor = outside("../secret.bin")
        if place == "subgraph":
            branch = nested(0)
            branch.initializer.append(tensor)
            node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
            model.graph.node.insert(0, node)
            model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
        elif place == "function":
            model = calls(1, doubling=False)
            value = AttributeProto(name="value", type=AttributeProto.TENSOR, t=tensor)
            node = onnx.NodeProto(op_type="Constant", output=["k"], attribute=[value])
            model.functions[0].node.append(node)
        elif place == "sparse":
            sparse = model.graph.sparse_initializer.add()
            sparse.values.CopyFrom(tensor)
            sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(108), "i"))
            sparse.dims.extend([108])
        else:
            value = AttributeProto(name="value", type=AttributeProto.TENSORS, tensors=[tensor])
            node = onnx.NodeProto(op_type="Constant", output=["k"], attribute=[value])
            model.graph.node.insert(0, node)
        path.write_bytes(model.SerializeToString())
        return path

    write.__name__ = f"external_data_in_a_{place}"
    return write


for _place in ("subgraph", "function", "sparse", "list"):
    setting(hidden_external(_place))


@setting
def external_data_from_the_working_folder(folder: Path) -> Path:
    """A name that is no path, and exists where the program was started, not beside the model."""
    model = calls(1, doubling=False)
    tensor = outside(next(p.name for p in Path.cwd().iterdir() if p.is_file()))
    value = AttributeProto(name="value", type=AttributeProto.TENSOR, t=tensor)
    node = onnx.NodeProto(op_type="Constant", output=["k"], attribute=[value])
    model.functions[0].node.append(node)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


@setting
def external_data_of_gigabytes(folder: Path) -> Path:
    """Twenty tensors of 100 MB each, all from one file, shapes and lengths as they should be."""
    path = external_data_many_times(folder)
    model = onnx.ModelProto.FromString(path.read_bytes())
    del model.graph.initializer[20:]
    for tensor in model.graph.initializer:
        if tensor.external_data:
            del tensor.dims[:]
            tensor.dims.extend([100, 1 << 20])
    path.write_bytes(model.SerializeToString())
    return path


@setting
def model_that_is_a_folder(folder: Path) -> Path:
    return folder


@setting
def model_that_is_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "net.onnx")
    return folder / "net.onnx"


@setting
def model_that_is_a_device(folder: Path) -> Path:
    del folder
    return Path("/dev/zero")


@setting
def model_of_a_terabyte(folder: Path) -> Path:
    with (folder / "net.onnx").open("wb") as file:
        file.truncate(1 << 40)
    return folder / "net.onnx"


@attack
def metadata_of_another_kind() -> onnx.ModelProto:
    model = network()
    helper.set_model_props(model, {"penstock.schedule": json.dumps({"a": 1})})
    return model
