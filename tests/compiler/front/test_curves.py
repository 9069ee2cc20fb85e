"""Activations that are no clamp: a table of each, whatever operators spell it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnxruntime import quantization
from onnxruntime.quantization import QuantType

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.compiler.front.activations import LATER, NETWORKS, SPELLINGS, Build
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_static import Images

Array = npt.NDArray[Any]
SHAPE = (4, 6, 6)
Network = Callable[[Floats, Build], str]


def images_of(seed: int, count: int = 16) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def static(model: onnx.ModelProto, folder: Path, kind: QuantType) -> Path:
    """The file that onnxruntime's static quantisation makes."""
    onnx.save(model, folder / "float.onnx")
    quantization.quantize_static(
        folder / "float.onnx",
        folder / "static.onnx",
        Images(images_of(1, 8)),
        weight_type=QuantType.QInt8,
        activation_type=kind,
        extra_options={"ActivationSymmetric": kind == QuantType.QInt8, "WeightSymmetric": True},
    )
    return folder / "static.onnx"


def same(network: CompiledNetwork) -> None:
    """Every layer alone as in onnxruntime, and golden as the graph."""
    images = images_of(2)
    network.check(images).checked.require()  # type: ignore[union-attr]
    codes = network.quantize_input(images)
    np.testing.assert_array_equal(
        golden.run(network.package, codes)[:, COUNTER_BYTES:],
        network.run_graph(codes)[:, COUNTER_BYTES:],
    )


def close(network: CompiledNetwork, model: onnx.ModelProto, tolerance: float) -> None:
    """Logits as those of the float file, within a share of their range."""
    images = images_of(2)
    records = golden.run(network.package, network.quantize_input(images))
    got = network.decode_output(records).logits
    session = open_session(model)
    want = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    assert np.abs(got.reshape(want.shape) - want).max() <= tolerance * np.abs(want).max()


def two_layers(n: Floats, f: Build) -> str:
    return n.head(f(n, n.conv(f(n, n.conv("image")))))


def built(network: Network, f: Build, opset: int = 18) -> onnx.ModelProto:
    n = Floats(5, (1, *SHAPE))
    return n.model(network(n, f), opset=opset)


@pytest.mark.parametrize("name", [*SPELLINGS, *LATER])
def test_of_a_float_file(name: str, tmp_path: Path) -> None:
    opset, f = LATER[name] if name in LATER else (18, SPELLINGS[name])
    model = built(two_layers, f, opset)
    network = compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=images_of(2))
    same(network)
    close(network, model, 0.08)


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("name", SPELLINGS)
def test_of_a_static_file(name: str, kind: QuantType, tmp_path: Path) -> None:
    model = built(two_layers, SPELLINGS[name])
    same(compile_onnx(static(model, tmp_path, kind), CONFIGS["tiny"]))


@pytest.mark.parametrize("away", [12.0, 14.0, 16.0])
def test_of_results_that_float32_hardly_tells_apart(away: float, tmp_path: Path) -> None:
    """A detector that sees nothing: sigmoids of a few millionths, which onnxruntime rounds."""
    model = built(two_layers, lambda n, x: n.node("Sigmoid", n.node("Sub", x, n.const(away))))
    same(compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=images_of(2)))


FUNCTIONS = ["SiLU", "HardSwish, Div", "Sigmoid", "LeakyRelu", "GELU"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_around_it(name: str, function: str, tmp_path: Path) -> None:
    model = built(NETWORKS[name], SPELLINGS[function])
    path = save(model, tmp_path)
    network = compile_onnx(path, CONFIGS["tiny"], calibration=images_of(2))
    same(network)
    close(network, model, 0.12)


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("name", [name for name in NETWORKS if "excite" not in name])
def test_around_it_in_a_static_file(name: str, kind: QuantType, tmp_path: Path) -> None:
    model = built(NETWORKS[name], SPELLINGS["SiLU"])
    same(compile_onnx(static(model, tmp_path, kind), CONFIGS["tiny"]))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("name", SPELLINGS)
def test_of_what_nothing_quantises(name: str, signed: bool, tmp_path: Path) -> None:
    """Quantisers before layers alone, as TensorRT has them: the core's own one is between."""
    net = Qdq(np.random.default_rng(3), (1, *SHAPE))
    f = SPELLINGS[name]
    x = net.qdq(f(net, net.conv(net.image(), 4)), 0.02, signed=signed)
    y = net.qdq(f(net, net.node("Add", net.conv(x, 4), x)), 0.03)
    path = tmp_path / "net.onnx"
    path.write_bytes(net.model(net.classifier(y)).SerializeToString())
    network = compile_onnx(path, CONFIGS["tiny"])
    same(network)


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name != "PRelu"])
def test_at_the_end(name: str, tmp_path: Path) -> None:
    """Of a map or of logits: the core's, the host's, or a part of it each."""
    f = SPELLINGS[name]
    for network in (lambda n, f: f(n, n.conv("image")), lambda n, f: f(n, n.head(n.conv("image")))):
        model = built(network, f)
        same(compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=images_of(2)))


def test_not_of_two_maps(tmp_path: Path) -> None:
    n = Floats(5, (1, *SHAPE))
    x = n.node("Mul", n.conv("image"), n.node("Sigmoid", n.conv("image"), name="s"), name="both")
    with pytest.raises(CompileError, match=r"'both' \(Mul\): is not a convolution times"):
        compile_onnx(save(n.model(n.head(x)), tmp_path), CONFIGS["tiny"], calibration=images_of(2))


def test_not_where_it_is_infinite(tmp_path: Path) -> None:
    n = Floats(5, (1, *SHAPE))
    x = n.node("Reciprocal", n.node("Add", n.node("Abs", n.conv("image")), n.const(1e-7)))
    log = n.node("Log", n.conv("image"), name="log")
    for y, message in ((log, "makes infinity or NaN"), (n.node("Log", n.relu(x)), "")):
        path = save(n.model(n.head(y)), tmp_path)
        if message:
            with pytest.raises(CompileError, match=message):
                compile_onnx(path, CONFIGS["tiny"], calibration=images_of(2))
        else:
            same(compile_onnx(path, CONFIGS["tiny"], calibration=images_of(2)))


def test_a_quantised_function_that_is_no_number_is_refused(tmp_path: Path) -> None:
    net = Qdq(np.random.default_rng(3), (1, *SHAPE))
    y = net.qdq(net.node("Log", net.qdq(net.conv(net.image(), 4), 0.04), name="log"), 0.03)
    path = tmp_path / "net.onnx"
    path.write_bytes(net.model(net.classifier(y)).SerializeToString())
    with pytest.raises(CompileError, match=r"'log' \(Log\): is no number"):
        compile_onnx(path, CONFIGS["tiny"])


def test_infinity_saturates(tmp_path: Path) -> None:
    """As QuantizeLinear has it: the logarithm of 0."""
    net = Qdq(np.random.default_rng(3), (1, *SHAPE))
    x = net.qdq(net.node("Relu", net.conv(net.image(), 4)), 0.04, signed=False)
    y = net.qdq(net.node("Log", x), 0.03)
    path = tmp_path / "net.onnx"
    path.write_bytes(net.model(net.classifier(y)).SerializeToString())
    same(compile_onnx(path, CONFIGS["tiny"]))
