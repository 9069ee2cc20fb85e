"""ONNX Concat: what it means in integers, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from tests.compiler.back.test_bit_exact import assert_exact
from tests.compiler.front.test_calibrate import FloatNet

Y = 0.04


def part(
    net: Any, x: str, outputs: int, scale: float = Y, signed: bool = False, **conv: Any
) -> str:
    """Conv, ReLU unless signed, QDQ."""
    y = net.conv(x, outputs, **conv)
    return str(net.qdq(y if signed else net.node("Relu", y), scale, signed=signed))


def concat(net: Any, *parts: str, axis: int = 1, name: str = "cat") -> str:
    y = str(net.node("Concat", *parts, axis=axis, name=name))
    net.channels[y] = sum(net.channels.get(x, 2) for x in parts) if axis == 1 else 3
    return y


def concats(graph: ir.Graph) -> list[ir.Concat]:
    return [node for node in graph.nodes if isinstance(node, ir.Concat)]


def test_what_reads_a_concat(net: Any, check: Any) -> None:
    """Convolutions of both strides, a depthwise one, pools, a residual in a part, two heads."""
    x = net.stem(4)
    y = part(net, x, 3)
    summed = net.qdq(net.node("Relu", net.node("Add", net.conv(y, 3), y)), Y, signed=False)
    both = concat(net, x, summed)
    three = concat(net, both, part(net, both, 2), name="outer")  # a Concat of a Concat
    weight, bias = net.weight((9, 1, 1, 1)), net.const(net.rng.normal(0, 0.3, 9))
    affine = net.node("Relu", net.node("Conv", three, weight, bias, group=9, name="affine"))
    net.channels[affine] = 9
    least = part(net, net.qdq(affine, Y, signed=False), 5, strides=[2, 2])
    highest = net.node("MaxPool", three, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    mean = net.node("AveragePool", three, kernel_shape=[3, 3], pads=[0] * 4)
    mean = part(net, net.qdq(mean, Y, signed=False), 3)
    least = net.node("GlobalAveragePool", part(net, least, 2))
    least = net.node("Flatten", net.qdq(least, 0.02, signed=False))
    highest = part(net, highest, 4, strides=[2, 2])
    for index, seen in enumerate((highest, mean)):
        with_gate = net.gate(net.pool(seen), 1, f"gate{index}")
        three = net.qdq(net.node("Mul", net.conv(three, 9), with_gate), Y)
    graph = check(net, net.classifier(three))
    assert [len(node.inputs) for node in concats(graph)] == [2, 2]


def test_quantised_behind_the_concat(net: Any, check: Any) -> None:
    """Operands without a quantiser take the one behind it, and its activation."""
    x = net.stem()
    sums = net.node("Add", net.conv(x, 4), x)
    y = concat(net, net.conv(x, 3), concat(net, sums, net.conv(x, 2), name="inner"))
    y = net.qdq(net.node("Relu", y), Y, signed=False)
    graph = check(net, net.classifier(y))
    (join,) = concats(graph)
    assert [graph.values[name].shape[0] for name in join.inputs] == [3, 4, 2]
    assert not graph.values[join.output].signed and graph.values[join.output].scale == np.float32(Y)


def test_the_same_quantiser_twice(net: Any, check: Any) -> None:
    """A quantiser of the parts' scale behind a Concat does nothing; equal Concats are one."""
    x = net.stem()
    parts = [part(net, x, n) for n in (3, 2)]
    ys = [net.qdq(concat(net, *parts, name=f"cat{n}"), Y, signed=False) for n in range(2)]
    graph = check(net, net.classifier(part(net, ys[0], 4, strides=[2, 2])))
    assert len(concats(graph)) == 1


def test_one_operand_is_itself(net: Any, check: Any) -> None:
    assert not concats(check(net, net.classifier(concat(net, net.stem()))))


def two(net: Any, **second: Any) -> str:
    x = net.stem()
    y = concat(net, part(net, x, 3), part(net, x, 2, **second))
    return str(net.classifier(y))


def other_axis(net: Any) -> str:
    parts = [part(net, net.stem(), 3) for _ in range(2)]
    return str(net.classifier(concat(net, *parts, axis=2)))


