"""`penstock estimate` against the core's own counters, and its command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.bench.rows.measure import measure_forced
from penstock.boards.board import load_board
from penstock.cli.main import main
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.masks import forced_scores
from penstock.compiler.estimate.summary import estimate
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from tests.compiler.back.graphs import lcnet, random_inputs


@pytest.mark.parametrize("keep, skipped", [(1.0, 0.0), (0.5, 0.0), (0.7, 0.5)])
def test_within_two_percent_of_the_core(keep: float, skipped: float) -> None:
    graph = lcnet(np.random.default_rng(7), (2, 12, 12), widths=(8, 12))
    package = compile_graph(graph, get_config("tiny"))
    rng = np.random.default_rng(3)
    memory = forced_scores(package, 3, keep=keep, blocks_skipped=skipped, rng=rng)
    inputs, _ = random_inputs(package, 3, np.random.default_rng(1))
    measured = measure_forced(CompiledNetwork(package=package), inputs, memory)
    figures = estimate(package, memory, clock_mhz=100.0)
    assert figures["cycles"] == pytest.approx(measured.cycles, rel=0.02)
    assert figures["weight_bytes"] == measured.weight_bytes
    assert figures["macs"] == measured.macs_executed
    assert figures["latency_ms"] * figures["fps"] == pytest.approx(1000)
    layers = figures["layers"]
    assert sum(layer["macs"] for layer in layers) == figures["macs"]
    fetched = sum(layer["weight_bytes"] for layer in layers)
    assert fetched == pytest.approx(figures["weight_bytes"])
    # The rest is the record of the image before; means over three images are not exact sums.
    rest = figures["cycles"] - sum(layer["cycles"] for layer in layers)
    assert 0 <= round(rest, 6) < 100


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small gated network."""
    import onnx

    from penstock.model import ResNetConfig, build_onnx, random_network

    path = tmp_path_factory.mktemp("estimate") / "net.onnx"
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    onnx.save(build_onnx(random_network(config, seed=3)), path)
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    capfd.readouterr()
    assert main(["estimate", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capfd.readouterr().out)


def test_command_line(onnx_file: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dense = run(capfd, onnx_file, "--config", "tiny")
    half = run(capfd, onnx_file, "--config", "tiny", "--keep", 0.5, "--clock", 200)
    assert half["cycles"] < dense["cycles"]
    board = load_board("pynq-z2").rtl_mhz["tiny"]
    assert (dense["clock_mhz"], half["clock_mhz"]) == (board, 200)
    assert (dense["clock_source"], half["clock_source"]) == ("estimate", "given")
    assert half["fps"] * half["cycles"] == pytest.approx(200e6)
    assert dense["fps"] * dense["cycles"] == pytest.approx(board * 1e6)
    assert main(["compile", str(onnx_file), "--config", "tiny", "-o", str(tmp_path / "net")]) == 0
    assert run(capfd, tmp_path / "net") == dense


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing.onnx"], "no such file"),
        (["--config", "huge"], "unknown hardware configuration 'huge'"),
        (["--board", "zx81"], "unknown board 'zx81'"),
    ],
)
def test_bad_input(
    onnx_file: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    target = [] if arguments[0].endswith(".onnx") else [str(onnx_file)]
    assert main(["estimate", *target, *arguments]) == 2
    assert message in capfd.readouterr().err
