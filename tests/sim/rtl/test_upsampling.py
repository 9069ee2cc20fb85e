"""Networks that double their maps: onnxruntime in floating point, then graph == golden == csim ==
rtl, and the cost model."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.cost import compare
from penstock.compiler.onnx_session import open_session
from penstock.compiler.passes.tables import SUFFIX
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.front.activations import SPELLINGS
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.upsampled import NETWORKS, SHAPE

IMAGES = 3
#: Of the largest number of a result: three to six layers of 8 bits.
TOLERANCE = 0.12


class Smooth(Floats):
    """SiLU for each ReLU."""

    def relu(self, x: str) -> str:
        return SPELLINGS["SiLU"](self, x)


def compiled(
    name: str, config: str, folder: Path, kind: type[Floats] = Floats
) -> tuple[CompiledNetwork, Path, np.ndarray]:
    seed = list(NETWORKS).index(name)
    build = kind(seed, (1, *SHAPE))
    outputs = NETWORKS[name](build).split()
    images = np.random.default_rng(seed).normal(0, 1, (16, *SHAPE)).astype(np.float32)
    path = save(build.model(*outputs, opset=13), folder)
    return compile_onnx(path, get_config(config), calibration=images), path, images


def assert_near(network: CompiledNetwork, path: Path, images: np.ndarray) -> None:
    """The graph's results are those of onnxruntime, within TOLERANCE; so are its layers, on the
    quantised file, within what rounding may change."""
    found = network.decode_output(network.run_graph(network.quantize_input(images)))
    session = open_session(onnx.load(path))
    names = [each.name for each in session.get_outputs()]
    expected = [session.run(names, {"image": image[None]}) for image in images]
    for index, name in enumerate(names):
        wanted = np.concatenate([each[index] for each in expected])
        got = found.outputs.get(name, found.logits)
        error = np.abs(got.reshape(wanted.shape) - wanted).max()
        assert error <= TOLERANCE * np.abs(wanted).max(), error / np.abs(wanted).max()
    network.check(images).checked.require()  # type: ignore[union-attr]


def assert_equal(network: CompiledNetwork, config: str, images: np.ndarray) -> None:
    """graph == golden == csim == rtl, and the cost model is right."""
    core, package = get_config(config), network.package
    inputs = network.quantize_input(images[:IMAGES])
    expected = golden.run(package, inputs)[:, COUNTER_BYTES:]
    np.testing.assert_array_equal(network.run_graph(inputs)[:, COUNTER_BYTES:], expected)
    csim = CsimCore(core).run(package, inputs)
    np.testing.assert_array_equal(csim[:, COUNTER_BYTES:], expected)
    rtl = RtlCore(core).run(package, inputs)
    np.testing.assert_array_equal(rtl[:, COUNTER_BYTES:], expected)
    assert np.abs(compare(package, rtl)[1:] - 1).max() <= 0.02


@pytest.mark.parametrize("config", ["tiny", pytest.param("z7020", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", NETWORKS)
def test_engines_agree(name: str, config: str, tmp_path: Path) -> None:
    network, path, images = compiled(name, config, tmp_path)
    assert_near(network, path, images)
    assert_equal(network, config, images)


@pytest.mark.parametrize("name", ["unet_transposed", "depth_to_space", "gated_transposed", "neck"])
def test_activations_behind_them_cost_nothing(name: str, tmp_path: Path) -> None:
    """Tables are put before what only moves pixels: no convolution is there for one alone."""
    network, path, images = compiled(name, "tiny", tmp_path, Smooth)
    assert_near(network, path, images)
    assert_equal(network, "tiny", images)
    assert not any(layer["name"].endswith(SUFFIX) for layer in network.package.meta["layers"])
