"""Where float networks are quantised: every kind of layer, operand and magnitude."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float, quantize_float
from penstock.compiler.errors import CompileError
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from tests.compiler.front.floats import Floats, check_float, save, some_images


def refusal(net: Floats, output: str, tmp_path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        import_float(save(net.model(output), tmp_path), some_images(1))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- operands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shortcut", ["plain", "concat_of_concats", "shared", "both"])
def test_a_concat_is_the_shortcut_of_a_sum(shortcut: str, tmp_path: Path) -> None:
    net = Floats(1)
    left, right = net.relu(net.conv("image")), net.relu(net.conv("image"))
    joined = net.node("Concat", left, right, axis=1)
    inputs = 8
    if shortcut == "concat_of_concats":
        joined = net.node("Concat", joined, net.conv("image"), axis=1)
        inputs = 12
    branch = net.conv("image", inputs)
    if shortcut == "both":
        branch = net.node("Concat", net.conv(left), net.conv(right), axis=1)
    x = net.relu(net.node("Add", joined, branch))
    if shortcut == "shared":
        x = net.node("Add", net.conv(x, 8, 8), joined)
    check_float(net.model(net.head(x, inputs)), tmp_path, some_images(2))


def test_a_sum_is_a_part_of_a_shortcut(tmp_path: Path) -> None:
    """The operands of an addition are found behind a Concat that an addition reads."""
    net = Floats(3)
    x = net.relu(net.conv("image"))
    inner = net.relu(net.node("Add", net.conv(x), x))
    joined = net.node("Concat", inner, net.relu(net.conv(x)), axis=1)
    y = net.relu(net.node("Add", net.conv(x, 8), joined))
    check_float(net.model(net.head(y, 8)), tmp_path, some_images(4))


@pytest.mark.parametrize("axis", [1, -3])
def test_split_of_a_map(axis: int, tmp_path: Path) -> None:
    net = Floats(5)
    x = net.relu(net.conv("image"))
    net.node("Split", x, net.const([2, 2], np.int64), axis=axis, name="split", out="left")
    net.nodes[-1].output.append("right")
    x = net.node("Concat", "left", net.conv("right", 2, 2), axis=1)
    check_float(net.model(net.head(x)), tmp_path, some_images(6))


def test_only_the_second_output_of_a_split_is_read(tmp_path: Path) -> None:
    net = Floats(7)
    net.node("Split", net.conv("image"), num_outputs=2, axis=1, name="split", out="left")
    net.nodes[-1].output.append("right")
    check_float(net.model(net.head(net.conv("right", 2, 2), 2)), tmp_path, some_images(8))


def test_split_of_gates(tmp_path: Path) -> None:
    """Both outputs of a Split of a dense layer's are scores."""
    net = Floats(9)
    x = net.relu(net.conv("image"))
    scores = net.node("Clip", net.gemm(net.pooled(x), 5), net.const(0.0), net.const(1.0))
    net.node("Split", scores, net.const([4, 1], np.int64), axis=1, out="channels")
    net.nodes[-1].output.append("block")
    shape = [net.const([-1, n, 1, 1], np.int64) for n in (4, 1)]
    y = net.relu(net.node("Mul", net.conv(x), net.node("Reshape", "channels", shape[0])))
    y = net.node("Mul", net.conv(y), net.node("Reshape", "block", shape[1]))
    graph = check_float(
        net.model(net.head(net.relu(net.node("Add", y, x)))), tmp_path, some_images(10)
    )
    assert sum(isinstance(node, ir.Gate) for node in graph.nodes) == 2


def test_a_constant_on_the_left_of_a_product(tmp_path: Path) -> None:
    net = Floats(11)
    column = net.node("Reshape", net.pooled("image"), net.const([4, 1], np.int64))
    text = refusal(net, net.node("MatMul", net.normal(5, 4), column, name="left"), tmp_path)
    assert text == (
        "node 'left' (MatMul): its input 'k1' is a constant; write the product with the constant "
        "on the right: MatMul(x, transposed), or Gemm"
    )


