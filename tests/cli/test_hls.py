"""`penstock hls` from the command line."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from penstock.boards import load_board
from penstock.hls.resources import estimate
from penstock.program.core.config import get_config
from penstock.program.core.hls_timing import HlsTiming
from tests.cli.conftest import Runner, Workspace

REPORTS = Path(__file__).parents[1] / "hls" / "reports"


@pytest.fixture(autouse=True)
def no_vitis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.hls.tools.VITIS", {})


def test_project_and_report(penstock: Runner, workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "hls"
    result = penstock(
        *("hls", workspace.compiled, "-o", out, "--config", "tiny", "--steps", "csynth,csim"),
        *("--images", workspace.images, "--limit", 2, "--clock", 80, "--json", "-"),
    )
    assert result.code == 0, result.err
    assert "no synthesis is run" in result.err
    figures = json.loads(result.out)
    assert figures["csim"] == {"images": 2, "error": 0, "mismatches": 0}
    assert (figures["synthesis"], figures["tool"]) == (None, "g++")
    assert (figures["board"], figures["clock_mhz"]) == ("pynq-z2", 80)
    assert 0 < figures["estimate"]["dsp"] <= 220
    assert "create_clock -period 12.5 " in (out / "build.tcl").read_text()
    assert json.loads((out / "report.json").read_text()) == figures
    assert "set steps {csim csynth}" in (out / "options.tcl").read_text()
    report = ("--fit", REPORTS / "penstock_csynth.xml")
    again = penstock("hls", workspace.compiled, "-o", out, *report)  # its own folder, random images
    assert again.code == 0, again.err
    assert "not run" in again.out
    assert "step_depth, believed - reported" in again.out
    figures = json.loads((out / "report.json").read_text())
    assert figures["clock_mhz"] == load_board("pynq-z2").hls_mhz
    assert figures["fit"]["errors"] == {"step_depth": HlsTiming().step_depth - 19}
    assert "T_STEP_DEPTH = 19;" in (out / "src" / "ps_config.h").read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--board", "pynq-z9"), "pynq-z9"),
        (("--config", "z7020"), "compile the network again with --config z7020"),
        (("--fit", "none.xml"), "no such report, and no such folder, at none.xml"),
        (("--fit", "."), "no *_csynth.xml there has the depth of a loop of this core"),
        (("--steps", "csim,place"), "unknown step 'place'; one of csim, csynth, cosim, export"),
    ],
)
def test_bad_input(
    penstock: Runner,
    workspace: Workspace,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    result = penstock("hls", workspace.compiled, "-o", tmp_path / "hls", *arguments)
    assert message in result.error
    assert not (tmp_path / "hls").exists()


def test_a_core_that_does_not_fit(
    penstock: Runner, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.boards import load_board

    few = {"dsp": 20, "bram36": 140, "uram": 0, "lut": 53200}
    board = dataclasses.replace(load_board("pynq-z2"), resources=few)
    monkeypatch.setattr("penstock.boards.load_board", lambda name: board)
    result = penstock("hls", workspace.compiled, "-o", tmp_path / "hls")
    found = estimate(get_config("tiny"), few)
    assert (
        f"the HLS core of tiny takes about {found.dsp} DSP (estimate), pynq-z2 has 20"
        in result.error
    )
    # More than half: the largest part is named, not any part.
    most = re.search(r"smaller --config: addresses, checks makes (\d+) of them", result.error)
    assert most and found.dsp // 2 <= int(most[1]) <= found.dsp
    assert not (tmp_path / "hls").exists()


def test_a_board_for_other_configurations(
    penstock: Runner, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.boards import load_board

    board = dataclasses.replace(load_board("pynq-z2"), configs=("z7020",))
    monkeypatch.setattr("penstock.boards.load_board", lambda name: board)
    result = penstock("hls", workspace.compiled, "-o", tmp_path / "hls")
    assert "configuration 'tiny' is not built for pynq-z2; one of z7020" in result.error
