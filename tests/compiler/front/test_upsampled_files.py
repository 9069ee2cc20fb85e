"""Networks that double their maps as onnxruntime quantises them and as PyTorch exports them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime import quantization
from onnxruntime.quantization import QuantType

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.onnx_session import open_session
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.compiler.front.floats import Floats
from tests.compiler.front.test_static import FORMS, Images
from tests.compiler.front.upsampled import NETWORKS, SHAPE

#: The other networks differ from these in layers that every file has.
STATIC = (
    *("unet_nearest", "unet_transposed", "unet_four", "unet_keras", "pixel_shuffle", "neck"),
    *("pyramid", "four_times", "depthwise", "gated"),
)


def images_of(seed: int, count: int) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def quantized(name: str, form: str, folder: Path) -> Path:
    """The file that onnxruntime makes of a network."""
    build = Floats(11, (1, *SHAPE))
    outputs = NETWORKS[name](build).split()
    onnx.save(build.model(*outputs), folder / "float.onnx")
    quantization.quantize_static(
        folder / "float.onnx",
        folder / "static.onnx",
        Images(images_of(1, 8)),
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": form.startswith("symmetric"),
            "WeightSymmetric": True,
        },
        **FORMS[form],
    )
    return folder / "static.onnx"


def assert_near(network: CompiledNetwork, expected: list[Any], images: Any, most: float) -> None:
    """Each result within `most`, relative RMS; golden is the graph."""
    codes = network.quantize_input(images)
    records = golden.run(network.package, codes)
    graph = network.run_graph(codes)
    np.testing.assert_array_equal(records[:, COUNTER_BYTES:], graph[:, COUNTER_BYTES:])
    found = network.decode_output(records)
    results = list(found.outputs.values()) or [found.logits]
    for result, wanted in zip(results, expected, strict=True):
        error = result.reshape(wanted.shape) - wanted
        rms = float(np.sqrt((error**2).sum() / (wanted**2).sum()))
        assert rms <= most, rms


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STATIC)
def test_it_is_onnxruntimes(name: str, form: str, tmp_path: Path) -> None:
    """Layer by layer, the results within 2 %."""
    path = quantized(name, form, tmp_path)
    network, images = compile_onnx(path, CONFIGS["z7020"]), images_of(2, 12)
    network.check(images).checked.require()  # type: ignore[union-attr]
    session = open_session(onnx.load(path))
    runs = [session.run(None, {"image": image[None]}) for image in images]
    assert_near(network, [np.concatenate(each) for each in zip(*runs, strict=True)], images, 0.02)


def test_export(tmp_path: Path) -> None:
    """Both exporters, each way to double a map: the same graph of as many interleavings."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    nn = torch.nn

    def resized(x: Any) -> Any:
        sides = (2 * x.shape[2], 2 * x.shape[3])
        return nn.functional.interpolate(x, size=sides, mode="nearest")

    class Doubled(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, up: Any) -> None:
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
            self.up, self.last = up, nn.Conv2d(8, 4, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return self.last(self.up(torch.relu(self.norm(self.stem(x)))))

    ways = {
        "nearest": nn.Upsample(scale_factor=2),
        "size": nn.Upsample(size=SHAPE[1:]),
        "interpolate": resized,
        "transposed 2": nn.Sequential(nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU()),
        "transposed 3": nn.ConvTranspose2d(8, 8, 3, 2, 1, 1, bias=False),
        "transposed 4": nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=2),
        "pixels": nn.Sequential(nn.Conv2d(8, 32, 1), nn.PixelShuffle(2), nn.ReLU()),
    }
    images = images_of(3, 8)
    for (name, up), dynamo in [(way, d) for way in ways.items() for d in (False, True)]:
        torch.manual_seed(3)
        net, path = Doubled(up).eval(), tmp_path / "doubled.onnx"
        sample = (torch.from_numpy(images[:1]),)
        torch.onnx.export(net, sample, path, opset_version=18, dynamo=dynamo)
        network = compile_onnx(path, CONFIGS["tiny"], calibration=images)
        network.check(images).checked.require()  # type: ignore[union-attr]
        with torch.no_grad():
            expected = net(torch.from_numpy(images)).numpy()
        assert_near(network, [expected], images, 0.04)
        nodes = network.integer_graph().nodes
        assert sum(isinstance(node, ir.Interleave) for node in nodes) == 1, (name, dynamo)
        assert not any(isinstance(node, ir.Frame) for node in nodes), (name, dynamo)


@pytest.mark.parametrize("form", ["float", "symmetric, per channel", "asymmetric"])
def test_as_tf2onnx_writes_it(form: str, tmp_path: Path) -> None:
    """Channels last outside, Resize by half pixels, Conv2DTranspose by its result's shape."""
    b = Floats(13, (1, 16, 16, 3))
    x = b.relu(b.conv(b.node("Transpose", "image", perm=[0, 3, 1, 2]), 6, 3, strides=[2, 2]))
    weight = b.normal(6, 6, 3, 3, spread=0.3)
    shape = {"strides": [2, 2], "output_shape": [16, 16], "auto_pad": "SAME_UPPER"}
    y = b.node("Add", b.node("ConvTranspose", x, weight, **shape), b.normal(1, 6, 1, 1))
    scales = b.const([1, 1, 2, 2])
    places = {"coordinate_transformation_mode": "half_pixel", "mode": "nearest"}
    z = b.node("Resize", x, b.const([]), scales, nearest_mode="round_prefer_ceil", **places)
    y = b.conv(b.node("Concat", b.relu(y), z, axis=1), 4, 12, kernel=1)
    model = b.model(b.node("Transpose", y, perm=[0, 2, 3, 1]))
    path = tmp_path / "float.onnx"
    onnx.save(model, path)
    images = np.ascontiguousarray(images_of(4, 12).transpose(0, 2, 3, 1))
    if form == "float":
        network = compile_onnx(path, CONFIGS["tiny"], calibration=images)
    else:
        quantization.quantize_static(
            path,
            tmp_path / "static.onnx",
            Images(images),
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": form != "asymmetric", "WeightSymmetric": True},
            **FORMS[form],
        )
        path = tmp_path / "static.onnx"
        network = compile_onnx(path, CONFIGS["tiny"])
    network.check(images).checked.require()  # type: ignore[union-attr]
    session = open_session(onnx.load(path))
    wanted = [session.run(None, {"image": image[None]})[0] for image in images]
    assert_near(network, [np.concatenate(wanted)], images, 0.03)
    assert sum(isinstance(node, ir.Interleave) for node in network.integer_graph().nodes) == 2