def test_a_convolution_of_a_constant(tmp_path: Path) -> None:
    net = Floats(13)
    x = net.node("Conv", net.normal(1, 4, 4, 4, name="c"), net.normal(4, 4, 1, 1), name="conv")
    text = refusal(net, net.head(net.node("Add", net.conv("image"), x)), tmp_path)
    assert text.startswith("node 'conv' (Conv): its input 'c' is a constant; layers read")


def test_a_concat_with_a_constant(tmp_path: Path) -> None:
    net = Floats(15)
    x = net.node("Concat", net.conv("image"), net.normal(1, 4, 4, 4, name="c"), axis=1, name="cat")
    text = refusal(net, net.head(net.conv(x, 4, 8)), tmp_path)
    assert text.startswith("node 'cat' (Concat): 'c' is a constant; ")


def test_a_network_that_ignores_its_image(tmp_path: Path) -> None:
    net = Floats(17)
    y = net.node("Relu", net.normal(1, 4))
    assert "the output 'relu0' does not depend on the image" in refusal(net, y, tmp_path)


def test_an_input_of_integers(tmp_path: Path) -> None:
    net = Floats(19)
    model = net.model(net.head(net.conv(net.node("Cast", "image", to=1))))
    model.graph.input[0].type.tensor_type.elem_type = 2
    graph = import_float(save(model, tmp_path), np.abs(some_images(20) * 60).astype(np.uint8))
    assert graph.head is not None and graph.head.operators == "Cast"
    with pytest.raises(CompileError, match="calibration images have type int8; use float32"):
        import_float(save(model, tmp_path), some_images(20).astype(np.int8))


@pytest.mark.parametrize("op", ["MaxPool", "Gather", "Concat"])
@pytest.mark.parametrize("signed", [True, False])
def test_an_activation_of_stored_integers(op: str, signed: bool, tmp_path: Path) -> None:
    """It keeps their scale, whatever its own range is and however it is read."""
    net = Floats(51)
    x = net.conv("image") if signed else net.relu(net.conv("image"))
    inputs = 4
    if op == "MaxPool":
        y = net.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
    elif op == "Gather":
        y = net.node("Gather", x, net.const([2, 0, 3, 1], np.int64), axis=1)
    else:
        y, inputs = net.node("Concat", x, net.conv("image"), axis=1), 8
    z = net.node("Clip", y, net.const(0.0), net.const(0.5))
    output = net.head(net.node("Add", net.conv(z, 4, inputs), net.conv(y, 4, inputs)))
    text = ""
    try:
        import_float(save(net.model(output), tmp_path), some_images(52))
    except CompileError as error:  # a clip inside the grid of what is stored already is refused
        text = str(error)
    assert "scales that cannot be unified" not in text


@pytest.mark.parametrize("op", ["MaxPool", "Gather"])
def test_a_relu_of_stored_integers_in_a_sum(op: str, tmp_path: Path) -> None:
    """The sum's scale is theirs as well."""
    net = Floats(53)
    x = net.relu(net.conv("image"))
    attrs = {"kernel_shape": [3, 3], "pads": [1] * 4} if op == "MaxPool" else {"axis": 1}
    order = [net.const([2, 0, 3, 1], np.int64)] if op == "Gather" else []
    y = net.relu(net.node(op, x, *order, **attrs))
    z = net.relu(net.conv(y)) if op == "Gather" else net.node("Add", net.conv(x), y)
    check_float(net.model(net.head(net.relu(z))), tmp_path, some_images(54))


# -- dense layers --------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 6.0), (-1.0, 1.0), (0.25, 0.75)])
def test_clip_between_dense_layers(bounds: tuple[float, float], tmp_path: Path) -> None:
    """Clip(0, 1) too: a score only where something is multiplied by it."""
    net = Floats(21)
    hidden = net.gemm(net.pooled(net.relu(net.conv("image"))), 6)
    hidden = net.node("Clip", hidden, *map(net.const, bounds))
    graph = check_float(net.model(net.gemm(hidden, 5, 6)), tmp_path, some_images(22))
    assert not any(isinstance(node, ir.Gate) for node in graph.nodes)


