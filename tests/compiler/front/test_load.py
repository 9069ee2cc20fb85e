"""Files: versions, shapes, external data, damage."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx

Y = 0.04


def small(net: Any) -> str:
    return net.qdq(net.conv(net.image(), 4, name="c"), Y)


def write(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("N", 3, "H", 5), r"input 'image' has the dynamic shape \(N, 3, H, 5\); fix channels"),
        ((4, 3, 6, 5), "input 'image' has batch size 4; export with batch size 1"),
        (("N", 3, 30), r"input 'image' has shape \(N, 3, 30\), N x C x H x W is expected"),
    ],
)
def test_shapes(net: Any, load: Any, shape: tuple[Any, ...], message: str) -> None:
    output = small(net)
    model = net.model(output)
    kind = TensorProto.FLOAT
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("image", kind, shape))
    with pytest.raises(CompileError, match=message):
        load(model)


def test_dynamic_shape_inside(net: Any, load: Any) -> None:
    y = net.node("NonZero", small(net))
    y = net.node("Cast", y, to=TensorProto.FLOAT, name="last")
    with pytest.raises(CompileError, match=r"\(NonZero\): the operator is not supported"):
        load(net, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 6}, "uses opset 6, 7 to 23 are read; export with opset_version=18"),
        ({"opset": 24}, "uses opset 24, 7 to 23"),
        ({"ir_version": 14}, "has IR version 14, at most 13 is read"),
    ],
)
def test_versions(net: Any, load: Any, options: dict[str, int], message: str) -> None:
    model = net.model(small(net))
    if "opset" in options:
        model.opset_import[0].version = options["opset"]
    else:
        model.ir_version = options["ir_version"]
    with pytest.raises(CompileError, match=message):
        load(model)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"missing.onnx' is not a file"):
        import_onnx(tmp_path / "missing.onnx")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, bytes(range(256))])
def test_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(CompileError, match=r"net.onnx' is not an ONNX file"):
        import_onnx(path)


def test_every_truncation_is_refused_in_one_line(net: Any, tmp_path: Path) -> None:
    data = net.model(small(net)).SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(CompileError) as caught:
            import_onnx(path)
        assert "\n" not in str(caught.value)


def test_damaged_bytes_never_raise_anything_else(
    net: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    data = net.model(small(net)).SerializeToString()
    path = tmp_path / "net.onnx"
    for _ in range(300):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 3):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(CompileError):
            import_onnx(path)


def test_nan_weight(net: Any, load: Any) -> None:
    x = net.image()
    weight = net.qdq(net.const(np.full((4, 3, 1, 1), np.nan)), 0.01)
    with pytest.raises(CompileError, match=r"initialiser 'const.*' holds a NaN"):
        load(net, net.qdq(net.node("Conv", x, weight), Y))


def test_declared_size_without_data(net: Any, load: Any) -> None:
    """A few bytes that claim to be 64 TiB are refused, not allocated."""
    model = net.model(small(net))
    weight = next(t for t in model.graph.initializer if t.dims == [4, 3, 3, 3])
    del weight.dims[:]
    weight.dims.extend([1 << 20, 1 << 20, 8, 8])
    with pytest.raises(CompileError):
        load(model)


def external(net: Any, location: str, length: int | None = None) -> onnx.ModelProto:
    """The small network with its weight in another file."""
    model = net.model(small(net))
    weight = next(t for t in model.graph.initializer if t.dims == [4, 3, 3, 3])
    data = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    fields = {"location": location, "offset": "0", "length": str(length or len(data))}
    for key, value in fields.items():
        weight.external_data.add(key=key, value=value)
    return model


def test_external_weights(net: Any, tmp_path: Path) -> None:
    path = write(external(net, "weights.bin"), tmp_path)
    with pytest.raises(CompileError, match=r"external file 'weights.bin' is missing"):
        import_onnx(path)
    (tmp_path / "weights.bin").write_bytes(bytes(range(108)))
    (conv,) = import_onnx(path).nodes
    assert conv.weight.reshape(-1).tolist() == list(range(108))  # type: ignore[union-attr]
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    with pytest.raises(CompileError, match=r"'weights.bin' has 100 bytes, bytes 0 to 108 are"):
        import_onnx(path)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../w", "", "link"])
def test_external_weights_outside_the_folder(net: Any, tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(108))
    (folder / "link").symlink_to(tmp_path / "weights.bin")
    path = write(external(net, location), folder)
    with pytest.raises(CompileError, match="leaves the model's folder; keep the weight file"):
        import_onnx(path)


@pytest.mark.parametrize("length", [1 << 40, -5])
def test_external_length(net: Any, tmp_path: Path, length: int) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(50))
    with pytest.raises(CompileError):
        import_onnx(write(external(net, "weights.bin", length), tmp_path))


def test_identities_and_functions_of_constants_vanish(net: Any, load: Any) -> None:
    x = net.node("Identity", net.image())
    y = net.node("Dropout", net.conv(x, 4, name="c"))
    y = net.node("Cast", y, to=TensorProto.FLOAT)
    net.node("Softmax", y)  # read by nobody
    graph = load(net, net.node("Identity", net.qdq(y, Y)))
    assert [node.name for node in graph.nodes] == ["c"]


def test_functions_are_replaced_by_their_nodes(net: Any, load: Any) -> None:
    y = small(net)
    plain, model = load(net, y), net.model(y)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    opsets = [onnx.helper.make_opsetid("", 18)]
    body = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(onnx.helper.make_function("own", "Same", ["x"], ["y"], body, opsets))
    model.opset_import.add(domain="own", version=1)
    call = onnx.helper.make_node("Same", [conv.input[0]], ["same"], domain="own")
    conv.input[0] = "same"
    model.graph.node.insert(list(model.graph.node).index(conv), call)
    graph = load(model)
    assert [node.name for node in graph.nodes] == [node.name for node in plain.nodes]


def test_infinity_is_not_quantised(net: Any, load: Any) -> None:
    weight = net.qdq(net.const(np.full((4, 3, 1, 1), np.inf)), 0.01)
    with pytest.raises(CompileError, match=r"quantises 'const.*', which holds infinity"):
        load(net, net.qdq(net.node("Conv", net.image(), weight), Y))


def test_kernel_shape_of_another_weight(net: Any, load: Any) -> None:
    y = net.conv(net.image(), 4, kernel=1, kernel_shape=[3, 3], pads=[1] * 4, name="c")
    with pytest.raises(CompileError, match=r"has kernel_shape \[3, 3\], its weight is 1x1"):
        load(net, net.qdq(y, Y))


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_control_flow_counts_where_something_needs_it(net: Any, load: Any, read: bool) -> None:
    """A branch whose result ends in a node that nothing reads is nobody's business."""
    output = small(net)
    model = net.model(output)
    info = onnx.helper.make_empty_tensor_value_info("inner")
    inner = onnx.helper.make_node("Identity", ["image"], ["inner"])
    graph = onnx.helper.make_graph([inner], "branch", [], [info])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "flag"))
    branch = onnx.helper.make_node("If", ["flag"], ["b"], then_branch=graph, else_branch=graph)
    after = onnx.helper.make_node("Identity", ["b"], ["unread"])
    model.graph.node.insert(0, branch)
    model.graph.node.insert(1, after)
    if read:
        model.graph.node[2].input[0] = "b"
        with pytest.raises(CompileError, match="the operator is not supported"):
            load(model)
    else:
        assert len(load(model).nodes) == len(load(net.model(output)).nodes)
