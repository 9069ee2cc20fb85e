"""The schema of rows.json, the tables, the rows that are asked for, and the cache."""

import dataclasses
from pathlib import Path

import pytest

from penstock.bench.cache import Cache, source_hash
from penstock.bench.rows import table
from penstock.bench.rows.bars import BARS, bar_table
from penstock.bench.rows.cases import (
    MASKS,
    Case,
    bench_configs,
    forced_cases,
    static_case,
    trained_cases,
)
from penstock.bench.rows.measure import Measured
from penstock.bench.rows.table import CYCLE_COUNTERS, KEYS, bench_row, store, stored
from penstock.bench.tables import rows as tables_of_rows
from penstock.bench.tables.documents import markdown, replace_between, update_document
from penstock.bench.tables.rows import bench_table, counter_table
from penstock.program.core.counters import COUNTER_NAMES

CASE = next(forced_cases("resnet20", "z7020", quick=False))
MEASURED = Measured(
    images=2,
    cycles=1000.0,
    predicted=1010.0,
    model_error=0.01,
    macs_dense=128_000,
    macs_executed=64_000.0,
    dense_weights=100,
    survivor_weights=50.0,
    mismatches=0,
    counters=dict.fromkeys(COUNTER_NAMES, 0.0) | {"mac": 600.0, "gate": 20.0, "weight_bytes": 60.0},
)
DENSE = dataclasses.replace(
    MEASURED,
    cycles=1600.0,
    macs_executed=128_000.0,
    counters=MEASURED.counters | {"weight_bytes": 100.0},
)


def test_a_row_has_the_keys_and_figures() -> None:
    row = bench_row(CASE, MEASURED, DENSE)
    assert tuple(row) == KEYS
    assert row["utilisation"] == pytest.approx(0.5)
    assert row["realisation_ratio"] == pytest.approx(0.8)
    assert row["fetch_ratio"] == pytest.approx(1.2)
    assert row["gate_exposure"] == pytest.approx(20 / 1600)
    assert row["lost_to_remainder"] == pytest.approx(0.1)


def test_tables() -> None:
    made = bench_table([bench_row(CASE, MEASURED, DENSE)])
    expected = "| resnet20 | z7020 | sequential | reshaping | 1 | 0 | 64,000 | 1,000 | +1.00% |"
    assert made.splitlines()[2].startswith(expected)
    assert len({line.count("|") for line in made.splitlines()}) == 1
    fixed = dataclasses.replace(CASE, split=False)
    counters = counter_table([bench_row(case, MEASURED, DENSE) for case in (CASE, fixed)])
    assert len(counters.splitlines()) == 3
    assert all(name in counters for name in CYCLE_COUNTERS)


def test_bars_take_the_worst_row() -> None:
    row = bench_row(CASE, MEASURED, DENSE)
    dense = {**row, "utilisation": 0.96}
    made = bar_table([dense, {**dense, "split": False, "predicted": 1030.0, "utilisation": 0.1}])
    assert "| MAC utilisation, resnet20, dense, 8x16 | met | >= 0.95 | 0.96 |" in made
    assert "| MAC utilisation, resnet18, dense, 8x16 | not measured | >= 0.95 |  |" in made
    missed = "| cost model against the core, every row | **missed** | <= 0.02 | 0.03 |"
    assert missed in made.splitlines()[2:4]
    assert "| mismatches, every row | met | <= 0 | 0 |" in made
    own = {**dense, "keep": None, "blocks_skipped": None}
    assert bar_table([own]).count("not measured") == len(BARS) - 2


