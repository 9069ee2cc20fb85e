"""Dense layers of maps and of vectors that no average made, and networks of them alone."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.program.core.config import CONFIGS
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import compiled_float, images_of, same


def flat_keras(net: Floats, x: str) -> str:
    """Flatten of Keras: channels last."""
    y = net.node("Transpose", x, perm=[0, 2, 3, 1])
    return net.node("Reshape", y, net.const([-1, 4 * 3 * 5], np.int64))


FLATTENS: dict[str, Any] = {
    "Flatten": lambda n, x: n.node("Flatten", x),
    "Reshape": lambda n, x: n.node("Reshape", x, n.const([1, -1], np.int64)),
    "channels last": flat_keras,
    "Flatten, Relu": lambda n, x: n.relu(n.node("Flatten", x)),
    "channels last, Relu": lambda n, x: flat_keras(n, n.relu(x)),
    "Relu between": lambda n, x: n.node(
        "Flatten", n.relu(n.node("Transpose", x, perm=[0, 2, 3, 1]))
    ),
}


@pytest.mark.parametrize("flatten", FLATTENS)
@pytest.mark.parametrize("deep", [False, True])
def test_dense_layer_of_a_map(flatten: str, deep: bool, tmp_path: Path) -> None:
    net = Floats(11, ("N", 4, 3, 5))
    x = FLATTENS[flatten](net, net.relu(net.conv("image")))
    y = net.gemm(x, inputs=60, outputs=6)
    if deep:
        y = net.gemm(net.relu(net.gemm(net.relu(y), inputs=6, outputs=5)), inputs=5)
    images = images_of((4, 3, 5))
    network = compiled_float(net.model(y), tmp_path, images)
    layers = [node for node in network.integer_graph().nodes if isinstance(node, ir.Conv)]
    assert [layer.pixels for layer in layers] == [1, 15] + [1, 1] * deep
    same(network, images)


def mlp(net: Floats, sizes: list[int], matmul: bool) -> str:
    x = "image"
    for first, second in itertools.pairwise(sizes):
        if matmul:
            x = net.node("MatMul", x, net.normal(first, second, spread=first**-0.5))
            x = net.node("Add", x, net.normal(second, spread=0.3))
        else:
            x = net.gemm(x, inputs=first, outputs=second)
        x = net.relu(x) if second != sizes[-1] else x
    return x


@pytest.mark.parametrize("matmul", [False, True])
@pytest.mark.parametrize("sizes", [[12, 5], [20, 16, 3, 20], [1, 7, 2]])
def test_dense_layers_alone(sizes: list[int], matmul: bool, tmp_path: Path) -> None:
    net = Floats(12, ("N", sizes[0]))
    y = mlp(net, sizes, matmul)
    images = images_of((sizes[0],))
    network = compiled_float(net.model(y), tmp_path, images)
    assert network.input_shape == (sizes[0],) and network.core_shape == (sizes[0], 1, 1)
    same(network, images)


def compiled_qdq(net: Qdq, y: str, folder: Path) -> CompiledNetwork:
    path = folder / "net.onnx"
    path.write_bytes(net.model(y).SerializeToString())
    return compile_onnx(path, CONFIGS["tiny"])


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("order", ["QDQ, Flatten", "Flatten, QDQ"])
def test_quantised_dense_layer_of_a_map(order: str, last: bool, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng, ("N", 3, 4, 5))
    x = net.node("Relu", net.conv(net.image(), 4))
    if order == "Flatten, QDQ":
        x = net.qdq(net.node("Flatten", x), 0.04, signed=False)
    else:
        x = net.node("Flatten", net.qdq(x, 0.04, signed=False))
    net.channels[x] = 80
    y = net.qdq(net.gemm(x, 6), 0.05)
    if last:
        y = net.qdq(net.gemm(y, 3), 0.05)
    network = compiled_qdq(net, y, tmp_path)
    same(network, images_of((3, 4, 5)))
    checked = network.check(images_of((3, 4, 5))).checked
    assert checked is not None and not checked.unnamed  # each under its name in the file


@pytest.mark.parametrize("transposed", [False, True])
def test_quantised_dense_layers_alone(transposed: bool, tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng, ("N", 24))
    net.channels["image"] = 24
    x = net.image()
    for outputs in (7, 5, 24):
        inputs = net.channels[x]
        weight = net.weight((outputs, inputs)) if transposed else net.weight((inputs, outputs), 1)
        weight = net.node("Transpose", weight, perm=[1, 0]) if transposed else weight
        y = net.node("Add", net.node("MatMul", x, weight), net.const(rng.normal(0, 0.3, outputs)))
        x = net.qdq(net.node("Relu", y), 0.04, signed=False)
        net.channels[x] = outputs
    same(compiled_qdq(net, x, tmp_path), images_of((24,)))


def test_gates_still_read_averages(tmp_path: Path) -> None:
    """A dense layer behind an average stays one of the gate unit's."""
    net = Floats(13, ("N", 4, 4, 4))
    x = net.relu(net.conv("image"))
    y = net.gemm(net.relu(net.gemm(net.pooled(x), outputs=6)), inputs=6)
    network = compiled_float(net.model(y), tmp_path, images_of((4, 4, 4)))
    assert [type(node) for node in network.integer_graph().nodes[-2:]] == [ir.Dense, ir.Dense]


