"""Every family of gates on every engine: golden == csim == rtl, and the cost model beside them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.cost import compare
from penstock.engines import COUNTED
from penstock.model import ResNetConfig, build_onnx, random_images, random_network
from penstock.model.gates.families import FAMILIES
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.sim import golden
from penstock.sim.csim.build import build_csim
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore

CONFIG = "tiny"
IMAGES = 6
WIDTHS = dict.fromkeys(
    ("acsdg", "acsdg-se"), (16, 32, 16)
)  # a quarter of them, to be put into groups


@pytest.fixture(params=FAMILIES)
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> CompiledNetwork:
    """A small random ResNet-14 of the family."""
    config = ResNetConfig(
        depth=14,
        gates=request.param,
        widths=WIDTHS.get(request.param, (4, 6, 10)),
        in_channels=2,
        input_size=(8, 6),
        classes=5,
    )
    onnx.save(build_onnx(random_network(config, keep_blocks=0.6, seed=3)), tmp_path / "net.onnx")
    return compile_onnx(tmp_path / "net.onnx", get_config(CONFIG))


def inputs_of(compiled: CompiledNetwork) -> np.ndarray:
    channels, height, width = compiled.input_shape
    config = ResNetConfig(in_channels=channels, input_size=(height, width))
    images = random_images(config, IMAGES, torch.Generator().manual_seed(4))
    return compiled.quantize_input(images.numpy())


def test_engines_agree(compiled: CompiledNetwork) -> None:
    inputs, config = inputs_of(compiled), get_config(CONFIG)
    expected = golden.run(compiled.package, inputs)
    assert (compiled.run_graph(inputs)[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()
    build_csim(config)
    records = {
        "csim": CsimCore(config).run(compiled.package, inputs),
        "rtl": RtlCore(config).run(compiled.package, inputs),
    }
    for engine, got in records.items():
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:], engine)
        for name in COUNTED["golden"]:
            at = slice(4 * COUNTER_NAMES.index(name), 4 * COUNTER_NAMES.index(name) + 4)
            np.testing.assert_array_equal(got[:, at], expected[:, at], f"{engine} {name}")
    scores = compiled.decode_output(expected).scores
    kept = np.concatenate([score > 0 for score in scores.values()], axis=1)
    assert (kept.any(axis=0) & ~kept.all(axis=0)).any()
    predicted = compare(compiled.package, records["rtl"])
    assert np.abs(predicted[1:] - 1).max() <= 0.02
