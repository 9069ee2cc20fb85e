"""Counters of every descriptor add up to the image's; `penstock simulate --json` carries them."""

import json
from pathlib import Path

import numpy as np
import pytest

from penstock.cli.main import main
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.cost import Timing, predict_memory
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.profile import SHARED, profile
from tests.compiler.back.graphs import lcnet, random_inputs

#: Cycles by which a HALT in between changes what overlaps.
SLACK = 60


def test_shares_add_up_and_the_cost_model_explains_them() -> None:
    graph = lcnet(np.random.default_rng(7), (2, 12, 12), widths=(8, 12))
    package = compile_graph(graph, get_config("tiny"))
    inputs, _ = random_inputs(package, 2, np.random.default_rng(1))
    core = RtlCore(package.config)
    records = core.run(package, np.concatenate([inputs[:1], inputs]))[1:]
    rows = profile(core, package, inputs)
    core.close()
    whole = CompiledNetwork(package=package).decode_output(records).counters
    for name in ("weight_bytes", "mac", "executed", "skipped", "channels_executed"):
        fixed = 1 if name == "executed" else 0  # HALT itself
        total = sum(row[name] for row in rows) + fixed
        assert total == pytest.approx(whole[name].mean()), name
    count = sum(gate["count"] for gate in package.meta["gates"])
    scores = records[:, COUNTER_BYTES : COUNTER_BYTES + count]
    memory = np.concatenate([scores[:1], scores])
    predicted = predict_memory(package, memory, Timing()).descriptor_cycles[1:].mean(axis=0)
    for row in rows[1:]:  # the model counts the start of the image to the first
        assert row["cycles"] == pytest.approx(predicted[row["descriptor"]], rel=0.02, abs=SLACK)


def test_simulate_carries_counters_per_image_and_descriptor(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import onnx
    import torch

    from penstock.model import ResNetConfig, build_onnx, random_images, random_network

    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    onnx.save(build_onnx(random_network(config, seed=3)), tmp_path / "net.onnx")
    images = random_images(config, 3, torch.Generator().manual_seed(5)).numpy()
    np.save(tmp_path / "x.npy", images.astype(np.float32))
    net = str(tmp_path / "net")
    assert main(["compile", str(tmp_path / "net.onnx"), "--config", "tiny", "-o", net]) == 0
    capfd.readouterr()
    arguments = ["--images", str(tmp_path / "x.npy"), "--per-descriptor", "--json", "-"]
    assert main(["simulate", net, *arguments]) == 0
    figures = json.loads(capfd.readouterr().out)
    each = figures["engines"]["rtl"]["per_image"]
    assert np.mean(each["cycles"]) == figures["engines"]["rtl"]["counters"]["cycles"]
    assert len(each["cycles"]) == 3
    waits = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")
    assert np.array_equal(np.sum([each[name] for name in waits], axis=0), each["cycles"])
    assert {"descriptor", "name", *SHARED} == set(figures["descriptors"][0])
    assert main(["simulate", net, "--engine", "golden", *arguments]) == 2
    assert "--per-descriptor needs the rtl engine" in capfd.readouterr().err
