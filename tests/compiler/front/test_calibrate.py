"""Post-training quantisation of float networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float, quantize_float
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize

Builder = Callable[..., Any]


class FloatNet:
    """Float layers on top of the QDQ builder."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def conv(self, x: str, outputs: int, kernel: int = 3, stride: int = 1) -> str:
        """Conv -> BatchNormalization."""
        net, channels = self.net, self.net.channels[x]
        spread = (channels * kernel * kernel) ** -0.5
        weight = net.const(net.rng.normal(0, spread, (outputs, channels, kernel, kernel)))
        attrs = {
            "pads": [kernel // 2] * 4,
            "strides": [stride] * 2,
            "name": f"conv{len(net.nodes)}",
        }
        y = net.node("Conv", x, weight, **attrs)
        rows = [net.rng.uniform(0.5, 1.5, outputs), net.rng.normal(0, 0.3, outputs)]
        rows += [net.rng.normal(0, 0.3, outputs), net.rng.uniform(0.5, 1.5, outputs)]
        y = net.node("BatchNormalization", y, *map(net.const, rows), epsilon=1e-3)
        net.channels[y] = outputs
        return str(y)

    def gemm(self, x: str, outputs: int, bias: float) -> str:
        net = self.net
        weight = net.const(net.rng.normal(0, 0.4, (outputs, net.channels[x])))
        y = net.node("Gemm", x, weight, net.const(np.full(outputs, bias)), transB=1)
        net.channels[y] = outputs
        return str(y)

    def gate(self, pooled: str, outputs: int) -> str:
        return str(self.net.map_shape(self.net.clip(self.gemm(pooled, outputs, 0.5))))

    def block(self, x: str, outputs: int, stride: int = 1) -> str:
        net = self.net
        pooled = net.node("Flatten", net.node("GlobalAveragePool", x))
        y = net.node("Relu", self.conv(x, outputs, stride=stride))
        y = self.conv(net.node("Mul", y, self.gate(pooled, outputs)), outputs)
        y = net.node("Mul", y, self.gate(pooled, 1))
        shortcut = x if stride == 1 else self.conv(x, outputs, 1, stride)
        return str(net.node("Relu", net.node("Add", y, shortcut)))

    def network(self) -> str:
        net = self.net
        x = net.node("Relu", self.conv("image", 12))
        for outputs, stride in ((12, 1), (12, 1), (20, 2), (20, 1)):
            x = self.block(x, outputs, stride)
        return self.gemm(net.node("Flatten", net.node("GlobalAveragePool", x)), 10, 0.0)


@pytest.fixture
def float_model(new_net: Builder, tmp_path: Path) -> tuple[Path, onnx.ModelProto]:
    net = new_net("N", 3, 12, 10)
    model = net.model(FloatNet(net).network())
    path = tmp_path / "float.onnx"
    path.write_bytes(model.SerializeToString())
    return path, model


@pytest.fixture
def images(rng: np.random.Generator) -> Any:
    return rng.normal(0, 1, (24, 3, 12, 10)).astype(np.float32)


def test_gated_residual_network(float_model: Any, images: Any) -> None:
    """Tolerance: logits within 8 % of their range of the float network's, over ten layers."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path, model = float_model
    graph = import_float(path, images)
    kinds = [type(node).__name__ for node in graph.nodes]
    assert [kinds.count(kind) for kind in ("Conv", "Pool", "Gate", "Dense")] == [10, 5, 8, 1]
    source = graph.values[graph.input]
    got = run_graph(graph, quantize(images, source.scale, source.signed))[graph.output]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"image": images})
    error = np.abs(got * graph.values[graph.output].scale - expected).max()
    assert error <= 0.08 * np.abs(expected).max()


def test_pools_of_a_float_network(new_net: Builder, tmp_path: Path, images: Any) -> None:
    """A maximum keeps scale and type, along a residual chain too; an average gets its own."""
    net = new_net("N", 3, 12, 10)
    build = FloatNet(net)
    x = net.node("Relu", build.conv("image", 12))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = build.block(build.block(x, 12), 12)
    x = build.conv(net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 8)
    output = build.gemm(net.node("Flatten", net.node("GlobalAveragePool", x)), 10, 0.0)
    path = tmp_path / "pools.onnx"
    path.write_bytes(net.model(output).SerializeToString())
    graph = import_float(path, images)
    maximum, average = (node for node in graph.nodes if isinstance(node, ir.MapPool))
    before, after = graph.values[maximum.input], graph.values[maximum.output]
    assert before.scale == after.scale and not before.signed and not after.signed
    sums = [n.output for n in graph.nodes if isinstance(n, ir.Conv) and n.residual]
    assert [graph.values[name].scale for name in sums] == [after.scale] * 2
    assert average.average is not None
    assert graph.values[average.output].scale < graph.values[average.input].scale


def test_residual_chains_share_a_scale(float_model: Any, images: Any) -> None:
    graph = import_float(float_model[0], images)
    convs = [node for node in graph.nodes if isinstance(node, ir.Conv) and node.residual]
    assert len(convs) == 4
    for conv in convs:
        assert graph.values[conv.residual or ""].scale == graph.values[conv.output].scale


def test_a_gated_relu_keeps_eight_bits(float_model: Any, images: Any) -> None:
    """A ReLU times a score is never negative: uint8, not the positive half of int8."""
    graph = import_float(float_model[0], images)
    gated = [node for node in graph.nodes if isinstance(node, ir.Conv) and node.fold]
    mapped = [node for node in gated if node.fold and node.fold.per_channel]
    assert len(mapped) == 4
    assert all(not graph.values[node.output].signed for node in mapped)
    assert all(node.clamp == (0, 255) for node in mapped)


def test_quantized_model_is_valid_onnx(float_model: Any, images: Any, tmp_path: Path) -> None:
    model = quantize_float(float_model[0], images)
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path / "quantized.onnx"
    path.write_bytes(model.SerializeToString())
    assert [n.name for n in import_onnx(path).nodes] == [
        node.name for node in import_float(float_model[0], images).nodes
    ]
    weights = [numpy_helper.to_array(t) for t in model.graph.initializer]
    assert sum(weight.dtype == np.int8 and weight.ndim == 4 for weight in weights) == 10


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 3, 12, 11)), r"have shape \(4, 3, 12, 11\), N x 3 x 12 x 10 is expected"),
        (np.zeros((0, 3, 12, 10)), "have shape"),
        (np.full((1, 3, 12, 10), np.nan), "hold NaN"),
        (np.full((1, 3, 12, 10), "a"), "have type"),
    ],
)
def test_bad_images(float_model: Any, bad: Any, message: str) -> None:
    with pytest.raises(CompileError, match=f"calibration images {message}"):
        quantize_float(float_model[0], bad)


def test_quantized_already(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = net.model(net.qdq(net.conv(net.image(), 4), 0.04))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CompileError, match="quantised already; compile without --calibration"):
        quantize_float(path, np.zeros((1, 3, 6, 5), dtype=np.float32))


def test_unsigned_images(new_net: Builder, tmp_path: Path) -> None:
    net = new_net("N", 1, 5, 5)
    path = tmp_path / "float.onnx"
    path.write_bytes(net.model(FloatNet(net).conv("image", 4)).SerializeToString())
    graph = import_float(path, net.rng.uniform(0, 1, (8, 1, 5, 5)))
    assert not graph.values["image"].signed and graph.values[graph.output].signed


def test_batch_norm_without_a_convolution(new_net: Builder, tmp_path: Path) -> None:
    """Of a map it is a depthwise convolution, of a vector it is refused."""
    net = new_net("N", 3, 5, 5)
    y = net.node("Relu", FloatNet(net).conv("image", 4))
    numbers = [net.const(np.full(4, n)) for n in (0.5, 0.25, 0.0, 1.0)]
    y = net.node("BatchNormalization", y, *numbers, name="bn")
    path = tmp_path / "float.onnx"
    path.write_bytes(net.model(y).SerializeToString())
    graph = import_float(path, net.rng.normal(0, 1, (4, 3, 5, 5)).astype(np.float32))
    assert isinstance(node := graph.nodes[-1], ir.Conv)
    assert (node.name, node.groups, node.weight.shape) == ("bn", 4, (4, 1, 1, 1))
    net = new_net("N", 3, 5, 5)
    y = net.node("Flatten", net.node("GlobalAveragePool", FloatNet(net).conv("image", 4)))
    numbers = [net.const(np.ones(4)) for _ in range(4)]
    y = net.node("BatchNormalization", y, *numbers, name="bn")
    path.write_bytes(net.model(y).SerializeToString())
    with pytest.raises(CompileError, match=r"node 'bn' \(Batch.*follows no convolution and no map"):
        import_float(path, np.zeros((1, 3, 5, 5), dtype=np.float32))
