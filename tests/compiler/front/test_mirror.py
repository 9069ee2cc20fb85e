"""Networks that take fewer cycles upside down, or from right to left, are computed so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.importer.ends import mirror
from penstock.engines import Memory, mismatches, run_engine
from penstock.program.core.config import CONFIGS
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import compiled_float, images_of, same

KERAS = {"pads": [0, 0, 1, 1], "strides": [2, 2]}
Y = 0.04


@pytest.fixture(autouse=True)
def free_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever saves a cycle is done: the networks here are small."""
    monkeypatch.setattr(mirror, "STEP_CYCLES", 0)
    monkeypatch.setattr(mirror, "HOST_CYCLES", 0)


def flips(network: CompiledNetwork) -> int:
    """Slices of the host's."""
    return 0 if network.head is None else network.head.operators.split(", ").count("Slice")


def keras_float(shape: tuple[Any, ...], shortcut: bool, pool: str) -> Floats:
    """Two layers of stride 2 with Keras' padding, a shortcut of one tap beside the second."""
    net = Floats(61, shape)
    x = net.relu(net.node("Conv", "image", net.normal(4, shape[1], 3, 3), net.normal(4), **KERAS))
    y = net.node("Conv", x, net.normal(4, 4, 3, 3, spread=0.2), net.normal(4), **KERAS)
    if shortcut:
        y = net.node("Add", y, net.node("Conv", x, net.normal(4, 4, 1, 1), strides=[2, 2]))
    y = net.relu(y)
    if pool:
        y = net.node(pool, y, kernel_shape=[2, 2], pads=[0, 0, 1, 1])
    net.relu(net.conv(y))
    return net


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("pool", ["", "MaxPool"])
@pytest.mark.parametrize("sides", [(16, 16), (16, 12), (20, 16)])
def test_float(shortcut: bool, pool: str, sides: tuple[int, int], tmp_path: Path) -> None:
    net = keras_float(("N", 2, *sides), shortcut, pool)
    images = images_of((2, *sides))
    network = compiled_float(net.model(net.head(net.nodes[-1].output[0])), tmp_path, images)
    assert flips(network) == 1
    same(network, images)


def same_conv(net: Qdq, x: str) -> str:
    """3x3 at stride 2, padded as Keras does."""
    weight = net.weight((4, net.channels[x], 3, 3))
    bias = net.const(net.rng.normal(0, 0.3, 4))
    y = net.node("Conv", x, weight, bias, auto_pad="SAME_UPPER", strides=[2, 2])
    net.channels[y] = 4
    return y


def keras_quantised(rng: Any, sides: tuple[int, int]) -> Qdq:
    net = Qdq(rng, ("N", 3, *sides))
    x = net.qdq(net.node("Relu", same_conv(net, net.image())), Y, signed=False)
    shortcut = net.qdq(net.conv(x, 4, kernel=1, strides=[2, 2], pads=[0] * 4), Y)
    y = net.node("Add", same_conv(net, x), shortcut)
    net.qdq(net.node("Relu", y), Y, signed=False)
    return net


@pytest.mark.parametrize("sides", [(16, 16), (16, 15), (13, 16), (16, 20)])
@pytest.mark.parametrize("engine", ["csim", "rtl"])
def test_quantised(sides: tuple[int, int], engine: str, rng: Any, tmp_path: Path) -> None:
    """The check turns the file's maps round, layer by layer."""
    net = keras_quantised(rng, sides)
    model = net.model(net.classifier(net.nodes[-1].output[0]))
    images = images_of((3, *sides), 3)
    network = compile_onnx(save(model, tmp_path), CONFIGS["tiny"])
    graph = network.integer_graph()
    assert any(graph.mirrored)
    assert flips(network) == 1
    same(network, images)
    assert network.check(images).checked.first_wrong is None  # type: ignore[union-attr]
    runs = [run_engine(name, network, images, Memory()) for name in ("golden", engine)]
    assert mismatches(*runs) == 0


def test_fewer_cycles(rng: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = keras_quantised(rng, (16, 16))
    path = save(net.model(net.classifier(net.nodes[-1].output[0])), tmp_path)
    there = compile_onnx(path, CONFIGS["z7020"])
    monkeypatch.setattr(mirror, "STEP_CYCLES", 1 << 30)
    as_it_is = compile_onnx(path, CONFIGS["z7020"])
    assert flips(as_it_is) == 0 and as_it_is.integer_graph().mirrored == (False, False)
    assert there.predict({}).cycles[-1] < as_it_is.predict({}).cycles[-1]


def test_the_shortcut_reads_the_layout_of_the_other(rng: Any, tmp_path: Path) -> None:
    """No POOL for its pixels: they are a plane of the polyphase layout."""
    net = keras_quantised(rng, (16, 16))
    model = net.model(net.classifier(net.nodes[-1].output[0]))
    network = compile_onnx(save(model, tmp_path), CONFIGS["tiny"])
    assert any(isinstance(node, ir.Frame) for node in network.integer_graph().nodes)
    assert [
        row["name"] for row in network.package.meta["layers"] if row.get("kind") == "copy"
    ] == []


def test_what_a_user_pads_on_both_sides_stays(tmp_path: Path) -> None:
    net = Floats(62, ("N", 2, 16, 16))
    y = net.node("Conv", "image", net.normal(4, 2, 3, 3), pads=[1] * 4, strides=[2, 2])
    model = net.model(net.head(net.relu(y)))
    network = compiled_float(model, tmp_path, images_of((2, 16, 16)))
    assert network.head is None


def head2(net: Floats, x: str) -> str:
    return net.head(x, 2)


MAPS: dict[str, Any] = {
    "a map as the result": lambda n, x: n.node("Flatten", x),
    "rows by themselves": lambda n, x: head2(n, n.node("Slice", x, *bounds(n))),
    "a dense layer of the map": lambda n, x: n.gemm(n.node("Flatten", x), 3, 2 * 64),
}


def bounds(net: Floats) -> list[str]:
    return [net.const(value, np.int64) for value in ([1], [8], [2])]


@pytest.mark.parametrize("what", MAPS)
def test_no_mirror_image(what: str, tmp_path: Path) -> None:
    """The network runs as it is, or from right to left where that is right."""
    net = Floats(63, ("N", 2, 16, 16))
    x = net.relu(net.node("Conv", "image", net.normal(2, 2, 3, 3), net.normal(2), **KERAS))
    images = images_of((2, 16, 16))
    network = compiled_float(net.model(MAPS[what](net, x)), tmp_path, images)
    same(network, images)
    assert bool(flips(network)) == (what == "a dense layer of the map")


def test_two_heads_of_exits(tmp_path: Path) -> None:
    """Early exits are vectors: the network behind them is mirrored all the same."""
    net = Floats(64, ("N", 2, 16, 16))
    x = net.relu(net.node("Conv", "image", net.normal(4, 2, 3, 3), net.normal(4), **KERAS))
    early = net.head(x)
    y = net.relu(net.node("Conv", x, net.normal(4, 4, 3, 3), net.normal(4), **KERAS))
    model = net.model(early, net.head(y))
    images = images_of((2, 16, 16))
    network = compile_onnx(
        save(model, tmp_path), CONFIGS["tiny"], calibration=images, thresholds=[0.9]
    )
    assert flips(network) == 1
    checked = network.check(images).checked
    assert checked is not None and checked.first_wrong is None


def test_chosen_for_mlperf(mlperf_tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the host's step at its price."""
    monkeypatch.undo()
    network = compile_onnx(mlperf_tiny / "ic_int8.onnx", CONFIGS["z7020"])
    assert network.integer_graph().mirrored == (True, True)
