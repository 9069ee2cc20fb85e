"""Files may name tensors and nodes as the passes name what they make."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from penstock.compiler.api import compile_onnx
from penstock.compiler.calibration.run import quantize_float
from penstock.compiler.check.file import check_file
from penstock.compiler.importer import import_onnx
from penstock.compiler.names import DERIVED, FreshNames
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.compiler.front.floats import Floats, check_float, save, some_images


def test_fresh_names() -> None:
    fresh = FreshNames(["a", "a~2"])
    assert [fresh(name) for name in ("b", "a", "a", "b", "a~2")] == [
        "b",
        "a~3",
        "a~4",
        "b~2",
        "a~2~2",
    ]


def residual_network(net: Floats, out: str = "act") -> str:
    """Two convolutions with batch normalisation, a strided one, and an addition."""
    x = net.relu(net.conv("image"), out=out)
    rows = [net.const(row) for row in (np.ones(4), np.zeros(4), np.zeros(4), np.ones(4))]
    y = net.node("BatchNormalization", net.conv(x), *rows, out="bn1")
    x = net.relu(net.node("Add", y, x), out="sum")
    y = net.conv(net.relu(net.conv(x, 4, strides=[2, 2])))
    return net.head(net.node("Add", y, net.conv(x, 4, kernel=1, strides=[2, 2])))


#: Every name that calibration and its passes derive, and the tensor it is derived from.
TAKEN = [
    "act_scale", "act_zero_point", "image_scale", "image_zero_point", "sum_scale", "bn1_weight",
    "bn1_bias", "bn1_unit", "bn1_weight_quantized", "bn1_weight_scale", "bn1_weight_zero_point",
    "c_weight_quantized", "c_weight_scale", "c_weight_zero_point", "c_bias",
]  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_constants_with_derived_names(name: str, tmp_path: Path) -> None:
    """The constant is the bias of a later layer, with values that no scale or weight has."""
    net = Floats(1)
    x = residual_network(net)
    bias = net.const([1.5, -2.0, 3.0, 0.5, -0.25], name=name)
    net.nodes[-1].input[2] = bias
    net.nodes[0].name = "c"
    check_float(net.model(x), tmp_path, some_images(2))


def test_one_beta_for_two_normalisations(tmp_path: Path) -> None:
    """Its name is that of the folded bias of the first."""
    net = Floats(3)
    beta = net.const([0.5, -1.0, 2.0, 0.0], name="bn1_bias")

    def normalised(x: str, out: str) -> str:
        rows = [net.const(np.ones(4)), beta, net.normal(4), net.const(np.ones(4))]
        return net.node("BatchNormalization", net.conv(x), *rows, out=out)

    y = normalised(net.relu(normalised("image", "bn1")), "bn2")
    check_float(net.model(y), tmp_path, some_images(4))


@pytest.mark.parametrize("ending", ["quantized", "dequantized"])
@pytest.mark.parametrize("source", ["act", "image", "conv_weight"])
def test_tensors_with_derived_names(source: str, ending: str, tmp_path: Path) -> None:
    net = Floats(5)
    x = net.relu(net.conv("image", name="conv"), out="act")
    y = net.relu(net.conv(x), out=f"{source}_{ending}")
    check_float(net.model(net.head(y)), tmp_path, some_images(6))


def test_nodes_of_one_name(tmp_path: Path) -> None:
    """onnxruntime refuses them, ONNX does not; some bear a name that is made for another."""
    net = Floats(7)
    x = net.conv(net.relu(net.conv("image", name="conv")), name="conv")
    x = net.conv(net.relu(x, name="conv~2"), name="image_quantized")
    graph = check_float(net.model(x), tmp_path, some_images(8))
    names = [node.name for node in graph.nodes]
    assert len(set(names)) == len(names) == 3 and names[0] == "conv"


@pytest.mark.parametrize(
    "name", ["a.copy", "act.polyphase", "act_quantized.polyphase", "x.subsampled", "v.sums", "f#1"]
)
def test_names_that_the_back_end_derives(name: str, tmp_path: Path) -> None:
    """As the name of a value of the quantised file, and of its nodes."""
    net = Floats(9)
    model = quantize_float(save(net.model(residual_network(net)), tmp_path), some_images(10))
    plain = compile_graph(import_onnx(save(model, tmp_path)), CONFIGS["tiny"])
    for node in model.graph.node:  # the quantiser of the last map but one gets the name
        if node.op_type == "QuantizeLinear" and node.input[0] == "sum":
            old, node.output[0], node.name = node.output[0], name, name
            for reader in model.graph.node:
                reader.input[:] = [name if x == old else x for x in reader.input]
    model.graph.node[0].name = name
    graph = import_onnx(save(model, tmp_path))
    assert not any(DERIVED.search(value) for value in graph.values)
    assert not any(DERIVED.search(node.name) for node in graph.nodes)
    package = compile_graph(graph, CONFIGS["tiny"])
    assert (package.weights, package.descriptors) == (plain.weights, plain.descriptors)
    assert check_file(graph, model.SerializeToString(), some_images(10)).first_wrong is None


@pytest.mark.parametrize("ending", [".copy", "#1", "[0:4]"])
def test_an_image_and_logits_with_such_names(ending: str, tmp_path: Path) -> None:
    net = Floats(9)
    model = net.model(residual_network(net))
    last = model.graph.output[0].name
    names = {name for n in model.graph.node for name in (*n.input, *n.output)}
    new = {name: name + ending if name in ("image", last) else name for name in names}
    model = renamed(model, new)
    graph = check_float(model, tmp_path, some_images(10))
    quantized = quantize_float(save(model, tmp_path), some_images(10))
    result = check_file(graph, quantized.SerializeToString(), some_images(10))
    assert result.first_wrong is None and result.logits.maximum <= 1


def test_renamed_at_random(tmp_path: Path) -> None:
    """Whatever tensors and nodes are called, the Program has the same bytes."""
    net = Floats(11)
    model, images = net.model(residual_network(net)), some_images(12)
    rng = np.random.default_rng()
    roots = ["act", "bn1", "image"]
    endings = ["", "_scale", "_zero_point", "_quantized", "_dequantized", ".copy", "#1", ".sums"]
    graph = quantize_float(save(model, tmp_path), images)
    plain = compile_graph(import_onnx(save(graph, tmp_path)), CONFIGS["tiny"])
    for _ in range(8):
        tensors = {name for n in model.graph.node for name in (*n.input, *n.output)}
        words = sorted({f"{w}{a}{b}" for w in roots for a in endings for b in endings})
        new = dict(zip(sorted(tensors), rng.permutation(words), strict=False))
        changed = renamed(model, {str(k): str(v) for k, v in new.items()})
        for node in changed.graph.node:
            node.name = str(rng.choice(words))
        onnx.checker.check_model(changed)
        quantized = quantize_float(save(changed, tmp_path), images)
        package = compile_graph(import_onnx(save(quantized, tmp_path)), CONFIGS["tiny"])
        assert (package.weights, package.descriptors) == (plain.weights, plain.descriptors)


def renamed(model: onnx.ModelProto, new: dict[str, str]) -> onnx.ModelProto:
    """The model with other names of tensors."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for node in changed.graph.node:
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    for item in (*changed.graph.input, *changed.graph.output, *changed.graph.initializer):
        item.name = new[item.name]
    return changed


