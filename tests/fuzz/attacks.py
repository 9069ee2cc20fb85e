"""Files made to do harm: each a small network with one thing about it that is illegal or huge.

An attack gets the folder it may fill and gives the file to read; `ATTACKS` names them all.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.compiler.front.qdq import Qdq
from tests.fuzz.files import SCALE

Attack = Callable[[Path], Path]
ATTACKS: dict[str, Attack] = {}

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
FLOAT = TensorProto.FLOAT
#: More levels or doublings than any machine can follow.
DEEP = 60


def attack(make: Callable[[], Any]) -> Callable[[], Any]:
    """Register what `make` gives: a model, or bytes."""
    name = make.__name__

    def write(folder: Path) -> Path:
        made = make()
        data = made if isinstance(made, bytes) else made.SerializeToString()
        path = folder / "net.onnx"
        path.write_bytes(data)
        return path

    ATTACKS[name] = write
    return make


def setting(make: Attack) -> Attack:
    """Register an attack that needs the folder."""
    ATTACKS[make.__name__] = make
    return make


def network(**change: Any) -> onnx.ModelProto:
    """Image, convolution, quantiser; `change` sets attributes of the convolution."""
    net = Qdq(np.random.default_rng(0))
    return net.model(net.qdq(net.conv(net.image(), 4, name="c", **change), SCALE))


def between(*nodes: onnx.NodeProto, constants: dict[str, Any] | None = None) -> onnx.ModelProto:
    """The network with `nodes` before its convolution, whose input becomes "new"."""
    model = network()
    at = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    model.graph.node[at + len(nodes)].input[1 if constants else 0] = "new"
    for name, array in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


def first(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


# ---- structure


@attack
def empty_file() -> bytes:
    return b""


@attack
def empty_graph() -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], []), opset_imports=OPSETS)


@attack
def no_nodes() -> onnx.ModelProto:
    image = helper.make_tensor_value_info("x", FLOAT, [1, 1, 4, 4])
    return helper.make_model(helper.make_graph([], "g", [image], [image]), opset_imports=OPSETS)


@attack
def output_that_nobody_makes() -> onnx.ModelProto:
    model = network()
    model.graph.output[0].name = "nowhere"
    return model


@attack
def cycle() -> onnx.ModelProto:
    model = network()
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    return model


@attack
def node_that_reads_itself() -> onnx.ModelProto:
    model = network()
    first(model, "Conv").input[0] = first(model, "Conv").output[0]
    return model


@attack
def tensor_made_twice() -> onnx.ModelProto:
    model = network()
    model.graph.node.append(model.graph.node[0])
    return model


@attack
def initializer_twice() -> onnx.ModelProto:
    model = network()
    model.graph.initializer.append(model.graph.initializer[0])
    return model


@attack
def initializer_that_a_node_makes() -> onnx.ModelProto:
    model = network()
    model.graph.initializer[0].name = first(model, "Conv").output[0]
    return model


@attack
def node_without_outputs() -> onnx.ModelProto:
    model = network()
    del first(model, "Conv").output[:]
    return model


@attack
def attribute_twice() -> onnx.ModelProto:
    model = network()
    conv = first(model, "Conv")
    conv.attribute.append(conv.attribute[0])
    return model


@attack
def attribute_of_a_function_outside_one() -> onnx.ModelProto:
    model = network()
    pads = first(model, "Conv").attribute[0]
    pads.ref_attr_name = "p"
    return model


@attack
def no_operator_set() -> onnx.ModelProto:
    model = network()
    del model.opset_import[:]
    return model


@attack
def two_operator_sets() -> onnx.ModelProto:
    model = network()
    model.opset_import.add(domain="ai.onnx", version=13)
    return model


# ---- depth and growth


def nested(levels: int) -> onnx.GraphProto:
    """An If in an If in an If ..."""
    info = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "g", [], [info])
    for _ in range(levels):
        node = helper.make_node("If", ["flag"], ["y"], then_branch=graph, else_branch=graph)
        node.attribute[1].g.CopyFrom(
            helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "e", [], [info])
        )
        graph = helper.make_graph([node], "g", [], [info])
    return graph


@attack
def nested_branches() -> onnx.ModelProto:
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    inner = nested(20).node[0]
    inner.output[0] = "new"
    model.graph.node.insert(0, inner)
    return model


@attack
def deeper_than_the_parser_goes() -> bytes:
    """Attribute g -> node -> attribute g ...: each level two length-prefixed fields."""

    def field(number: int, data: bytes) -> bytes:
        size, length = len(data), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    data = b""
    for _ in range(2000):
        data = field(1, field(5, field(6, data)))  # node.attribute.g
    return network().SerializeToString() + field(7, data)


def calls(count: int, doubling: bool) -> onnx.ModelProto:
    """f0 .. fn, each calling the one before it (twice, if `doubling`)."""
    model = network()
    for index in range(count):
        name = f"f{index - 1}"
        if index == 0:
            body = [helper.make_node("Identity", ["x"], ["y"])]
        elif doubling:
            body = [
                helper.make_node(name, ["x"], ["z"], domain="local"),
                helper.make_node(name, ["z"], ["y"], domain="local"),
            ]
        else:
            body = [helper.make_node(name, ["x"], ["y"], domain="local")]
        function = helper.make_function("local", f"f{index}", ["x"], ["y"], body, OPSETS)
        model.functions.append(function)
    model.opset_import.add(domain="local", version=1)
    conv = first(model, "Conv")
    call = helper.make_node(f"f{count - 1}", [conv.input[0]], ["new"], domain="local")
    conv.input[0] = "new"
    at = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    model.graph.node.insert(at, call)
    return model


@attack
def functions_that_double() -> onnx.ModelProto:
    return calls(DEEP, doubling=True)


@attack
def functions_in_a_long_chain() -> onnx.ModelProto:
    return calls(5000, doubling=False)


@attack
def function_that_calls_itself() -> onnx.ModelProto:
    model = calls(1, doubling=False)
    model.functions[0].node[0].CopyFrom(helper.make_node("f0", ["x"], ["y"], domain="local"))
    return model


@attack
def functions_that_call_each_other() -> onnx.ModelProto:
    model = calls(2, doubling=False)
    model.functions[0].node[0].CopyFrom(helper.make_node("f1", ["x"], ["y"], domain="local"))
    return model


@attack
def endless_loop() -> onnx.ModelProto:
    """A Loop over constants with 2^62 turns."""
    infos = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", FLOAT, [4, 3, 3, 3]),
    ]
    outs = [
        helper.make_tensor_value_info(n, *k)
        for n, k in (("c2", (TensorProto.BOOL, [])), ("v2", (FLOAT, [4, 3, 3, 3])))
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Neg", ["v"], ["v2"])],
        "body",
        infos,
        outs,
    )
    loop = helper.make_node("Loop", ["turns", "go", "start"], ["new"], body=body)
    values = {"turns": 1 << 62, "go": True, "start": np.ones((4, 3, 3, 3), np.float32)}
    return between(loop, constants=values)


# ---- sizes


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


# ---- numbers and types

for _name, _value in {
    "zero": 0.0, "negative": -0.1, "nan": np.nan, "infinite": np.inf,
    "smallest": 1e-45, "largest": 3e38,
}.items():  # fmt: skip
    for _which in (1, 5):

        def _scale(which: int = _which, value: float = _value) -> onnx.ModelProto:
            model = network()
            quantisers = [n for n in model.graph.node if n.op_type.endswith("quantizeLinear")]
            quantisers += [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
            name = quantisers[which % len(quantisers)].input[1]
            tensor = constant(model, name)
            array = np.full(list(tensor.dims), value, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, name))
            return model

        _scale.__name__ = f"scale_{_name}_{_which}"
        attack(_scale)

for _kind in sorted(set(TensorProto.DataType.values()) - {FLOAT}):

    def _typed(kind: int = _kind) -> onnx.ModelProto:
        model = network()
        for tensor in model.graph.initializer:
            tensor.data_type = kind
        return model

    def _typed_image(kind: int = _kind) -> onnx.ModelProto:
        model = network()
        model.graph.input[0].type.tensor_type.elem_type = kind
        return model

    _typed.__name__ = f"weights_of_type_{TensorProto.DataType.Name(_kind)}"
    _typed_image.__name__ = f"image_of_type_{TensorProto.DataType.Name(_kind)}"
    attack(_typed)
    attack(_typed_image)


@attack
def type_that_does_not_exist() -> onnx.ModelProto:
    model = network()
    model.graph.initializer[0].data_type = 1234
    return model


@attack
def image_that_is_a_sequence() -> onnx.ModelProto:
    model = network()
    kind = model.graph.input[0].type
    kind.sequence_type.elem_type.tensor_type.elem_type = FLOAT
    return model


@attack
def strings_as_weights() -> onnx.ModelProto:
    model = network()
    weight = next(t for t in model.graph.initializer if list(t.dims) == [4, 3, 3, 3])
    weight.ClearField("raw_data")
    weight.data_type = TensorProto.STRING
    weight.string_data.extend([b"\xff"] * 108)
    return model


@attack
def infinite_weights() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    weight = net.qdq(net.const(np.full((4, 3, 1, 1), np.inf)), 0.01)
    return net.model(net.qdq(net.node("Conv", net.image(), weight), SCALE))


@attack
def zero_point_of_another_shape() -> onnx.ModelProto:
    model = network()
    name = first(model, "QuantizeLinear").input[2]
    constant(model, name).CopyFrom(numpy_helper.from_array(np.zeros((2, 2), np.int8), name))
    return model


@attack
def scale_without_elements() -> onnx.ModelProto:
    model = network()
    name = first(model, "QuantizeLinear").input[1]
    constant(model, name).CopyFrom(numpy_helper.from_array(np.zeros(0, np.float32), name))
    return model


@attack
def weight_without_elements() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    weight = net.dequantize(net.const(np.zeros((0, 3, 3, 3)), np.int8), 0.01)
    return net.model(net.qdq(net.node("Conv", net.image(), weight), SCALE))


@attack
def pool_of_nothing() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    y = net.node("MaxPool", net.stem(), kernel_shape=[0, 0])
    return net.model(net.qdq(y, SCALE, signed=False))


# ---- files


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
