"""Head and tail: peeled off, run by the host; the file's own output comes out of every engine."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import penstock
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import CONFIGS
from penstock.sim.golden import run as run_golden
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.qdq import Qdq

Array = Any


def compiled_float(model: onnx.ModelProto, folder: Path, images: Array) -> CompiledNetwork:
    return compile_onnx(save(model, folder), CONFIGS["tiny"], calibration=images)


def outputs(network: CompiledNetwork, images: Array) -> Array:
    records = run_golden(network.package, network.quantize_input(images))
    return network.decode_output(records, len(images)).results


def reference(model: onnx.ModelProto, images: Array) -> Array:
    session = open_session(model)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def same(network: CompiledNetwork, images: Array) -> Array:
    """The outputs, after a comparison with the quantised file as a whole in onnxruntime."""
    assert network.model is not None
    found = outputs(network, images)
    expected = reference(onnx.load_model_from_string(network.model), images)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, atol=0.06)
    else:
        assert (found == expected).mean() >= 0.9
    checked = network.check(images).checked
    assert checked is not None and checked.first_wrong is None
    return found


def images_of(shape: tuple[int, ...], count: int = 16, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


TAILS: dict[str, Any] = {
    "Softmax": lambda n, x: n.node("Softmax", x, axis=1),
    "LogSoftmax": lambda n, x: n.node("LogSoftmax", x),
    "Sigmoid": lambda n, x: n.node("Sigmoid", x),
    "Softmax, ArgMax": lambda n, x: n.node("ArgMax", n.node("Softmax", x), axis=1, keepdims=0),
    "ArgMax": lambda n, x: n.node("ArgMax", x, axis=-1),
    "Reshape, Softmax": lambda n, x: n.node(
        "Softmax", n.node("Reshape", x, n.const([1, 2, 2], np.int64)), axis=2
    ),
    "Mul, Add": lambda n, x: n.node("Add", n.node("Mul", x, n.const(0.5)), n.const([1, 2, 3, 4])),
    "Div, Tanh": lambda n, x: n.node("Tanh", n.node("Div", x, n.const([3.0]))),
    "Sub, Relu": lambda n, x: n.relu(n.node("Sub", x, n.const([0.1, 0.2, 0.3, 0.4]))),
    "Cast": lambda n, x: n.node("Cast", x, to=onnx.TensorProto.DOUBLE),
    "ReduceMax": lambda n, x: n.node("ReduceMax", x, n.const([1], np.int64), keepdims=0),
    "Exp, Reshape": lambda n, x: n.node("Reshape", n.node("Exp", x), n.const([-1, 4, 1], np.int64)),
}


@pytest.mark.parametrize("operators", TAILS)
def test_tail_of_a_float_network(operators: str, tmp_path: Path) -> None:
    net = Floats(1, ("N", 4, 4, 4))
    logits = net.gemm(net.pooled(net.relu(net.conv("image"))))
    images = images_of((4, 4, 4))
    network = compiled_float(net.model(TAILS[operators](net, logits)), tmp_path, images)
    assert network.package.meta["tails"][0]["result"]["name"] == net.nodes[-1].output[0]
    (tail,) = network.tails
    assert tail.operators == operators.replace("Sub, Relu", "Sub, Relu")
    same(network, images)


def test_what_the_core_does_itself_stays_there(tmp_path: Path) -> None:
    net = Floats(1)
    y = net.node("Clip", net.gemm(net.pooled(net.conv("image"))), net.const(0.0), net.const(1.0))
    network = compiled_float(net.model(y), tmp_path, images_of((4, 4, 4)))
    assert network.tails == () and network.head is None
    assert "tails" not in network.package.meta


def head_transpose(net: Floats) -> str:
    return net.node("Transpose", "image", perm=[0, 3, 1, 2])


HEADS: dict[str, tuple[tuple[int, ...], Any]] = {
    "Transpose": ((5, 6, 4), head_transpose),
    "Sub, Div": (
        (4, 5, 6),
        lambda n: n.node(
            "Div",
            n.node("Sub", "image", n.const(np.full((1, 4, 1, 1), 0.4))),
            n.const(np.array([0.2, 0.3, 0.4, 0.5]).reshape(4, 1, 1)),
        ),
    ),
    "Transpose, Mul, Add": (
        (5, 6, 4),
        lambda n: n.node(
            "Add", n.node("Mul", head_transpose(n), n.const(2.0)), n.const([[[[0.25]]]])
        ),
    ),
    "Reshape": ((120,), lambda n: n.node("Reshape", "image", n.const([-1, 4, 5, 6], np.int64))),
    "Gather, Sub": (
        (4, 5, 6),
        lambda n: n.node(
            "Sub", n.node("Gather", "image", n.const([3, 2, 1, 0], np.int64), axis=1), n.const(0.5)
        ),
    ),
}


@pytest.mark.parametrize("operators", HEADS)
def test_head_of_a_float_network(operators: str, tmp_path: Path) -> None:
    shape, build = HEADS[operators]
    net = Floats(2, ("N", *shape))
    y = net.gemm(net.pooled(net.relu(net.conv(build(net)))))
    images = images_of(shape)
    network = compiled_float(net.model(y), tmp_path, images)
    assert network.head is not None and network.head.operators == operators
    assert network.input_shape == shape and network.core_shape == (4, 5, 6)
    same(network, images)


def test_uint8_images_and_both_ends(tmp_path: Path) -> None:
    """What a mobile exporter writes: bytes, NHWC, scaled, softmax."""
    net = Floats(3, ("N", 6, 5, 4))
    x = net.node("Cast", "image", to=onnx.TensorProto.FLOAT)
    x = net.node("Transpose", net.node("Div", x, net.const(255.0)), perm=[0, 3, 1, 2])
    y = net.node("Softmax", net.gemm(net.pooled(net.relu(net.conv(x)))))
    model = net.model(y)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    images = np.random.default_rng(4).integers(0, 256, (16, 6, 5, 4), dtype=np.uint8)
    network = compiled_float(model, tmp_path, images)
    assert network.codes == np.uint8 and not network.takes_real
    assert network.head is not None and network.head.operators == "Cast, Div, Transpose"
    same(network, images)
    with pytest.raises(penstock.PenstockError, match="expected uint8 N x 6 x 5 x 4, got float32"):
        network.quantize_input(images.astype(np.float32))


@pytest.mark.parametrize("late", [False, True])
def test_quantised_file_with_both_ends(late: bool, tmp_path: Path, rng: Any) -> None:
    """NHWC before, or between, the image's quantisers; softmax quantised like the rest."""
    net = Qdq(rng, ("N", 6, 5, 3))
    if late:
        image = net.node("Transpose", net.image(), perm=[0, 3, 1, 2])
    else:
        image = net.qdq(net.node("Transpose", "image", perm=[0, 3, 1, 2]), 0.05)
    net.channels[image] = 3
    x = net.qdq(net.node("Relu", net.conv(image, 4)), 0.04, signed=False)
    logits = net.qdq(net.gemm(net.pool(x), 5), 0.02)
    y = net.qdq(net.node("Softmax", logits), 1 / 256, signed=False)
    path = tmp_path / "net.onnx"
    path.write_bytes(net.model(y).SerializeToString())
    network = compile_onnx(path, CONFIGS["tiny"])
    assert network.head is not None and network.head.operators == "Transpose"
    operators = [tail.operators for tail in network.tails]
    assert operators == ["Softmax, QuantizeLinear, DequantizeLinear"]
    images = images_of((6, 5, 3))
    found = same(network, images)
    records = run_golden(network.package, network.quantize_input(images))
    logits_found = network.decode_output(records, len(images))
    assert (logits_found.label == logits_found.logits.argmax(axis=1)).all()
    assert found.max() <= 1


