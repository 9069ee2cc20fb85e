"""Forced masks: the gates run and give the scores asked for, on golden and on the core."""

import numpy as np
import pytest

from penstock.bench.rows.forced import forced_inputs, forced_package, forced_records
from penstock.bench.rows.measure import Measured, measure_forced, row_figures
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.masks import as_gates, forced_scores
from penstock.compiler.pipeline import compile_graph
from penstock.compiler.plan.weights import join_images
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.program.network.package import Package
from penstock.sim.golden import run
from tests.compiler.back.graphs import lcnet, random_inputs
from tests.compiler.back.test_stream import wide

IMAGES = 3


@pytest.fixture(scope="module")
def package() -> Package:
    """A gated network for `tiny`."""
    graph = lcnet(np.random.default_rng(7), (2, 6, 8), widths=(6, 10))
    return compile_graph(graph, get_config("tiny"))


def masks(package: Package, keep: float, skipped: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return forced_scores(package, IMAGES, keep=keep, blocks_skipped=skipped, rng=rng)


def test_masks_keep_what_was_asked(package: Package) -> None:
    everything = as_gates(package, masks(package, 1.0))
    assert all((scores > 0).all() for scores in everything.values())
    none = as_gates(package, masks(package, 0.0, 1.0))
    assert not any(scores.any() for scores in none.values())
    half = as_gates(package, masks(package, 1.0, 0.5))
    blocks = np.concatenate([s for s in half.values() if s.shape[1] == 1], axis=1)
    assert ((blocks == 0).sum(axis=1) == round(blocks.shape[1] * 0.5)).all()
    assert (masks(package, 0.5) == masks(package, 0.5)).all()


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_gates_give_the_forced_scores(binary: bool, streamed: bool) -> None:
    """Gates that are resident, and gates that are loaded for every image."""
    small = lcnet(np.random.default_rng(7), (2, 6, 8), widths=(6, 10), binary=binary)
    network = compile_graph(wide(binary=binary) if streamed else small, get_config("tiny"))
    code = decode(network)
    assert any(d.op == Op.GLOAD for d in code[code[-1].length :]) == streamed
    memory = masks(network, 0.5, 0.5)
    inputs, _ = random_inputs(network, IMAGES, np.random.default_rng(1))
    forced = forced_package(network, memory)
    gates = [d.op for d in decode(network)].count(Op.GATE)
    assert [d.op for d in decode(forced)].count(Op.GATE) == IMAGES * gates
    records = forced_records(run(forced, forced_inputs(inputs)))
    stored = records[:, COUNTER_BYTES : COUNTER_BYTES + memory.shape[1]]
    expected = np.where(memory > 0, 128, 0) if binary else memory.copy()
    if binary and streamed:  # the network's last gate is a soft one
        expected[:, -6:] = memory[:, -6:]
    assert (stored == expected).all()


def measured(package: Package, keep: float, skipped: float = 0.0) -> Measured:
    inputs, _ = random_inputs(package, IMAGES, np.random.default_rng(1))
    return measure_forced(CompiledNetwork(package=package), inputs, masks(package, keep, skipped))


def test_a_row_on_the_core(package: Package) -> None:
    dense, half = measured(package, 1.0), measured(package, 0.5, 0.5)
    for row in (dense, half):
        assert row.mismatches == 0
        assert row.model_error < 0.02
        waits = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")
        assert sum(row.counters[name] for name in waits) == pytest.approx(row.counters["cycles"])
    config = package.config
    figures = row_figures(dense, dense, config.p_oc * config.p_px)
    assert figures["realisation_ratio"] == figures["fetch_ratio"] == 1.0
    assert 0 < figures["utilisation"] < 1
    sparse = row_figures(half, dense, config.p_oc * config.p_px)
    assert 0 < sparse["realisation_ratio"] < 1
    assert sparse["gate_exposure"] > 0


def test_reshaping_changes_cycles_alone() -> None:
    graph = lcnet(np.random.default_rng(7), (2, 6, 8), widths=(6, 10))
    config = get_config("tiny")
    rows = []
    for reshape in (True, False):
        package = compile_graph(graph, config, reshape=reshape)
        assert reshape or all(d.split == 0 for d in decode(package))
        rows.append(measured(package, 0.5))
    assert rows[0].cycles < rows[1].cycles
    assert rows[0].macs_executed == rows[1].macs_executed
    assert rows[0].mismatches == rows[1].mismatches == 0


def test_gate_weights_are_loaded_in_whole_layers() -> None:
    images = [np.full(size, size, np.uint8) for size in (3, 4, 5, 9, 1)]
    sizes = [len(part) for part in join_images(images, 8)]
    assert sizes == [7, 5, 9, 1]
    assert (np.concatenate(join_images(images, 8)) == np.concatenate(images)).all()
