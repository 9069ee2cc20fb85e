"""A Vivado timing summary in the estimate's place."""

import json
from pathlib import Path

import pytest

from penstock.bench.timing.vivado import read
from penstock.cli.main import main
from penstock.program.base.errors import PenstockError

REPORT = """\
| Tool Version      : Vivado v.2023.1 (lin64) Build 3865809
| Design            : design_1_wrapper
| Device            : 7z020-clg400
| Speed File        : -1  PRODUCTION 1.12 2019-11-22
| Design State      : Routed

Timing Summary Report

| Clock Summary
Clock       Waveform(ns)         Period(ns)      Frequency(MHz)
-----       ------------         ----------      --------------
clk_fpga_0  {0.000 5.000}        10.000          100.000
jtag        {0.000 15.000}       30.000          33.333

| Intra Clock Table
Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)
-----             -------      -------  ---------------------  -------------------      -------
clk_fpga_0         -0.500      -12.250                     37                57402        0.021
jtag               11.000        0.000                      0                  120        0.100

Max Delay Paths
--------------------------------------------------------------------------------------
Slack (VIOLATED) :        -0.500ns  (required time - arrival time)
  Source:                 design_1_i/penstock/inst/u_core/u_conv_ctrl/kh_q_reg[2]/C
                            (rising edge-triggered cell FDRE clocked by clk_fpga_0)
  Destination:            design_1_i/penstock/inst/u_core/u_conv_ctrl/offset_q1_reg[17]/D
  Path Group:             clk_fpga_0
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (clk_fpga_0 rise@10.000ns - clk_fpga_0 rise@0.000ns)
  Data Path Delay:        10.301ns  (logic 5.102ns (49.529%)  route 5.199ns (50.471%))
  Logic Levels:           8  (CARRY4=4 LUT3=2 LUT5=1 LUT6=1)
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "timing_summary.rpt"
    path.write_text(REPORT)
    return path


def test_the_clock_with_the_most_paths_counts(report: Path) -> None:
    found = read(report)
    assert (found.clock, found.period, found.slack) == ("clk_fpga_0", 10.0, -0.5)
    assert (found.ends, found.failing, found.state) == (57402, 37, "Routed")
    assert found.fmax == pytest.approx(95.238, abs=0.001)
    (path,) = found.paths
    assert (path.slack, path.levels) == (-0.5, 8)
    assert path.target.endswith("offset_q1_reg[17]/D")


def test_command(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timing", "--vivado", str(report), "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["source"], figures["fmax_mhz"]) == ("vivado", 95.2)
    assert main(["timing", "--vivado", str(report)]) == 0
    assert "95.2 MHz" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, message",
    [
        (("Timing Summary Report", "Utilization Report"), "no timing summary"),
        (("clk_fpga_0         -0.500", "clk_other          -0.500"), ""),
        (("Intra Clock Table", "Inter Clock Table"), "no timing summary"),
        (("-0.500      -12", "15.000      -12"), "slack 15.0 ns"),
    ],
)
def test_reports_that_cannot_be_used(report: Path, change: tuple[str, str], message: str) -> None:
    report.write_text(REPORT.replace(*change))
    if message:
        with pytest.raises(PenstockError, match=message):
            read(report)
    else:
        assert read(report).clock == "jtag"


def test_no_clock_and_no_file(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.write_text(REPORT.replace("{0.000 ", "0.000 "))
    with pytest.raises(PenstockError, match="no clock has setup paths"):
        read(report)
    assert main(["timing", "--vivado", str(report.with_name("none.rpt"))]) == 2
    assert capsys.readouterr().err.count("\n") == 1
