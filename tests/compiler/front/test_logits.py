"""Logits of 16 bits: which networks have them, at which scale, and that they are onnxruntime's."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler import compiled as compiled_module
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.ir import Dense
from penstock.compiler.numerics import WIDE_MOST, exit_scale
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import Op
from penstock.sim import golden
from tests.compiler.front.floats import Floats

Array = np.ndarray
TINY = get_config("tiny")


def images_of(net: Any, count: int = 12) -> Array:
    return np.random.default_rng(7).normal(0, 1, (count, *net.shape[1:])).astype(np.float32)


def build(
    model: onnx.ModelProto,
    folder: Path,
    calibration: Array | None = None,
    bits: int | None = None,
    **options: Any,
) -> CompiledNetwork:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    metadata = options.pop("metadata", {}) | ({} if bits is None else {"logits": str(bits)})
    return compile_onnx(path, TINY, calibration=calibration, metadata=metadata, **options)


def logits_of(network: CompiledNetwork, images: Array) -> Array:
    """Those of golden; the integer graph's, of the saved network too, are the same bytes."""
    inputs = network.quantize_input(images)
    records = golden.run(network.package, inputs)
    np.testing.assert_array_equal(records[:, 64:], network.run_graph(inputs)[:, 64:])
    return network.decode_output(records).logits


def of_file(model: bytes, images: Array) -> Array:
    """The first output of a model in onnxruntime."""
    session = open_session(onnx.load_model_from_string(model))
    (name,) = [each.name for each in session.get_inputs()]
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def test_a_float_network_has_them(tmp_path: Path) -> None:
    """At twice the largest logit of the calibration images; its file has no quantiser there."""
    net = Floats(1)
    model, images = net.model(net.head(net.relu(net.conv("image", 32)), 32)), images_of(net)
    network = build(model, tmp_path, images)
    output = network.package.meta["output"]
    assert output["bits"] == 16 and output["signed"]
    assert network.model is not None
    exact = of_file(network.model, images)
    largest = np.abs(of_file(model.SerializeToString(), images)).max()
    assert output["scale"] == pytest.approx(2 * largest / WIDE_MOST, rel=1e-5)
    assert np.abs(logits_of(network, images) - exact).max() < 0.02 * largest
    checked = network.check(images).checked
    assert checked is not None and not checked.describe_wrong()
    network.save(tmp_path / "saved")
    again = compiled_module.load(tmp_path / "saved")
    np.testing.assert_array_equal(logits_of(again, images), logits_of(network, images))


def test_eight_bits_are_asked_for(tmp_path: Path) -> None:
    net = Floats(1)
    model, images = net.model(net.head(net.relu(net.conv("image")))), images_of(net)
    network = build(model, tmp_path, images, 8)
    assert "bits" not in network.package.meta["output"]
    largest = np.abs(of_file(model.SerializeToString(), images)).max()
    assert network.package.meta["output"]["scale"] == pytest.approx(largest / 127, rel=1e-5)
    assert all(not d.wide for d in decode(network.package))


@pytest.mark.parametrize("end", ["Relu", "Clip", "Softmax", "Reshape", "Add"])
def test_what_stands_behind_the_layer(end: str, tmp_path: Path) -> None:
    """A clip is the layer's own, what only the host does is its tail."""
    net = Floats(2)
    y = net.head(net.relu(net.conv("image")))
    if end == "Clip":
        y = net.node("Clip", y, net.const(-0.3), net.const(0.4))
    elif end == "Reshape":
        y = net.node("Reshape", y, net.const([1, 5, 1, 1], np.int64))
    elif end == "Add":
        y = net.node("Add", y, net.const([1, 2, 3, 4, -5]))
    else:
        y = net.node(end, y)
    model, images = net.model(y), images_of(net)
    network = build(model, tmp_path, images)
    assert network.package.meta["output"]["bits"] == 16
    assert network.model is not None
    records = golden.run(network.package, network.quantize_input(images))
    got = network.decode_output(records).results.reshape(len(images), -1)
    want = of_file(network.model, images).reshape(len(images), -1)
    assert np.abs(got - want).max() < 0.03
    assert bool(network.on_the_host()) == (end == "Softmax")
    if end == "Clip":
        assert got.min() >= -0.301 and got.max() <= 0.401


