"""The networks this project exports, odd sizes included, against onnxruntime."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize

torch = pytest.importorskip("torch")

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet8-24x20": {"depth": 8, "widths": (12, 20, 36), "input_size": (24, 20)},
    "resnet14-9x7": {"depth": 14, "widths": (4, 6, 10), "input_size": (9, 7), "in_channels": 3},
    "resnet8-dense": {"depth": 8, "widths": (8, 8, 8), "input_size": (6, 6), "gates": "none"},
    "block gates": {"widths": (4, 6, 10), "gates": "l"},
    "channel gates": {"widths": (4, 6, 10), "gates": "c"},
    "identity shortcuts": {"widths": (4, 6, 10), "shortcuts": "identity"},
    "bottleneck-9x7": {"depth": 20, "block": "bottleneck", "input_size": (9, 7)},
    "two gated convolutions": {
        "depth": 11,
        "block": "bottleneck",
        "gated_convs": 2,
        "widths": (4, 6, 10),
    },
    "imagenet-45x38": {
        "depth": 17,
        "block": "bottleneck",
        "blocks": (2, 1, 1, 1),
        "widths": (4, 6, 8, 10),
        "stem": "imagenet",
        "in_channels": 3,
        "input_size": (45, 38),
    },
    "resnet20-32x32": {"depth": 20, "in_channels": 3, "input_size": (32, 32)},
}


@pytest.fixture(params=NETWORKS, ids=str)
def exported(request: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    """(configuration, ONNX model, its file)"""
    from penstock.model import build_onnx
    from penstock.model.networks.resnet_config import ResNetConfig
    from penstock.model.quantize.random_network import random_network

    torch.set_num_threads(1)
    config = ResNetConfig(**NETWORKS[request.param])
    model = build_onnx(random_network(config, seed=3))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return config, model, path


def test_network(exported: Any, differences: Any, rng: np.random.Generator) -> None:
    """Tolerance: one step a value, in at most 1 % of them, each node fed the same integers.

    Scores can sit on a tie like any other value: their one step is included.
    """
    config, model, path = exported
    graph = import_onnx(path)
    blocks = sum(config.stage_blocks)
    kinds = [type(node) for node in graph.nodes]
    gates = config.block_gates + config.gated_convs * config.channel_gates
    assert kinds.count(ir.Gate) == gates * blocks
    assert kinds.count(ir.Pool) == (blocks if config.gated else 0) + 1
    shape = (2, config.in_channels, *config.input_size)
    images = rng.normal(0, 1, shape).astype(np.float32)
    steps = differences(graph, model, images)
    assert len(steps) == len(graph.nodes)
    assert {name: array.max() for name, array in steps.items() if array.max() > 1} == {}
    assert np.concatenate([array.ravel() for array in steps.values()]).mean() <= 0.01
    started = time.monotonic()
    source = graph.values[graph.input]
    run_graph(graph, quantize(images[:1], source.scale, source.signed))
    assert time.monotonic() - started < 3