def test_clip_between_the_dense_layers_of_a_gate(tmp_path: Path) -> None:
    """The decisions of a threshold gate are those of the float network, but for rounding."""
    net = Floats(23)
    x = net.relu(net.conv("image"))
    hidden = net.node("Clip", net.gemm(net.pooled(x), 6), net.const(0.0), net.const(1.0))
    open_ = net.node("Greater", net.gemm(hidden, 4, 6, bias=-0.3), net.const(0.0))
    score = net.node("Reshape", net.node("Cast", open_, to=1), net.const([-1, 4, 1, 1], np.int64))
    y = net.node("Mul", net.relu(net.conv(x)), score)
    graph = import_float(save(net.model(net.head(y)), tmp_path), some_images(24))
    kinds = [type(node).__name__ for node in graph.nodes]
    assert kinds.count("Gate") == 1 and kinds.count("Dense") == 2


def test_one_clip_is_a_score_and_a_hidden_layer(tmp_path: Path) -> None:
    net = Floats(25)
    x = net.relu(net.conv("image"))
    clipped = net.node("Clip", net.gemm(net.pooled(x)), net.const(0.0), net.const(1.0))
    inner = net.node("Clip", net.gemm(clipped), net.const(0.0), net.const(1.0))
    shape = net.const([-1, 4, 1, 1], np.int64)
    y = net.relu(net.node("Mul", net.conv(x), net.node("Reshape", clipped, shape)))
    y = net.node("Mul", net.conv(y), net.node("Reshape", inner, shape))
    check_float(net.model(net.head(net.relu(y))), tmp_path, some_images(26))


@pytest.mark.parametrize("layer", ["MatMul", "Gemm", "Conv"])
@pytest.mark.parametrize("dead", ["zero", "tiny"])
def test_a_dead_output_with_a_bias_that_is_added(layer: str, dead: str, tmp_path: Path) -> None:
    """Without weights the scale of an output follows from its bias."""
    net = Floats(27)
    factor = np.array([1.0, 0.0 if dead == "zero" else 1e-12, 1.0])
    bias = np.array([0.3, 0.7, -0.2])
    if layer == "Conv":
        weight = net.rng.normal(0, 0.5, (3, 4, 1, 1)) * factor.reshape(3, 1, 1, 1)
        y = net.node("Conv", "image", net.const(weight))
        y = net.head(net.relu(net.node("Add", net.const(bias.reshape(1, 3, 1, 1)), y)), 3)
    else:
        weight = net.rng.normal(0, 0.5, (4, 3)) * factor
        y = net.node(layer, net.pooled(net.relu(net.conv("image"))), net.const(weight))
        y = net.node("Add", y, net.const(bias))
    check_float(net.model(y), tmp_path, some_images(28))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (1, 1)])
@pytest.mark.parametrize("before", [False, True])
def test_added_constants_of_every_shape(
    shape: tuple[int, ...], before: bool, tmp_path: Path
) -> None:
    net = Floats(29)
    bias = [net.normal(5)] if before else []
    y = net.node("Gemm", net.pooled(net.relu(net.conv("image"))), net.normal(4, 5), *bias)
    y = net.node("Add", y, net.const(net.rng.normal(0, 1, shape)))
    graph = check_float(net.model(y), tmp_path, some_images(30))
    assert len(graph.nodes) == 3


def test_a_bias_that_is_added_where_the_layer_is_read_again(tmp_path: Path) -> None:
    net = Floats(31)
    y = net.conv("image")
    z = net.node("Add", y, net.normal(1, 4, 1, 1, spread=2.0))
    x = net.node("Add", net.conv(net.relu(z)), net.relu(y))
    check_float(net.model(net.head(net.relu(x))), tmp_path, some_images(32))