def constant(net: Any) -> str:
    return str(net.classifier(concat(net, net.stem(), net.const(np.ones((1, 2, 6, 5))))))


def image(net: Any) -> str:
    return str(net.classifier(concat(net, net.stem(), net.image())))


def float_image(net: Any) -> str:
    return str(net.classifier(concat(net, net.stem(), "image")))


def vectors(net: Any) -> str:
    pooled = [net.node("GlobalAveragePool", net.stem()) for _ in range(2)]
    pooled = [net.qdq(x, 0.02, signed=False) for x in pooled]
    return str(net.classifier(concat(net, *pooled)))


def flat_vectors(net: Any) -> str:
    y = concat(net, net.pool(net.stem()), net.pool(net.stem()))
    return str(net.qdq(net.gemm(y, 3), 0.03))


def to_the_output(net: Any) -> str:
    return concat(net, net.stem(), net.stem())


def unquantised(net: Any) -> str:
    y = concat(net, net.conv(net.stem(), 3), net.stem())
    return str(net.qdq(net.conv(y, 3, name="reader"), Y))


def quantised_otherwise(net: Any) -> str:
    y = concat(net, net.conv(net.stem(), 3), net.stem())
    return str(net.classifier(net.qdq(y, 0.07, signed=False, name="behind")))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda net: two(net, scale=0.08),
            "node 'cat' (Concat): scales that cannot be unified: 'quantize*' has scale 0.04 (node "
            "'quantize*'), 'quantize*' has scale 0.08 (node 'quantize*'); quantise all of them",
        ),
        (
            lambda net: two(net, signed=True),
            "node 'cat' (Concat): joins int8 and uint8 maps: 'quant*' and 'quant*'; quantise all",
        ),
        (
            other_axis,
            "node 'cat' (Concat): joins axis 2 of 4; concatenate channels: axis 1 of N x C",
        ),
        (constant, "node 'cat' (Concat): 'const*' is a constant; a convolution's bias"),
        (image, "node 'cat' (Concat): 'dequantize*' is the network's input; concatenate maps that"),
        (float_image, "node 'cat' (Concat): 'image' is the network's input; concatenate maps that"),
        (
            vectors,
            "node 'cat' (Concat): 'dequantize*' is a vector; concatenate the maps, then aver",
        ),
        (flat_vectors, "node 'cat' (Concat): joins axis 1 of 2; concatenate channels"),
        (unquantised, "node 'reader' (Conv): its input 'cat*' is not quantised; put Quantize"),
    ],
)
def test_refused(refuse: Any, build: Callable[[Any], str], message: str) -> None:
    refuse(build, message)


def test_the_output_is_one(net: Any, load: Any) -> None:
    """Its parts lie where others need them: it is copied."""
    graph = load(net, to_the_output(net))
    assert isinstance(graph.nodes[-1], ir.Frame)
    assert_exact(graph, "tiny")


def test_quantised_at_another_scale_behind_it(net: Any, check: Any) -> None:
    """Each map is brought to the scale of the quantiser behind the Concat: as quantising it is."""
    graph = check(net, quantised_otherwise(net))
    rescaled = next(node for node in graph.nodes if isinstance(node, ir.Concat)).inputs
    assert {graph.values[name].scale for name in rescaled} == {np.float32(0.07)}


def test_sizes_that_differ(net: Any, load: Any) -> None:
    x = net.stem()
    y = net.classifier(concat(net, x, part(net, x, 2, strides=[2, 2])))
    with pytest.raises(Exception, match=r"[Ss]hape|dimension"):
        load(net, y)


def float_model(new_net: Any, tmp_path: Path, build: Callable[[Any, FloatNet], str]) -> Path:
    net = new_net("N", 3, 12, 10)
    path = tmp_path / "float.onnx"
    path.write_bytes(net.model(build(net, FloatNet(net))).SerializeToString())
    return path