def test_gate_of_a_flattened_map_is_refused_by_name(tmp_path: Path) -> None:
    net = Floats(14, ("N", 4, 3, 3))
    x = net.relu(net.conv("image"))
    score = net.node(
        "Clip", net.gemm(net.node("Flatten", x), inputs=36), net.const(0.0), net.const(1.0)
    )
    score = net.node("Unsqueeze", score, net.const([2, 3], np.int64))
    y = net.gemm(net.pooled(net.node("Mul", net.conv(x), score)))
    with pytest.raises(CompileError, match="node"):
        compiled_float(net.model(y), tmp_path, images_of((4, 3, 3)))


def test_too_many_inputs(tmp_path: Path) -> None:
    net = Floats(15, ("N", 4, 6, 6))
    y = net.gemm(net.node("Flatten", net.conv("image")), inputs=144)
    with pytest.raises(CompileError, match="144 -> 4 channels, 'tiny' has at most 128"):
        compiled_float(net.model(y), tmp_path, images_of((4, 6, 6)))


def test_concat_before_a_dense_layer(tmp_path: Path) -> None:
    """The parts lie in another order than the file has them."""
    net = Floats(16, ("N", 4, 3, 3))
    a, b, c = (net.relu(net.conv("image")) for _ in range(3))
    first, second = net.node("Concat", a, b, axis=1), net.node("Concat", c, a, axis=1)
    u = net.gemm(net.node("Flatten", first), inputs=72)
    v = net.gemm(net.node("Flatten", second), inputs=72)
    images = images_of((4, 3, 3))
    same(compiled_float(net.model(net.node("Add", u, v)), tmp_path, images), images)


def test_several_images_a_run(tmp_path: Path) -> None:
    net = Floats(17, ("N", 4, 2, 2))
    x = net.relu(net.conv("image", outputs=64))
    for _ in range(2):
        x = net.relu(net.conv(x, inputs=64, outputs=64))
    y = net.node("Softmax", net.gemm(net.node("Flatten", x), inputs=256))
    images = images_of((4, 2, 2), 7)
    path = save(net.model(y), tmp_path)
    one = compile_onnx(path, CONFIGS["z7020"], calibration=images)
    three = compile_onnx(path, CONFIGS["z7020"], calibration=images, images=3)
    from tests.compiler.front.test_ends import outputs

    assert (outputs(one, images) == outputs(three, images)).all()


def test_convolution_as_large_as_its_map(tmp_path: Path) -> None:
    net = Floats(18, ("N", 4, 4, 2))
    weight = net.normal(5, 4, 4, 2, spread=0.2)
    y = net.node("Conv", net.relu(net.conv("image")), weight)
    images = images_of((4, 4, 2))
    network = compiled_float(net.model(net.node("Flatten", y)), tmp_path, images)
    assert isinstance(network.integer_graph().nodes[-1], ir.Conv)
    same(network, images)
    assert onnx.load_model_from_string(network.onnx_file()).graph.output