def test_early_exits_have_a_tail_each(tmp_path: Path) -> None:
    net = Floats(5, ("N", 4, 4, 4))
    x = net.relu(net.conv("image"))
    first = net.node("Softmax", net.gemm(net.pooled(x)))
    last = net.node("Softmax", net.gemm(net.pooled(net.relu(net.conv(x)))))
    model = net.model(first, last)
    images = images_of((4, 4, 4), 32)
    network = compile_onnx(
        save(model, tmp_path), CONFIGS["tiny"], calibration=images, thresholds=[0.33]
    )
    records = run_golden(network.package, network.quantize_input(images))
    decoded = network.decode_output(records, len(images))
    assert 0 < (decoded.exits == 0).sum() < len(images)
    session = open_session(model)
    for image, result, leave in zip(images, decoded.results, decoded.exits, strict=True):
        expected = session.run(None, {"image": image[None]})[leave][0]
        np.testing.assert_allclose(result, expected, atol=0.06)


def test_labels_follow_what_a_tail_does_to_the_order(tmp_path: Path) -> None:
    net = Floats(6)
    y = net.node("Mul", net.gemm(net.pooled(net.conv("image"))), net.const([1, -5, 1, 1]))
    images = images_of((4, 4, 4))
    network = compiled_float(net.model(y), tmp_path, images)
    decoded = network.decode_output(run_golden(network.package, network.quantize_input(images)))
    assert (decoded.label == decoded.results.argmax(axis=1)).all()
    assert (decoded.label != decoded.logits.argmax(axis=1)).any()