@pytest.mark.parametrize("shape", [(4,), (1, 4, 3), (1, 1, 4, 3)])
def test_a_weight_that_is_no_matrix(shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Floats(33)
    y = net.node("MatMul", net.pooled("image"), net.normal(*shape), name="m")
    text = refusal(net, y, tmp_path)
    assert text == f"node 'm' (MatMul): its weight has {len(shape)} dimensions; give it 2"


# -- magnitudes ----------------------------------------------------------------------------------


def deep(net: Floats, first: float) -> str:
    """Two blocks, a gate and a classifier; the first weights times `first`."""
    weight = net.const(net.rng.normal(0, 0.3, (4, 4, 3, 3)) * first)
    x = net.relu(net.node("Conv", "image", weight, pads=[1] * 4))
    score = net.node("Clip", net.gemm(net.pooled(x), 1), net.const(0.0), net.const(1.0))
    y = net.node("Mul", net.conv(x), net.node("Reshape", score, net.const([1] * 4, np.int64)))
    return net.head(net.relu(net.node("Add", y, x)))


@pytest.mark.parametrize("power", [-30, -20, -9, -7, -6, -5, 5, 9, 20, 30])
def test_images_and_weights_of_any_size(power: int, tmp_path: Path) -> None:
    """Images times s, the first weights by s: the logits stay as they are."""
    scale = 10.0**power
    nets = [Floats(37), Floats(37)]
    images = some_images(38)
    graph = check_float(nets[0].model(deep(nets[0], 1.0)), tmp_path, images)
    scaled = (images.astype(np.float64) * scale).astype(np.float32)
    other = check_float(nets[1].model(deep(nets[1], 1 / scale)), tmp_path, scaled)
    logits = [integer_logits(g, x) for g, x in ((graph, images), (other, scaled))]
    assert np.abs(logits[0] - logits[1]).max() <= 2


def integer_logits(graph: ir.Graph, images: Any) -> Any:
    source = graph.values[graph.input]
    codes = quantize(images, source.scale, source.signed)
    return run_graph(graph, codes)[graph.output].astype(int)


@pytest.mark.parametrize("factor", [1e-9, 1e-7, 1e6])
def test_small_and_large_tensors_inside(factor: float, tmp_path: Path) -> None:
    """Not only the image: every tensor between the first layer and the last."""
    net = Floats(39)
    x = net.relu(net.node("Conv", "image", net.const(net.rng.normal(0, factor, (4, 4, 1, 1)))))
    x = net.node("Conv", x, net.normal(4, 4, 1, 1))
    y = net.node("Gemm", net.pooled(net.relu(x)), net.const(net.rng.normal(0, 1 / factor, (4, 5))))
    check_float(net.model(y), tmp_path, some_images(40))


def test_a_map_that_is_always_zero(tmp_path: Path) -> None:
    """Its scale follows from what makes it: other images may make something of it."""
    net = Floats(41)
    weight = -np.abs(net.rng.normal(0, 0.3, (4, 4, 1, 1)))
    x = net.relu(net.node("Conv", "image", net.const(weight)))
    y = net.head(net.relu(net.conv(x)))
    images = np.abs(some_images(42))
    graph = check_float(net.model(y), tmp_path, images)
    convs = [node for node in graph.nodes if isinstance(node, ir.Conv)]
    made, source = graph.values[convs[0].output], graph.values[graph.input]
    assert 1e-2 * source.scale <= made.scale <= 1e2 * source.scale


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("where", ["weight", "bias"])
def test_infinite_parameters(bad: float, where: str, tmp_path: Path) -> None:
    net = Floats(43)
    weight, bias = np.ones((4, 4, 1, 1)), np.zeros(4)
    (weight if where == "weight" else bias).reshape(-1)[2] = bad
    x = net.node("Conv", "image", net.const(weight), net.const(bias), name="conv")
    text = refusal(net, net.head(net.relu(x)), tmp_path)
    assert text.startswith("node 'conv' (Conv): ") and "infinity" in text


def test_a_tensor_that_overflows(tmp_path: Path) -> None:
    net = Floats(45)
    x = net.node("Conv", "image", net.const(np.full((4, 4, 1, 1), 3e38)), name="conv")
    text = refusal(net, net.head(x), tmp_path)
    assert text.startswith("node 'conv' (Conv): makes infinity or NaN of calibration image 0")


def test_a_batch_normalisation_without_variance(tmp_path: Path) -> None:
    net = Floats(47)
    rows = [net.const(row) for row in (np.ones(4), np.zeros(4), np.zeros(4), [1, 0, 1, 1])]
    y = net.node("BatchNormalization", net.conv("image"), *rows, epsilon=0.0, name="bn")
    text = refusal(net, net.head(y), tmp_path)
    assert text.startswith("node 'bn' (BatchNormalization): its parameters make no finite numbers")


def test_what_onnxruntime_refuses(tmp_path: Path) -> None:
    """Its words on one line, and nothing of it on stderr."""
    net = Floats(49)
    model = net.model(net.head(net.conv("image")))
    model.graph.node[0].attribute.add(name="strides", type=7, ints=[1, 1, 1])
    with pytest.raises(CompileError) as caught:
        quantize_float(save(model, tmp_path), some_images(50))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_inner_tensors_that_an_optimiser_would_fuse_away(tmp_path: Path) -> None:
    """A sum of two strided convolutions in groups: onnxruntime's optimiser loses one of them."""
    net = Floats(7)
    x = net.conv("image")
    attrs = {"group": 2, "strides": [2, 2]}
    shortcut = net.node("Conv", x, net.normal(4, 2, 1, 1), net.normal(4), **attrs)
    y = net.node("Conv", x, net.normal(4, 2, 3, 3), pads=[1] * 4, **attrs)
    z = net.conv(net.node("Add", y, shortcut))
    check_float(net.model(net.head(z)), tmp_path, some_images(8))


# -- biases ------------------------------------------------------------------------------------


def test_a_layer_that_is_almost_dead_compiles(tmp_path: Path) -> None:
    """Its result has finer steps than its accumulator, so no float bias would be close enough."""
    images = some_images(8)
    net = Floats(8)
    weight = net.rng.normal(0, 1, (4, 4, 1, 1)).astype(np.float32)
    sums = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], images)
    bias = 1e-4 - sums.max(axis=(0, 2, 3))  # of each channel one pixel survives its ReLU
    dead = net.relu(net.node("Conv", "image", net.const(weight), net.const(bias)))
    both = net.node("Concat", net.relu(net.conv("image")), net.conv(dead), axis=1)
    check_float(net.model(net.head(both, 8)), tmp_path, images)


