"""LC-Net ResNet-50, both inner convolutions gated: ONNX -> Program -> graph == golden == rtl."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from penstock.compiler import api
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.cost import compare
from penstock.compiler.estimate.report import build_report
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.sim import golden
from penstock.sim.rtl.engine import RtlCore

torch = pytest.importorskip("torch")


def check(path: Path, config: str, *, widths: tuple[int, ...], side: int, calibration: int) -> None:
    """One image, bit-exact; untrained, half of the channels and most blocks open."""
    from penstock.model import build_onnx, random_images, random_network
    from penstock.model.networks.resnet_config import parse_resnet

    form = parse_resnet("lcnet-resnet50")
    form = dataclasses.replace(form, widths=widths, input_size=(side, side), gated_convs=2)
    net = random_network(form, keep_channels=0.5, keep_blocks=0.8, seed=1, images=calibration)
    onnx.save(build_onnx(net), path)
    network = api.compile_onnx(path, get_config(config))
    package = network.package
    ops = [d.op for d in decode(package)]
    assert ops.count(Op.COPY) == 4  # the image, and before three 3x3 with stride 2
    assert ops.count(Op.POOL) == 4  # the stem's, and the shortcuts that subsample
    loop = decode(package)[-1].length
    assert Op.GLOAD in ops[loop:], "gates are loaded every image"

    images = random_images(form, 1, torch.Generator().manual_seed(9)).numpy()
    inputs = network.quantize_input(images)
    expected = golden.run(package, inputs)
    graph = network.run_graph(inputs)
    np.testing.assert_array_equal(expected[:, COUNTER_BYTES:], graph[:, COUNTER_BYTES:])
    records = RtlCore(config).run(package, inputs)
    np.testing.assert_array_equal(records[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
    assert abs(float(compare(package, records)[0]) - 1) <= 0.02

    scores = network.decode_output(records).scores
    channels = np.concatenate([s[0] for s in scores.values() if s.shape[1] > 1])
    blocks = np.array([s[0, 0] for s in scores.values() if s.shape[1] == 1])
    assert 0.25 < (channels > 0).mean() < 0.75
    assert 0 < np.count_nonzero(blocks) < 16
    assert build_report(package)["feature_bytes"]["used"] <= get_config(config).fmem_bytes


@pytest.mark.long
def test_an_eighth_of_the_width(tmp_path: Path) -> None:
    """The layout of ResNet-50 at 64 x 64; its gates exceed the gate memory of the core."""
    check(tmp_path / "net.onnx", "z7020", widths=(8, 16, 32, 64), side=64, calibration=32)


@pytest.mark.long
def test_whole(tmp_path: Path) -> None:
    """At 224 x 224, a thousand classes: about seven million cycles."""
    check(tmp_path / "net.onnx", "zcu104", widths=(64, 128, 256, 512), side=224, calibration=6)
