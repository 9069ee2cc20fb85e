"""Synthesis reports: a hand-written pair in the tool's layout."""

import dataclasses
from pathlib import Path

import pytest

from penstock.hls.fit import LOOPS, fit
from penstock.hls.report import find_reports, parse_reports
from penstock.hls.sources import HlsError, sources
from penstock.program.core.hls_timing import HlsTiming

REPORTS = Path(__file__).parent / "reports"


def test_figures() -> None:
    found = parse_reports(REPORTS)
    assert found.part == "xc7z020-clg400-1"
    assert (found.clock_ns, found.estimated_ns) == (10.0, 7.3)
    assert found.latency == {"best": 12, "worst": None}
    assert found.ii == {"step_loop": 1}
    assert found.used == {"dsp": 171, "bram18": 216, "uram": 0, "lut": 40000, "ff": 31000}
    assert found.available["dsp"] == 220


def test_older_releases_name_the_dsp_after_its_kind(tmp_path: Path) -> None:
    text = (REPORTS / "penstock_csynth.xml").read_text()
    changed = text.replace("<DSP>", "<DSP48E>").replace("</DSP>", "</DSP48E>")
    (tmp_path / "penstock_csynth.xml").write_text(changed)
    assert parse_reports(tmp_path).used["dsp"] == 171


@pytest.mark.parametrize("text", ["", "<profile/>", "<profile><UserAssignments/></profile>"])
def test_not_a_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "penstock_csynth.xml").write_text(text)
    with pytest.raises(HlsError, match=r"not a synthesis report: .*, at .*penstock_csynth.xml"):
        parse_reports(tmp_path)


def test_where_reports_lie(tmp_path: Path) -> None:
    assert find_reports(tmp_path) is None
    folder = tmp_path / "solution" / "syn" / "report"
    folder.mkdir(parents=True)
    (folder / "penstock_csynth.xml").touch()
    assert find_reports(tmp_path) == folder


def test_the_model_takes_the_depths_of_a_report() -> None:
    believed = HlsTiming().step_depth
    found = fit(REPORTS)
    assert found.errors == {"step_depth": believed - 19}
    assert found.timing == dataclasses.replace(HlsTiming(), step_depth=19)
    assert all(fit(path) == found for path in REPORTS.glob("*.xml"))  # one, and those beside it


def test_every_loop_of_the_model_is_one_of_the_source() -> None:
    text = "\n".join(path.read_text() for path in sources())
    assert [loop for loop in LOOPS.values() if f"\n{loop}:\n" not in text] == []
    assert set(LOOPS) <= {field.name for field in dataclasses.fields(HlsTiming)}


@pytest.mark.parametrize("text", [None, "", "<profile/>"])
def test_nothing_to_fit_to(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "a_csynth.xml").write_text(text)
    with pytest.raises(HlsError, match=r"synthesis report|depth of a loop"):
        fit(tmp_path)
