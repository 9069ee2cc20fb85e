"""Networks with more scores than the core has room for: those of squeeze-and-excite share it."""

from pathlib import Path

import numpy as np
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.emit.legal import check_program
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import GateKind, Op
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.front.floats import Floats, save

TINY = CONFIGS["tiny"]
SHAPE = (4, 5, 5)
WIDE = 128


def images(count: int) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def excited(
    blocks: int, folder: Path, *, gate: bool = False, both: bool = False
) -> CompiledNetwork:
    """Blocks of squeeze-and-excite on 128 channels, behind a gate of channels or not.

    `both`: one map has two of them.
    """
    n = Floats(7, (1, *SHAPE))
    x = n.relu(n.conv("image", WIDE, kernel=1))
    for _ in range(blocks):
        pooled = n.pooled(x)
        scores = [
            n.node("Sigmoid", n.gemm(n.relu(n.gemm(pooled, 4, WIDE)), WIDE, 4))
            for _ in range(1 + both)
        ]
        shape = n.const([1, WIDE, 1, 1], np.int64)
        parts = [n.node("Mul", x, n.node("Reshape", score, shape)) for score in scores]
        x = parts[0] if len(parts) == 1 else n.node("Add", *parts)
    if gate:
        z = n.node("Clip", n.gemm(n.pooled(x), 8, WIDE), n.const(0.0), n.const(1.0))
        z = n.node("Reshape", z, n.const([1, 8, 1, 1], np.int64))
        y = n.node("Mul", n.relu(n.conv(x, 8, WIDE, kernel=1)), z)
        x = n.relu(n.conv(y, WIDE, 8))
    path = save(n.model(n.head(x, WIDE)), folder)
    return compile_onnx(path, TINY, calibration=images(8))


def sigmoids(network: CompiledNetwork) -> list[int]:
    """Where their scores lie."""
    found = decode(network.package)
    return [d.dst for d in found if d.op == Op.GATE and d.score_kind == GateKind.SIGMOID]


def same(network: CompiledNetwork) -> None:
    codes = network.quantize_input(images(4))
    expected = golden.run(network.package, codes)[:, COUNTER_BYTES:]
    np.testing.assert_array_equal(network.run_graph(codes)[:, COUNTER_BYTES:], expected)
    for core in (CsimCore(TINY), RtlCore(TINY)):
        np.testing.assert_array_equal(core.run(network.package, codes)[:, COUNTER_BYTES:], expected)


def test_what_fits_is_as_it_was(tmp_path: Path) -> None:
    blocks = TINY.score_depth // WIDE
    network = excited(blocks, tmp_path)
    assert sigmoids(network) == [WIDE * index for index in range(blocks)]
    assert len(network.package.meta["gates"]) == blocks


@pytest.mark.parametrize("gate", [False, True])
def test_what_does_not_shares(gate: bool, tmp_path: Path) -> None:
    blocks = TINY.score_depth // WIDE + 1
    network = excited(blocks, tmp_path, gate=gate)
    check_program(network.package, "x")
    recorded = network.package.meta["gates"]
    assert [entry["count"] for entry in recorded] == ([8] if gate else [])
    assert set(sigmoids(network)) == {8 if gate else 0}
    same(network)
    opened = network.force_gates_open()
    golden.run(opened.package, opened.quantize_input(images(2)))
    scores = {entry["name"]: np.zeros((1, entry["count"]), np.uint8) for entry in recorded}
    assert network.predict(scores).cycles[0] > 0


def test_those_that_are_read_at_once_do_not_meet(tmp_path: Path) -> None:
    network = excited(TINY.score_depth // WIDE, tmp_path, both=True)
    assert set(sigmoids(network)) == {0, WIDE}
    same(network)


def test_scores_that_decide_are_never_shared(tmp_path: Path) -> None:
    n = Floats(7, (1, *SHAPE))
    x = n.relu(n.conv("image", WIDE, kernel=1))
    for _ in range(TINY.score_depth // WIDE + 1):
        z = n.node("Clip", n.gemm(n.pooled(x), WIDE, WIDE), n.const(0.0), n.const(1.0))
        z = n.node("Reshape", z, n.const([1, WIDE, 1, 1], np.int64))
        x = n.relu(n.node("Mul", n.conv(x, WIDE, WIDE, kernel=1), z))
    path = save(n.model(n.head(x, WIDE)), tmp_path)
    with pytest.raises(CompileError, match="gate scores, the score memory of 'tiny' holds"):
        compile_onnx(path, TINY, calibration=images(8))