def test_a_saved_network_has_its_ends(tmp_path: Path) -> None:
    net = Floats(7, ("N", 4, 4, 4))
    y = net.node("ArgMax", net.gemm(net.pooled(net.conv(head_transpose(net)))), axis=1, keepdims=0)
    images = images_of((4, 4, 4))
    network = penstock.compile(net.model(y), calibration=images, target="tiny")
    assert network(images).dtype == np.int64 and network(images).shape == (16,)
    assert (network.run(images).labels == network(images)).all()
    assert "on the host, before the core" in repr(network._repr_html_())
    network.save(tmp_path / "net")
    again = penstock.load(tmp_path / "net")
    assert (again(images) == network(images)).all()
    assert (again(images, engine="onnx") == network(images)).mean() >= 0.9
    assert network.compare(images, engines=("golden", "graph"), layers=True).equal


MIDDLE: dict[str, tuple[Any, str]] = {
    "softmax between layers": (
        lambda n, x: n.gemm(n.node("Softmax", n.gemm(n.pooled(x)))),
        "node '*' (Softmax): the operator is not supported",
    ),
    "transpose of a map": (
        lambda n, x: n.gemm(
            n.pooled(n.conv(n.node("Transpose", x, perm=[0, 1, 3, 2]))),
        ),
        "node '*' (Transpose): only weight matrices may be transposed",
    ),
    "two branches to one tail": (
        lambda n, x: n.node("Sub", n.gemm(n.pooled(x)), n.gemm(n.pooled(x))),
        "node '*' (Sub): the operator is not supported",
    ),
    "across the batch": (
        lambda n, x: n.node("Softmax", n.gemm(n.pooled(x)), axis=0),
        "node '*' (Softmax): the operator is not supported",
    ),
}


@pytest.mark.parametrize("case", MIDDLE)
def test_the_middle_stays_refused(case: str, tmp_path: Path) -> None:
    from tests.compiler.front.conftest import assert_matches

    build, message = MIDDLE[case]
    net = Floats(8)
    with pytest.raises(CompileError) as caught:
        compiled_float(net.model(build(net, net.conv("image"))), tmp_path, images_of((4, 4, 4)))
    assert_matches(str(caught.value), message)


def test_image_that_is_also_read_as_it_is(tmp_path: Path) -> None:
    net = Floats(9)
    numbers = net.const(np.linspace(1, 2, 4).reshape(4, 1, 1))
    x = net.node("Add", net.conv("image"), net.conv(net.node("Mul", "image", numbers)))
    with pytest.raises(CompileError, match=r"\(Mul\)"):
        compiled_float(net.model(net.gemm(net.pooled(x))), tmp_path, images_of((4, 4, 4)))
