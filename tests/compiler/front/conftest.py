"""Fixtures around small QDQ networks, and their comparison with onnxruntime."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph, run_node
from penstock.compiler.numerics import quantize
from penstock.compiler.onnx_session import open_session
from tests.compiler.front.qdq import Array, Qdq


def assert_matches(text: str, message: str) -> None:
    """`text` is one line that starts with `message`, in which * stands for anything."""
    assert "\n" not in text
    assert re.match(".*".join(map(re.escape, message.split("*"))), text), text


Importer = Callable[..., ir.Graph]


@pytest.fixture
def net(rng: np.random.Generator) -> Qdq:
    """An empty network with a 3x6x5 image."""
    return Qdq(rng)


@pytest.fixture
def new_net(rng: np.random.Generator) -> Callable[..., Qdq]:
    """An empty network for any image shape."""
    return lambda *shape: Qdq(rng, shape)


@pytest.fixture
def load(tmp_path: Path) -> Importer:
    """Import a built network, or a model."""

    def run(net: Qdq | onnx.ModelProto, output: str = "", **options: Any) -> ir.Graph:
        path = tmp_path / "net.onnx"
        model = net.model(output, **options) if isinstance(net, Qdq) else net
        path.write_bytes(model.SerializeToString())
        return import_onnx(path)

    return run


@pytest.fixture
def refuse(net: Qdq, load: Importer) -> Callable[..., None]:
    """Check the message that refuses what a function builds on an empty network."""

    def run(build: Callable[[Qdq], str], message: str, opset: int = 18) -> None:
        output = build(net)
        with pytest.raises(CompileError) as caught:
            load(net, output, opset=opset)
        assert_matches(str(caught.value), message)

    return run


def run_onnxruntime(model: onnx.ModelProto, names: list[str], images: Array) -> dict[str, Array]:
    """Tensors of the ONNX network, not optimised, one image at a time."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = open_session(model)
    key = session.get_inputs()[0].name
    runs = [session.run(names, {key: image[None]}) for image in images]
    return {
        name: np.concatenate(arrays)
        for name, arrays in zip(names, zip(*runs, strict=True), strict=True)
    }


def node_differences(graph: ir.Graph, model: onnx.ModelProto, images: Array) -> dict[str, Array]:
    """Per graph value the absolute differences in steps, each node alone.

    Every node reads onnxruntime's own integers, so that differences do not add up.
    """
    made = {name for node in model.graph.node for name in node.output}
    names = [node.output for node in graph.nodes if node.output in made]
    expected = run_onnxruntime(model, names, images)
    source = graph.values[graph.input]
    integers = (
        images if images.dtype.kind in "iu" else quantize(images, source.scale, source.signed)
    )
    own = run_graph(graph, integers)
    values = {graph.input: own[graph.input]}
    result = {}
    for node in graph.nodes:
        got = run_node(graph, node, values)
        values[node.output] = got
        if node.output in expected:
            real = expected[node.output].reshape(got.shape)
            if real.dtype.kind in "fb":  # a score or maximum without a quantiser
                value = graph.values[node.output]
                wide = value.code_bytes == 2
                real = quantize(real, value.scale, value.signed, wide=wide)
            values[node.output] = real
            result[node.output] = np.abs(got.astype(np.int64) - real.astype(np.int64))
    return result


@pytest.fixture
def differences() -> Callable[..., dict[str, Array]]:
    """`node_differences`, for networks made elsewhere."""
    return node_differences


Checker = Callable[..., ir.Graph]


@pytest.fixture
def check(load: Importer, rng: np.random.Generator) -> Checker:
    """Import a network and compare every value with onnxruntime's; gives the graph.

    Tolerance: one step.  onnxruntime accumulates and requantises in float32 and rounds half to
    even, the core rounds half up; on these small networks under 2 % of elements may differ.
    """

    def run(net: Qdq, output: str, count: int = 12, **options: Any) -> ir.Graph:
        graph = load(net, output, **options)
        model = net.model(output, **options)
        shape = (count, *net.shape[1:])
        images: Array = rng.normal(0, 2, shape).astype(np.float32)
        if net.image_type == TensorProto.INT8:
            images = rng.integers(-128, 128, shape, dtype=np.int8)
        if net.image_type == TensorProto.UINT8:
            images = rng.integers(0, 256, shape, dtype=np.uint8)
        differences = node_differences(graph, model, images)
        assert graph.output in differences
        assert {name: steps.max() for name, steps in differences.items() if steps.max() > 1} == {}
        assert np.concatenate([steps.ravel() for steps in differences.values()]).mean() <= 0.02
        return graph

    return run
