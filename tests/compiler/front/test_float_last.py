"""Last dense layers whose logits nothing quantises: the core computes them in 16 bits, or the host,
in floating point, where 8 are asked for or its weights are no integers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import get_config
from penstock.sim import golden

LAYERS = ["gemm", "gemm_without_bias", "matmul", "matmul_add", "two", "softmax"]


def last(net: Any, kind: str) -> str:
    """The end of a network on a pooled vector."""
    x = net.pool(net.stem())
    if kind == "two":
        x = net.qdq(net.node("Relu", net.gemm(x, 6, "hidden")), 0.03, signed=False)
    if kind.startswith("matmul"):
        y = net.node("MatMul", x, net.weight((4, 5), axis=1))
        bias = net.dequantize(net.const([1, -2, 3, 4, 5], np.int32), 0.1, np.int32)
        return str(net.node("Add", bias, y) if kind == "matmul_add" else y)
    if kind == "gemm_without_bias":
        return str(net.node("Gemm", x, net.weight((5, net.channels[x])), transB=1))
    y = net.gemm(x, 5)
    return str(net.node("Softmax", y, axis=1) if kind == "softmax" else y)


def compiled(model: onnx.ModelProto, folder: Path, logits: int | None = None) -> CompiledNetwork:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    asked = {} if logits is None else {"logits": str(logits)}
    return compile_onnx(path, get_config("tiny"), metadata=asked)


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("kind", LAYERS)
def test_as_onnxruntime_has_them(net: Any, kind: str, bits: int | None, tmp_path: Path) -> None:
    model = net.model(last(net, kind))
    network = compiled(model, tmp_path, bits)
    images = np.random.default_rng(3).normal(0, 2, (6, *net.shape[1:])).astype(np.float32)
    got = network.decode_output(golden.run(network.package, network.quantize_input(images)))
    session = open_session(model)
    expected = session.run(None, {"image": images})[0]
    assert got.results is not None and got.results.dtype == np.float32
    # One step of the pooled vector, 0.02, is what rounding may move.
    assert np.abs(got.results - expected).max() <= (0.02 if kind != "two" else 0.05)
    hosts = any(operators.startswith("MatMul") for _, operators in network.on_the_host())
    assert hosts == (bits == 8) == ("bits" not in network.package.meta["output"])
    assert not network.check(images).checked.describe_wrong()  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["float", "alpha", "int16", "inputs"])
def test_what_the_core_has_not_stays_the_hosts(net: Any, kind: str, tmp_path: Path) -> None:
    """Weights in floating point, of 16 bits, with a scale an input; a factor of the product."""
    x = net.pool(net.stem())
    weight = net.const(net.rng.normal(0, 1, (4, 5)))
    if kind == "alpha":
        weight = net.weight((4, 5), axis=1)
    if kind == "int16":
        weight = net.dequantize(net.const(net.rng.integers(0, 256, (4, 5)), np.uint8), 0.01, "u1")
    if kind == "inputs":
        weight = net.weight((4, 5), axis=0)
    model = net.model(net.node("Gemm", x, weight, **({"alpha": 2.0} if kind == "alpha" else {})))
    network = compiled(model, tmp_path)
    assert network.on_the_host() and "bits" not in network.package.meta["output"]


def test_one_that_is_quantised_is_the_cores(net: Any, tmp_path: Path) -> None:
    network = compiled(net.model(net.classifier(net.stem())), tmp_path)
    assert not network.on_the_host()


def test_in_the_middle_it_stays_refused(net: Any, tmp_path: Path) -> None:
    """A convolution follows: there is no quantiser between the two."""
    x = net.stem()
    scores = net.node("Reshape", net.gemm(net.pool(x), 4), net.const([1, 4, 1, 1], np.int64))
    net.channels[scores] = 4
    with pytest.raises(CompileError, match=r"Conv.*is not quantised"):
        compiled(net.model(net.qdq(net.conv(scores, 4, 1), 0.04)), tmp_path)