def test_what_no_dense_layer_makes_stays_eight_bits(tmp_path: Path) -> None:
    """A classifier of a map's pixels, which is a convolution, and an average."""
    for ends in ("flat", "average"):
        net = Floats(4)
        y = net.conv("image")
        y = net.gemm(net.node("Flatten", y), 5, 64) if ends == "flat" else net.pooled(y)
        network = build(net.model(y), tmp_path, images_of(net))
        assert "bits" not in network.package.meta["output"], ends


def test_a_convolution_of_an_average_is_a_dense_layer(tmp_path: Path) -> None:
    net = Floats(5)
    y = net.node("GlobalAveragePool", net.relu(net.conv("image")))
    y = net.node("Flatten", net.conv(y, 6, 4, 1))
    images = images_of(net)
    network = build(net.model(y), tmp_path, images)
    assert network.package.meta["output"]["bits"] == 16 and network.model is not None
    assert np.abs(logits_of(network, images) - of_file(network.model, images)).max() < 0.02


def test_a_quantised_file_keeps_its_eight_bits(net: Any, tmp_path: Path) -> None:
    model = net.model(net.classifier(net.stem()))
    network = build(model, tmp_path)
    assert "bits" not in network.package.meta["output"]
    assert network.package.encode() == build(model, tmp_path, bits=8).package.encode()


def test_unless_sixteen_are_asked_for(net: Any, tmp_path: Path) -> None:
    """The last quantiser is left out: its steps are 128 times finer, and reach twice as far."""
    model, images = net.model(net.classifier(net.stem(24))), images_of(net)
    network = build(model, tmp_path, bits=16)
    output = network.package.meta["output"]
    assert output["bits"] == 16 and output["scale"] == pytest.approx(0.03 / 128)
    rounded = of_file(model.SerializeToString(), images)
    assert np.abs(logits_of(network, images) - rounded).max() <= 0.03 * 1.51
    assert (np.abs(logits_of(network, images) - rounded) > 0.03 / 8).any()
    checked = network.check(images).checked
    assert checked is not None and not checked.describe_wrong()
    network.save(tmp_path / "saved")
    again = compiled_module.load(tmp_path / "saved")
    np.testing.assert_array_equal(logits_of(again, images), logits_of(network, images))


def test_of_what_was_not_seen_nothing_saturates(net: Any, tmp_path: Path) -> None:
    """A file without calibration: the scale is that of the most that the layer can make."""
    x = net.pool(net.stem())
    network = build(net.model(net.gemm(x, 5)), tmp_path)
    assert network.graph is not None
    dense = next(node for node in network.graph.nodes if isinstance(node, Dense))
    most = np.maximum(dense.weight.astype(int), 0).sum(axis=1) * 255 + dense.bias
    least = np.minimum(dense.weight.astype(int), 0).sum(axis=1) * 255 + dense.bias
    factor = dense.requantize.multiplier / 2.0**dense.requantize.shift
    reach = np.abs([most * factor, least * factor]).max()
    assert WIDE_MOST - 2 <= reach <= WIDE_MOST + 1


def test_no_finer_than_the_accumulator(net: Any, tmp_path: Path) -> None:
    """Few small weights: two steps of the accumulator are one of the logits."""
    x = net.pool(net.stem())
    weight = net.dequantize(net.const([[1, -1, 1, 0], [0, 1, 0, -1]], np.int8), 0.5)
    model = net.model(net.node("Gemm", x, weight, transB=1))
    network = build(model, tmp_path)
    assert network.package.meta["output"]["scale"] == pytest.approx(2 * 0.02 * 0.5)