def test_between_markers() -> None:
    text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
    assert replace_between(text, "x", "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="no markers of 'y'"):
        replace_between(text, "y", "new")


def test_every_row_has_its_dense_run() -> None:
    for config in bench_configs():
        rows = [*forced_cases("resnet20", config, quick=False)]
        assert len(rows) == len(set(rows)) == 2 * len(MASKS) + 1
        assert rows[0].is_dense
        assert {case.dense for case in rows} == {rows[0]}
        quick = [*forced_cases("resnet20", config, quick=True)]
        assert {case.dense for case in quick} == {quick[0]}
        own = [*trained_cases("net", config, 3)]
        assert {case.dense for case in own} == {own[0]}
    assert len({case.label for case in rows}) == len(rows)


def test_the_cache_keeps_rows_of_the_same_sources(tmp_path: Path, repository: Path) -> None:
    cache = Cache(tmp_path, "sources", ["input"])
    assert cache.get(CASE) is None
    cache.put(CASE, MEASURED)
    assert cache.get(CASE) == MEASURED
    other: list[tuple[Cache, Case]] = [
        (Cache(tmp_path, "changed", ["input"]), CASE),
        (Cache(tmp_path, "sources", ["other"]), CASE),
        (cache, dataclasses.replace(CASE, images=3)),
    ]
    assert all(store.get(case) is None for store, case in other)
    assert source_hash(repository) == source_hash(repository)
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "a.sv").write_text("module a; endmodule")
    before = source_hash(tmp_path)
    (tmp_path / "rtl" / "a.sv").write_text("module b; endmodule")
    assert source_hash(tmp_path) != before


def test_a_network_without_gates_is_its_own_dense_run() -> None:
    case = static_case("vgg16", "z7020")
    assert case.is_dense and case.dense == case


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, empty."""
    path = tmp_path / "rows.json"
    path.write_text("[]")
    monkeypatch.setattr(table, "STORE", path)
    return path


@pytest.mark.usefixtures("rows")
def test_rows_without_gates_have_tables_of_their_own() -> None:
    static = static_case("vgg16", "z7020")
    store([bench_row(CASE, MEASURED, DENSE), bench_row(static, MEASURED, MEASURED)])
    made = tables_of_rows.tables()
    assert sorted(made) == [
        "bars",
        "bench",
        "counters",
        "losses",
        "static-bench",
        "static-counters",
    ]
    assert "vgg16" not in made["bench"] and "resnet20" not in made["static-bench"]


def test_rows_that_were_not_measured_stay(rows: Path) -> None:
    """Of a run of some networks: its rows in their places, the others as they are."""
    a, b, c = (bench_row(CASE, MEASURED, DENSE) | {"network": name} for name in "abc")
    store([a, b])
    store([b | {"keep": 0.5}, c, a | {"cycles": 7.0}])
    assert stored() == [a | {"cycles": 7.0}, b, b | {"keep": 0.5}, c]
    assert len(rows.read_text().splitlines()) == 6


def test_a_table_goes_where_its_markers_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "x.md"
    document.write_text("<!-- a: begin -->\n<!-- a: end -->\n")
    made = {"a": markdown(["n", "v"], [["x", "1"]]), "b": "elsewhere"}
    assert update_document(document, made, "penstock bench tables a", check=True)
    assert "run `penstock bench tables a`" in capsys.readouterr().out
    assert update_document(document, made, "")
    assert document.read_text() == (
        "<!-- a: begin -->\n| n | v |\n|---|---:|\n| x | 1 |\n<!-- a: end -->\n"
    )
    assert not update_document(document, made, "", check=True)


def test_losses_add_up() -> None:
    """MACs, remainder and counters are the cycles; without its waits a run realises more."""
    dense = bench_row(CASE, MEASURED, MEASURED) | {"macs_executed": 128_000.0, "cycles": 1600.0}
    dense["counters"] = dict.fromkeys(CYCLE_COUNTERS, 0.0) | {"mac": 1500.0, "weight_wait": 100.0}
    half = dense | {"keep": 0.5, "macs_executed": 64_000.0, "cycles": 900.0}
    half["counters"] = dense["counters"] | {"mac": 600.0, "weight_wait": 300.0}
    other = dense | {"schedule": "parallel"}
    made = tables_of_rows.loss_table([dense, half, other], "resnet20", "z7020")
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in made.splitlines()]
    assert cells[0] == ["cycles", "keep 1", "keep 0.5"]
    numbers = [[float(c.replace(",", "")) for c in line[1:]] for line in cells[2:]]
    assert [sum(column) for column in zip(*numbers[:5], strict=True)] == [1600.0, 900.0]
    assert numbers[5:] == [[1.0, 0.889], [1.0, 1.25], [1.0, 0.688]]
