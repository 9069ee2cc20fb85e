"""S2DNAS networks compiled: MACs up to each stage are the model's, golden is the graph's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler import api
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.golden import run

torch = pytest.importorskip("torch")

SPLITS = {
    "mixed reuse": "4: 1,3/101 2,3/011 1,2/110",
    "all reuse": "4: 1,3/111 1,3/111 1,3/111",
    "no reuse": "4: 2,3/000 1,2/000 1,3/000",
    "two stages": "4: 1/1 3/0 2/1",
    "four stages": "4: 1,2,3/110100 1,2,3/111111 1,2,3/000000",
}


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("split", SPLITS)
def test_golden_equals_graph_and_macs_equal_the_models(
    split: str, block: str, tmp_path: Path
) -> None:
    """Ended at each stage in turn, then wherever thresholds in between end an image."""
    from penstock.model import ResNetConfig, build_onnx, random_network
    from penstock.model.macs.count import dense_macs
    from penstock.model.plans.split import parse_split
    from penstock.model.stages.split import exit_macs

    config = ResNetConfig(
        depth=14 if block == "basic" else 11,
        block=block,  # type: ignore[arg-type]
        gates="none",
        widths=(4, 8, 12),
        in_channels=2,
        input_size=(8, 6),
        classes=5,
        split=parse_split(SPLITS[split]),
    )
    model = build_onnx(random_network(config, seed=3), _thresholds(config.early_exits))
    _check(model, config, exit_macs(config), tmp_path)
    assert exit_macs(config)[-1] < dense_macs(config)


@pytest.mark.parametrize("name", ["vgg", "mobilenet"])
def test_backbones(name: str, tmp_path: Path) -> None:
    """A chain with pools, and depthwise convolutions with residuals."""
    from penstock.model import build_onnx, random_network
    from penstock.model.stages.split import exit_macs
    from tests.model.test_export_split import BACKBONES

    config = BACKBONES[0 if name == "vgg" else 2]
    model = build_onnx(random_network(config, seed=3), _thresholds(2))
    _check(model, config, exit_macs(config), tmp_path)


def _thresholds(exits: int) -> dict[str, str]:
    return {"thresholds": ",".join(["0.3"] * exits)}


def _check(model: onnx.ModelProto, config: Any, expected: list[int], folder: Path) -> None:
    """Compiled, run to each stage in turn, then with the thresholds of the file."""
    from penstock.model import random_images

    path, exits = folder / "net.onnx", len(expected) - 1
    onnx.save(model, path)
    network = api.compile_onnx(path, get_config("tiny"))
    inputs = network.quantize_input(
        random_images(config, 5, torch.Generator().manual_seed(4)).numpy()
    )
    for stage in range(exits + 1):
        ending = network.with_thresholds([2.0] * stage + [0.0] * (exits - stage))
        records = run(ending.package, inputs)
        assert (records[:, COUNTER_BYTES:] == ending.run_graph(inputs)[:, COUNTER_BYTES:]).all()
        taken = ending.decode_output(records).exits
        assert set(taken) == {stage}
        macs = ending.macs({}, taken)
        assert macs.executed_per_image.tolist() == [expected[stage]] * 5
        assert macs.dense == expected[-1]
    records = run(network.package, inputs)
    assert (records[:, COUNTER_BYTES:] == network.run_graph(inputs)[:, COUNTER_BYTES:]).all()
    cycles = [network.predict({}, np.array([stage])).cycles.mean() for stage in range(exits + 1)]
    assert cycles == sorted(set(cycles))