def exits_model() -> tuple[Floats, onnx.ModelProto]:
    net = Floats(6)
    first = net.relu(net.conv("image"))
    early = net.head(first)
    late = net.head(net.relu(net.conv(first)))
    return net, net.model(early, late)


def test_early_exits_have_them(tmp_path: Path) -> None:
    """The scale of an exit is one whose distances its table reaches."""
    net, model = exits_model()
    images = images_of(net, 40)
    network = build(model, tmp_path, images, thresholds=[0.25])
    (leave,) = network.package.meta["exits"]
    assert leave["bits"] == network.package.meta["output"]["bits"] == 16
    assert leave["scale"] >= exit_scale() * 0.999
    taken = [d for d in decode(network.package) if d.op == Op.EXIT_IF]
    assert [d.wide for d in taken] == [True] and taken[0].src_stride == 2
    seen = set()
    for threshold in (0.0, 0.25, 2.0):
        other = network.with_thresholds([threshold])
        inputs = other.quantize_input(images)
        records = golden.run(other.package, inputs)
        np.testing.assert_array_equal(records[:, 60:], other.run_graph(inputs)[:, 60:])
        got = other.decode_output(records)
        seen |= set(got.exits.tolist())
        confident = np.exp(got.logits - got.logits.max(axis=1, keepdims=True)).sum(axis=1)
        exits = 1 / confident[got.exits == 0] >= threshold * (1 - 32 * leave["scale"])
        assert exits.all()
    assert seen == {0, 1}


@pytest.mark.parametrize(
    "properties, message",
    [
        ({"logits": "12"}, "penstock.logits is '12'"),
        ({"logit_scales": "[1]"}, "penstock.logit_scales is no object"),
        ({"logit_scales": '{"y": 0}'}, "penstock.logit_scales is no object"),
        ({"logit_scales": "{"}, "penstock.logit_scales is no object"),
    ],
)
def test_metadata_that_says_nothing(
    net: Any, properties: dict[str, str], message: str, tmp_path: Path
) -> None:
    model = net.model(net.gemm(net.pool(net.stem()), 5))
    with pytest.raises(CompileError, match=message.replace("[", r"\[")):
        build(model, tmp_path, metadata=properties)


def test_the_scale_of_the_metadata(net: Any, tmp_path: Path) -> None:
    """Where it is finer than what nothing saturates at."""
    name = net.gemm(net.pool(net.stem(24)), 5)
    model = net.model(name)
    whole = build(model, tmp_path).package.meta["output"]["scale"]
    for share, want in ((0.5, 0.5), (3.0, 1.0)):
        scales = json.dumps({name: whole * share})
        made = build(model, tmp_path, metadata={"logit_scales": scales})
        assert made.package.meta["output"]["scale"] == pytest.approx(whole * want)


def test_several_images_a_run(tmp_path: Path) -> None:
    net = Floats(8)
    model = net.model(net.head(net.relu(net.conv(net.relu(net.conv("image"))))))
    images = images_of(net, 6)
    alone = build(model, tmp_path, images)
    several = build(model, tmp_path, images, images=3)
    np.testing.assert_array_equal(logits_of(several, images), logits_of(alone, images))


def test_networks_of_our_own_are_as_they_were(tmp_path: Path) -> None:
    """They quantise their logits: the Program is the same whatever is left to the file."""
    pytest.importorskip("torch")
    from penstock.model import ResNetConfig, build_onnx, random_network

    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6))
    model = build_onnx(random_network(config, seed=3))
    network = build(model, tmp_path)
    assert network.package.encode() == build(model, tmp_path, bits=8).package.encode()
    assert dataclasses.asdict(network.package) and "bits" not in network.package.meta["output"]
    wide = build(model, tmp_path, bits=16)
    images = images_of(dataclasses.make_dataclass("N", ["shape"])((1, 2, 8, 6)))
    logits_of(wide, images)
    assert wide.package.meta["output"]["bits"] == 16
