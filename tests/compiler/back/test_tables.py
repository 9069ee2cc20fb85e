"""Tables of activations in Programs: whose they are, when they are loaded, the same bytes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.disasm import listing
from penstock.compiler.emit.legal import check_program
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.report import build_report
from penstock.compiler.passes.tables import is_carrier, place_tables, raise_tables
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.program.network.package import PackageError
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.front.activations import NETWORKS, SPELLINGS, Build
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.test_curves import SHAPE, images_of

TINY = CONFIGS["tiny"]
SILU = SPELLINGS["SiLU"]


@pytest.fixture(scope="module")
def rtl() -> RtlCore:
    return RtlCore(TINY)


def compiled(
    network: Any, f: Build, folder: Path, seed: int = 5, **options: Any
) -> CompiledNetwork:
    n = Floats(seed, (1, *SHAPE))
    path = save(n.model(network(n, f)), folder)
    return compile_onnx(path, TINY, calibration=images_of(2), **options)


def convs(network: CompiledNetwork) -> list[ir.Conv]:
    assert network.graph is not None
    placed = place_tables(raise_tables(network.graph))
    return [node for node in placed.nodes if isinstance(node, ir.Conv)]


def loads(network: CompiledNetwork) -> int:
    return sum(d.loads_table for d in decode(network.package))


@pytest.mark.parametrize("function", ["SiLU", "Sigmoid", "never rising"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_engine(name: str, function: str, rtl: RtlCore, tmp_path: Path) -> None:
    """Graph, golden, csim and rtl: the same bytes, gates closed and open."""
    for seed in (5, 6, 7) if "gated" in name else (5,):
        network = compiled(NETWORKS[name], SPELLINGS[function], tmp_path, seed)
        codes = network.quantize_input(images_of(3, 6))
        expected = golden.run(network.package, codes)[:, COUNTER_BYTES:]
        np.testing.assert_array_equal(network.run_graph(codes)[:, COUNTER_BYTES:], expected)
        for core in (CsimCore(TINY), rtl):
            got = core.run(network.package, codes)[:, COUNTER_BYTES:]
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("name", "carriers"),
    [
        ("after a sum", 0),
        ("before a sum", 0),
        ("before pools", 0),
        ("behind a maximum", 0),  # a convolution without a maximum in between
        ("Concats", 0),
        ("strided", 0),
        ("two functions", 2),
        ("gated sums", 0),
    ],
)
def test_where_tables_are(name: str, carriers: int, tmp_path: Path) -> None:
    network = compiled(NETWORKS[name], SPELLINGS["LeakyRelu"], tmp_path)
    assert network.graph is not None
    tables = sum(isinstance(node, ir.Lookup) for node in network.graph.nodes)
    found = convs(network)
    assert sum(map(is_carrier, found)) == carriers
    assert sum(conv.table is not None for conv in found) >= tables


def test_a_maximum_stays_behind_a_function_that_falls(tmp_path: Path) -> None:
    network = compiled(NETWORKS["behind a maximum"], SPELLINGS["never rising"], tmp_path)
    assert sum(map(is_carrier, convs(network))) == 1


def test_a_table_that_is_there_is_not_loaded_again(tmp_path: Path) -> None:
    """One function of one scale: a sigmoid's codes of two maps that one addition joins."""

    def network(n: Floats, f: Build) -> str:
        x = n.node("Relu", n.conv("image"))
        parts = [f(n, n.node("Concat", n.conv(x), n.conv(x), axis=1)) for _ in range(2)]
        return n.head(n.conv(n.node("Concat", *parts, axis=1), 4, 16))

    one = compiled(network, SPELLINGS["LeakyRelu"], tmp_path)
    assert sum(conv.table is not None for conv in convs(one)) == 4 and loads(one) <= 3
    assert len({d.w_addr for d in decode(one.package) if d.loads_table}) <= 2


def test_several_images_a_run(tmp_path: Path) -> None:
    for name in ("after a sum", "between dense layers"):
        network = compiled(NETWORKS[name], SILU, tmp_path, images=2)
        codes = network.quantize_input(images_of(3, 6))
        got = golden.run(network.package, codes)
        np.testing.assert_array_equal(
            got[:, COUNTER_BYTES:], network.run_graph(codes)[:, COUNTER_BYTES:]
        )


def test_what_a_gate_skips_is_loaded_only_with_it(tmp_path: Path) -> None:
    """The GLOAD of a skipped convolution has its predicate; what runs always has its own."""
    network = compiled(NETWORKS["gated branches"], SILU, tmp_path)
    descriptors = decode(network.package)
    held: dict[str, Any] = {}
    predicated = 0
    for d in descriptors:
        if d.loads_table:
            held = {name: d.values[name] for name in ("pred_en", "pred_slot", "pred_not")}
            predicated += d.pred_en
        elif d.has_table and held["pred_en"]:
            assert d.pred_en and not d.pred_empty
            assert {name: d.values[name] for name in held} == held
    assert predicated == 2


def test_listing_and_report(tmp_path: Path) -> None:
    network = compiled(NETWORKS["after a sum"], SILU, tmp_path)
    text = listing(network.package)
    assert text.count("-> table") == loads(network) == 3
    assert sum(", table, " in line for line in text.splitlines()) == 3
    report = build_report(network.package)
    resident = next(d for d in decode(network.package) if d.op == Op.GLOAD and not d.loads_table)
    assert report["gate_memory_bytes"]["used"] == resident.length


def test_memory_is_told_by_descriptors(tmp_path: Path) -> None:
    """GLOADs and POOLs of one step are counted: what is stored lives until the STORE."""
    for name in ("after a sum", "strided"):
        package = compiled(NETWORKS[name], SILU, tmp_path).package
        descriptors = decode(package)
        loop = descriptors[-1].length
        ends = {block["name"]: loop + block["steps"][1] for block in package.meta["memory"]}
        assert descriptors[ends[package.meta["output"]["name"]]].op == Op.STORE
        assert max(ends.values()) == len(descriptors) - 2


@pytest.mark.parametrize(
    "name",
    ["Concats", "two functions", "squeeze-and-excite, Sigmoid", "gated branches", "gated sums"],
)
def test_cycles(name: str, rtl: RtlCore, tmp_path: Path) -> None:
    """The cost model is within 2 % of the core, GLOADs of tables included."""
    network = compiled(NETWORKS[name], SILU, tmp_path)
    decoded = network.decode_output(
        rtl.run(network.package, network.quantize_input(images_of(3, 6)))
    )
    predicted = network.predict(decoded.scores).cycles
    cycles = decoded.counters["cycles"].astype(np.int64)
    predicted = np.broadcast_to(predicted[-1:], cycles.shape) if len(predicted) == 1 else predicted
    assert (np.abs(predicted[1:] / cycles[1:] - 1) <= 0.02).all()


def test_a_program_without_its_table_is_refused(tmp_path: Path) -> None:

    network = compiled(NETWORKS["after a sum"], SILU, tmp_path)
    check_program(network.package, "x")
    bare = [
        type(d)(values=d.values | {"variant": 0}) if d.loads_table else d
        for d in decode(network.package)
    ]
    package = dataclasses.replace(network.package, descriptors=b"".join(d.encode() for d in bare))
    with pytest.raises(PackageError, match="has a table that no GLOAD before it loads"):
        check_program(package, "x")
