"""The API on networks of the project's own exporter: files, images in, results out."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from penstock.compiler import api
from penstock.compiler.compiled import CompiledNetwork, load
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.network.package import PackageError
from penstock.sim.golden import run

SHAPE = (2, 8, 6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network, half of whose channels each image skips."""
    pytest.importorskip("torch")
    from penstock.model import ResNetConfig, build_onnx, random_network

    path = tmp_path_factory.mktemp("api") / "net.onnx"
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    onnx.save(build_onnx(random_network(config, keep_blocks=0.7, seed=3)), path)
    return path


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(9, *SHAPE)).astype(np.float32)


def compiled(model: Path, config: str = "tiny", schedule: str | None = None) -> CompiledNetwork:
    return api.compile_onnx(model, get_config(config), schedule)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("forced", [False, True])
def test_golden_equals_graph(
    model: Path, images: np.ndarray, config: str, schedule: str, forced: bool
) -> None:
    network = compiled(model, config, schedule)
    network = network.force_gates_open() if forced else network
    inputs = network.quantize_input(images)
    records = run(network.package, inputs)
    expected = network.run_graph(inputs)
    assert (records[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()
    assert not expected[:, :COUNTER_BYTES].any()
    scores = network.decode_output(records).scores
    assert len(scores) == 6
    if forced:
        assert all((values == 128).all() for values in scores.values())
        macs = network.macs(scores)
        assert macs.executed == macs.dense
        assert macs.survivor_weights == macs.dense_weights
    else:
        assert any((values == 0).any() for values in scores.values())


def test_saved_and_loaded(model: Path, images: np.ndarray, tmp_path: Path) -> None:
    network = compiled(model)
    network.save(tmp_path / "net")
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == [
        *(".penstock.json", "listing.txt", "model.onnx", "program.pspkg", "report.json")
    ]
    again = load(tmp_path / "net")
    assert again.package == network.package
    inputs = again.quantize_input(images)
    assert (again.run_graph(inputs) == network.run_graph(inputs)).all()
    again.save(tmp_path / "net")  # over an earlier result
    assert load(tmp_path / "net").model == network.model
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    report = json.loads((tmp_path / "net" / "report.json").read_text())
    assert report["macs"]["dense"] == network.macs(_scores(network, images)).dense
    assert len(report["layers"]) == network.package.n_descriptors


def _scores(network: CompiledNetwork, images: np.ndarray) -> dict[str, np.ndarray]:
    records = run(network.package, network.quantize_input(images))
    return network.decode_output(records).scores


def test_decoded_logits_and_counters(model: Path, images: np.ndarray) -> None:
    network = compiled(model)
    records = run(network.package, network.quantize_input(images))
    decoded = network.decode_output(records)
    output = network.package.meta["output"]
    codes = records[:, output["offset"] : output["offset"] + 5].view(np.int8)
    assert decoded.logits.dtype == np.float32
    assert (decoded.logits == codes * np.float32(output["scale"])).all()
    assert (decoded.label == codes.argmax(axis=1)).all()
    prediction = network.predict(decoded.scores)
    assert (decoded.counters["weight_bytes"] == prediction.weight_bytes).all()
    assert (prediction.cycles > 0).all()


def test_schedule_comes_from_the_file(model: Path, tmp_path: Path) -> None:
    proto = onnx.load(model)
    onnx.helper.set_model_props(proto, {"penstock.schedule": "parallel"})
    onnx.save(proto, tmp_path / "parallel.onnx")
    assert compiled(tmp_path / "parallel.onnx").package.meta["schedule"] == "parallel"
    chosen = compiled(tmp_path / "parallel.onnx", schedule="sequential")
    assert chosen.package.meta["schedule"] == "sequential"


def test_float_network_with_calibration_images(images: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(4, 2, 3, 3)).astype(np.float32)
    dense = rng.normal(size=(3, 4)).astype(np.float32)
    text = """<ir_version: 8, opset_import: ["" : 18]>
    small (float[N,2,8,6] x) => (float[N,3] y) {
      a = Conv <pads=[1,1,1,1], kernel_shape=[3,3]> (x, w)
      b = Relu (a)
      c = GlobalAveragePool (b)
      d = Flatten (c)
      y = Gemm <transB=1> (d, v)
    }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(
        [onnx.numpy_helper.from_array(weight, "w"), onnx.numpy_helper.from_array(dense, "v")]
    )
    onnx.save(proto, tmp_path / "float.onnx")
    pytest.importorskip("onnxruntime")
    network = api.compile_onnx(tmp_path / "float.onnx", get_config("tiny"), calibration=images)
    network.save(tmp_path / "net")
    again = load(tmp_path / "net")
    inputs = again.quantize_input(images)
    records = run(again.package, inputs)
    assert (records[:, 64:] == again.run_graph(inputs)[:, 64:]).all()
    real = np.maximum(_convolve(images, weight), 0).mean(axis=(2, 3)) @ dense.T
    assert np.abs(again.decode_output(records).logits - real).max() < 0.05 * np.abs(real).max()


def _convolve(images: np.ndarray, weight: np.ndarray) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[0], "expected float32 N x 2 x 8 x 6, got float32 2 x 8 x 6"),
        (lambda x: x[:, :, :, :5], "expected float32 N x 2 x 8 x 6, got float32 9 x 2 x 8 x 5"),
        (lambda x: x.astype(np.float64), "expected float32 N x 2 x 8 x 6, got float64"),
        (lambda x: x.astype(np.uint8), "got uint8 9 x 2 x 8 x 6"),
        (lambda x: np.where(x == x[3, 1, 2, 4], np.nan, x).astype(np.float32), "got nan at [3, 1"),
        (lambda x: np.where(x == x[0, 0, 0, 0], np.inf, x).astype(np.float32), "got inf at [0, 0"),
    ],
)
def test_bad_images(model: Path, images: np.ndarray, change: object, message: str) -> None:
    with pytest.raises(PenstockError) as caught:
        compiled(model).quantize_input(change(images))  # type: ignore[operator]
    assert message in str(caught.value)


def test_bad_files(model: Path, tmp_path: Path) -> None:
    network = compiled(model)
    network.save(tmp_path / "net")
    program = tmp_path / "net" / "program.pspkg"
    data = program.read_bytes()
    alone = load(program)
    with pytest.raises(PenstockError, match="needs the network's ONNX file"):
        alone.run_graph(np.zeros((1, 96), np.uint8))
    program.write_bytes(data[:-3])
    with pytest.raises(PackageError, match="truncated"):
        load(tmp_path / "net")
    program.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))
    with pytest.raises(PackageError, match="checksum differs"):
        load(tmp_path / "net")
    program.unlink()
    with pytest.raises(PackageError, match="No such file"):
        load(tmp_path / "net")


def test_listing_names_everything(model: Path) -> None:
    from penstock.compiler.disasm import listing

    network = compiled(model)
    text = listing(network.package)
    lines = text.splitlines()
    code = [line for line in lines if line[:4].strip().isdigit()]
    assert len(code) == network.package.n_descriptors
    for layer in network.package.meta["layers"]:
        assert layer["name"] in text
    assert "of list0" in text
    assert "!= 0: skip" in text and "unless those before it are 0" in text
    assert f"{len(network.package.weights)} bytes of weights" in text
    assert "feature memory:" in text
    assert max(map(len, lines)) < 400