def close(path: Path, images: Any, tolerance: float) -> ir.Graph:
    """The calibrated integer graph; its logits are within `tolerance` of the float range."""
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = import_float(path, images)
    source = graph.values[graph.input]
    got = run_graph(graph, quantize(images, source.scale, source.signed))[graph.output]
    (expected,) = onnxruntime.InferenceSession(path.read_bytes()).run(None, {"image": images})
    error = np.abs(got * graph.values[graph.output].scale - expected).max()
    assert error <= tolerance * np.abs(expected).max()
    return graph


@pytest.fixture
def images(rng: np.random.Generator) -> Any:
    return rng.normal(0, 1, (24, 3, 12, 10)).astype(np.float32)


def head(net: Any, build: FloatNet, x: str) -> str:
    return build.gemm(net.node("Flatten", net.node("GlobalAveragePool", x)), 10, 0.0)


def test_calibration_merges_scales(new_net: Any, tmp_path: Path, images: Any) -> None:
    """Parts of nested Concats, one of them a residual sum, share scale and type."""

    def network(net: Any, build: FloatNet) -> str:
        x = net.node("Relu", build.conv("image", 8))
        y = net.node("Relu", net.node("Add", build.conv(x, 8), x))
        both = concat(net, x, y)
        z = build.conv(both, 6)  # without an activation: int8, and so the others
        more = concat(net, both, z, name="more")
        return head(net, build, net.node("Relu", build.conv(more, 9, stride=2)))

    graph = close(float_model(new_net, tmp_path, network), images, 0.08)
    joins = concats(graph)
    parts = {graph.values[name] for join in joins for name in (*join.inputs, join.output)}
    assert len({value.scale for value in parts}) == 1 and all(value.signed for value in parts)
    assert len(joins[-1].inputs) == 2


def test_calibrated_dense_block(new_net: Any, tmp_path: Path, images: Any) -> None:
    """Batch norms in front of convolutions become depthwise ones."""

    def network(net: Any, build: FloatNet) -> str:
        def norm(x: str) -> str:
            channels = net.channels[x]
            rows = [net.rng.uniform(0.5, 1.5, channels), net.rng.normal(0, 0.3, channels)]
            rows += [net.rng.normal(0, 0.3, channels), net.rng.uniform(0.5, 1.5, channels)]
            y = net.node("BatchNormalization", x, *map(net.const, rows))
            return str(net.node("Relu", y))

        maps = [build.conv("image", 8)]
        for index in range(3):
            x = concat(net, *maps, name=f"cat{index}") if index else maps[0]
            maps.append(build.conv(norm(x), 4))
        x = build.conv(norm(concat(net, *maps)), 8, 1)
        x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        return head(net, build, norm(x))

    graph = close(float_model(new_net, tmp_path, network), images, 0.12)
    depthwise = [n for n in graph.nodes if isinstance(n, ir.Conv) and n.depthwise]
    assert [len(node.bias) for node in depthwise] == [8, 12, 16, 20, 8]
    assert len({graph.values[name].scale for join in concats(graph) for name in join.inputs}) == 1


def test_activation_behind_a_float_concat(new_net: Any, tmp_path: Path, images: Any) -> None:
    """It alone is quantised, as uint8: its operands are convolutions."""

    def network(net: Any, build: FloatNet) -> str:
        x = net.node("Relu", build.conv("image", 8))
        y = net.node("Relu", concat(net, build.conv(x, 5), build.conv(x, 6, 1)))
        return head(net, build, net.node("Relu", build.conv(y, 9)))

    graph = close(float_model(new_net, tmp_path, network), images, 0.08)
    (join,) = concats(graph)
    assert not graph.values[join.output].signed


def test_exits_that_read_concats(net: Any, load: Any) -> None:
    x = net.stem()
    y = part(net, x, 3)
    both = concat(net, x, y)
    names = [net.classifier(x), net.classifier(both)]
    net.metadata = {"penstock.thresholds": "0.5", "penstock.exits": ",".join(names)}
    model: onnx.ModelProto = net.model(names[1])
    model.graph.output.append(helper.make_tensor_value_info(names[0], 1, ["N", 4]))
    graph = load(model)
    assert len(graph.exits) == 1 and len(concats(graph)) == 1
    assert len(run_graph(graph, np.zeros((2, 3, 6, 5), np.int8))[graph.exits[0].logits]) == 2
