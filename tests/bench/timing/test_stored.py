"""The stored estimate: every board's clock keeps within it, and it says whose it is."""

import dataclasses
import json
from pathlib import Path

import pytest

from penstock.bench.figures import ROOT
from penstock.bench.timing import stored
from penstock.bench.timing.delays import delay_names, delays_of, load_delays
from penstock.bench.timing.report import Report
from penstock.bench.timing.tables import summary, worst
from penstock.boards.board import board_names, load_board
from penstock.cli.main import main
from penstock.program.base.errors import PenstockError

CORES = stored.load()
DOCUMENT = ROOT / "docs" / "timing.md"


def made(fmax: float) -> stored.Core:
    """A core that every board could run at `fmax`."""
    reports = {}
    for name in delay_names():
        reports[name] = Report(
            delays=name,
            fmax={"optimistic": fmax + 1, "middle": fmax, "pessimistic": fmax - 1},
            levels=1,
            most=2,
            ends=1,
            histogram=((0.5, 1),),
            pairs=(),
        )
    return stored.Core(key="0", reports=reports)


def test_no_clock_is_above_the_estimate() -> None:
    """Of what is stored: CI fails when a core gets slower than a board's clock."""
    assert list(stored.too_fast(CORES)) == []


def test_a_clock_above_the_estimate_is_named() -> None:
    needed = stored.needed()
    slow = {name: made(1.0 if name == "tiny" else 1000.0) for name in needed}
    lines = list(stored.too_fast(slow))
    assert len(lines) == sum("tiny" in load_board(b).configs for b in board_names())
    assert all(", is above the estimate, 1.0 MHz" in line for line in lines)
    assert all("rtl_mhz.tiny, " in line for line in lines)
    assert list(stored.too_fast({name: made(1000.0) for name in needed})) == []


def test_other_sources_are_noticed() -> None:
    assert set(stored.stale({})) == set(stored.needed())
    assert set(stored.stale({"z7020": made(100.0)})) == set(stored.needed())


def test_delays_that_a_board_needs_are_missed() -> None:
    core = CORES["z7020x2"]
    less = dataclasses.replace(core, reports={"xc7-1": core.reports["xc7-1"]})
    assert "z7020x2" in stored.stale(CORES | {"z7020x2": less})


def test_save_and_load(tmp_path: Path) -> None:
    stored.save(CORES, tmp_path / "timing.json")
    assert stored.load(tmp_path / "timing.json") == CORES
    assert (tmp_path / "timing.json").read_bytes() == stored.STORED.read_bytes()


def test_the_document_is_that_of_the_file() -> None:
    text = DOCUMENT.read_text()
    assert summary(CORES) in text
    assert worst(CORES, "z7020", "xc7-1") in text


def test_every_part_has_delays() -> None:
    for name in board_names():
        board = load_board(name)
        assert board.part.startswith(load_delays(delays_of(board.part)).parts)
    with pytest.raises(PenstockError, match="no delays for the part xc6slx9"):
        delays_of("xc6slx9")
    with pytest.raises(PenstockError, match=r"no delays of 'xc6'.*one of"):
        load_delays("xc6")


def test_a_file_with_another_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "xc6-1.yaml").write_text("title: Spartan-6\n")
    with pytest.raises(PenstockError, match="missing or unknown: block_ram"):
        load_delays("xc6-1", tmp_path)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["timing", "--config", "z7020", "--board", "pynq-z2"]
    assert main([*given, "--rows", "3", "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    report = dataclasses.asdict(CORES["z7020"].reports["xc7-1"])
    assert (figures["source"], figures["fmax_mhz"]) == ("estimate", report["fmax"]["middle"])
    assert len(figures["pairs"]) == 3
    assert main(given) == 0
    assert "(estimate)" in capsys.readouterr().out
    assert main(["timing", "--config", "zcu104", "--board", "pynq-z2"]) == 2
    assert "is not built for pynq-z2" in capsys.readouterr().err