def test_biases_are_written_in_steps_of_the_accumulator(tmp_path: Path) -> None:
    net = Floats(9)
    model = quantize_float(save(net.model(net.head(net.conv("image"))), tmp_path), some_images(9))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 2
    for layer in layers:
        integers = constants[makers[layer.input[2]].input[0]]
        assert integers.data_type == onnx.TensorProto.INT32


@pytest.mark.parametrize("layer", ["Gemm", "transposed", "MatMul", "MatMul and Add"])
def test_a_batch_normalisation_behind_a_dense_layer(tmp_path: Path, layer: str) -> None:
    net = Floats(31)
    x = net.pooled(net.relu(net.conv("image")))
    if layer.startswith("MatMul"):
        y = net.node("MatMul", x, net.normal(4, 6))
        y = net.node("Add", y, net.normal(6)) if "Add" in layer else y
    else:
        transposed = layer == "transposed"
        weight = net.normal(6, 4) if transposed else net.normal(4, 6)
        y = net.node("Gemm", x, weight, net.normal(6), transB=int(transposed))
    rows = [net.const(net.rng.uniform(0.5, 2.0, 6)), net.normal(6), net.normal(6)]
    y = net.node("BatchNormalization", y, *rows, net.const(net.rng.uniform(0.5, 2.0, 6)))
    y = net.gemm(net.relu(y), 5, 6)
    graph = check_float(net.model(y), tmp_path, some_images(3))
    assert len(graph.nodes) == 4  # convolution, average, two dense layers


def test_weights_alone_are_integers(tmp_path: Path) -> None:
    """What TensorFlow Lite's dynamic-range files are: int8 weights, everything else real."""
    net = Floats(60)
    rng = np.random.default_rng(61)
    scales = net.const(rng.uniform(0.005, 0.02, 4))
    zeros = net.const(np.zeros(4), np.int8)
    weight = net.const(rng.integers(-127, 128, (4, 4, 3, 3)), np.int8)
    weight = net.node("DequantizeLinear", weight, scales, zeros, axis=0)
    y = net.node("Conv", "image", weight, pads=[1] * 4)
    dense = net.const(rng.integers(-127, 128, (4, 4)), np.int8)
    dense = net.node("DequantizeLinear", dense, net.const(0.01), net.const(3, np.int8))
    y = net.node("MatMul", net.pooled(net.relu(y)), dense)
    check_float(net.model(y), tmp_path, some_images(62))