def test_functions_with_names_of_the_graph(tmp_path: Path) -> None:
    """A function's own tensors are called as tensors around it, and as its other call's."""
    net = Floats(13)
    x = net.relu(net.conv("image"), out="inner")
    for out in ("once", "twice"):
        x = net.node("Block", x, net.normal(4, 4, 1, 1), domain="own", out=out)
    model = net.model(net.head(net.node("Add", net.conv(x), "inner")))
    body = [
        helper.make_node("Conv", ["x", "w"], ["inner"], name="n1"),
        helper.make_node("Relu", ["inner"], ["y"], name="n2"),
    ]
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(
        helper.make_function("own", "Block", ["x", "w"], ["y"], body, opsets, [])
    )
    check_float(model, tmp_path, some_images(14))


@pytest.mark.parametrize("ending", [".pool", ".clear", ".odd"])
def test_a_layer_named_like_the_sums_of_the_image(ending: str, tmp_path: Path) -> None:
    """The sums of a map are made by a layer "map.pool", whose weights once were this one's."""
    net = Floats(11)
    z = net.gemm(net.pooled("image"), 4)
    score = net.node("Reshape", net.node("Sigmoid", z), net.const([1, 4, 1, 1], np.int64))
    x = net.node("Mul", score, "image", out=f"image{ending}", name=f"image{ending}")
    y = net.relu(net.node("Add", net.conv(x, group=1), x))
    path = save(net.model(net.head(y)), tmp_path)
    compiled = compile_onnx(path, CONFIGS["tiny"], calibration=some_images(12))
    inputs = compiled.quantize_input(some_images(12))
    got = golden.run(compiled.package, inputs)
    expected = compiled.run_graph(inputs)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
