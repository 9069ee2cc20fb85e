"""The parser of Verilator's counts and the rules of `make coverage`, and the measurement itself."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.sim.sources import RTL
from tests.quality.coverage import (
    CoverageError,
    Exclusion,
    Module,
    Rules,
    assertion_lines,
    failures,
    modules,
    read_counts,
    read_rules,
)
from tests.quality.measure_coverage import RULES, main, module_sources

SOURCE = """\
module ps_unit;
  logic q;
  always_ff @(posedge clk) begin
    if (a) q <= b ? c : d;
    else q <= 1'b1;
    default: q <= 1'b0;
  end
`ifndef SYNTHESIS
  initial if (x) $error("never");
`endif
endmodule
"""
RULESET = Rules(exclusions=(), toggle_floors={"ps_unit": 0.5})


def count(line: int, kind: str, name: str, hits: int, lines: str = "", **other: str) -> str:
    """A line of a file of counts."""
    fields = {"f": "/rtl/ps_unit.sv", "l": str(line), "n": "3", "page": f"v_{kind}/ps_unit"}
    fields |= {"o": name, "h": "core.u_unit"} | other
    if lines:
        fields["S"] = lines
    return "C '" + "".join(f"\x01{k}\x02{v}" for k, v in fields.items()) + f"' {hits}\n"


def written(folder: Path, *lines: str, name: str = "one.dat") -> Path:
    path = folder / name
    path.write_text("# SystemC::Coverage-3\n" + "".join(lines))
    return path


#: Everything hit but one arm of `?:`; of the toggles, one of two.
RUN = (
    count(3, "line", "block", 9, "3"),
    count(4, "branch", "if", 5, "4"),
    count(4, "branch", "else", 4, "5"),
    count(4, "branch", "cond_then", 5, "4", n="15"),
    count(4, "branch", "cond_else", 0, "4", n="16"),
    count(6, "line", "case", 0, "6"),
    count(9, "branch", "if", 0, "9"),
    count(2, "toggle", "q:0->1", 3),
    count(2, "toggle", "q:1->0", 0),
)


def measured(folder: Path, *runs: tuple[str, ...], rules: Rules = RULESET) -> Module:
    paths = [written(folder, *run, name=f"{i}.dat") for i, run in enumerate(runs)]
    (module,), problems = modules(read_counts(paths, Path("/rtl")), {"ps_unit.sv": SOURCE}, rules)
    assert problems == []
    return module


def test_a_line_is_hit_if_all_on_it_is(tmp_path: Path) -> None:
    module = measured(tmp_path, RUN)
    assert module.name == "ps_unit"
    assert module.lines == (2, 4)  # 3 and 5; not 4, half of its ?:, nor 6; 9 is an assertion
    assert module.branches == (3, 4)
    assert module.toggles == (1, 2)
    assert module.missed == ("ps_unit.sv:4:16 cond_else", "ps_unit.sv:6:3 case")


def test_runs_and_instances_add_up(tmp_path: Path) -> None:
    other = (
        count(4, "branch", "cond_else", 2, "4", n="16", h="core.u_other"),
        count(2, "toggle", "q:1->0", 1, page="v_toggle/ps_unit__W8"),
    )
    module = measured(tmp_path, RUN, other)
    assert (module.lines, module.branches, module.toggles) == ((3, 4), (4, 4), (2, 2))
    assert measured(tmp_path, (*RUN, *other)) == module


def test_lines_of_a_block_are_ranges(tmp_path: Path) -> None:
    assert measured(tmp_path, (count(3, "line", "block", 1, "3-5,7"),)).lines == (4, 4)


def test_other_folders_and_generated_files_do_not_count(tmp_path: Path) -> None:
    names = ("/rtl/config/ps_cfg_tiny.sv", "/rtl/ps_pkg.sv", "/elsewhere/ps_unit.sv")
    path = written(tmp_path, *(count(1, "line", "block", 0, "1", f=name) for name in names))
    assert read_counts([path], Path("/rtl")) == {}


@pytest.mark.parametrize("text", ["", "C 'x' 1\n", "# SystemC::Coverage-3\nC 'x' many\n"])
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.dat").write_text(text or "nothing\n")
    with pytest.raises(CoverageError, match=r"x\.dat"):
        read_counts([tmp_path / "x.dat"], Path("/rtl"))


def test_assertions_are_found() -> None:
    assert assertion_lines(SOURCE) == {8, 9, 10}


def excluding(line: str, file: str = "ps_unit.sv") -> Rules:
    rule = Exclusion(file=file, line=line, reason="why")
    return dataclasses.replace(RULESET, exclusions=(rule,))


def test_an_excluded_line_does_not_count(tmp_path: Path) -> None:
    module = measured(tmp_path, RUN, rules=excluding("default: q"))
    assert (module.lines, module.excluded) == ((2, 3), 1)
    module = measured(tmp_path, RUN, rules=excluding("b ? c : d"))
    assert (module.lines, module.branches) == ((2, 3), (1, 1))  # the arms in that line


@pytest.mark.parametrize(
    "rules, problem",
    [
        (excluding("no such text"), "there is no such line"),
        (excluding("default: q", "ps_other.sv"), "there is no such line"),
        (excluding("else q <= 1'b1"), "line 5 is hit"),
        (excluding("endmodule"), "line 11 is hit, or has nothing to hit"),
        (excluding("q <="), "line 5 is hit"),  # lines 4 and 6 are not
    ],
)
def test_an_exclusion_out_of_date(tmp_path: Path, rules: Rules, problem: str) -> None:
    counts = read_counts([written(tmp_path, *RUN)], Path("/rtl"))
    _, problems = modules(counts, {"ps_unit.sv": SOURCE}, rules)
    assert len(problems) == 1 and problem in problems[0]


def test_floors(tmp_path: Path) -> None:
    module = measured(tmp_path, RUN)
    low = list(failures([module], RULESET))
    assert [re.sub(r"%.*", "%", line) for line in low] == [
        "ps_unit: 50.0%",
        "ps_unit: 75.0%",
    ]
    assert "ps_unit.sv:4:16 cond_else" in low[0]
    good = dataclasses.replace(module, lines=(95, 100), branches=(0, 0))
    assert list(failures([good], RULESET)) == []
    bad = dataclasses.replace(good, lines=(949, 1000))
    assert len(list(failures([bad], RULESET))) == 1
    for floors, problem in (
        ({"ps_unit": 0.51}, "50.0% of its toggles, at least 51%"),
        ({}, "no floor"),
        ({"ps_unit": 0.5, "ps_gone": 0.1}, "ps_gone: a floor for toggles, but no such module"),
    ):
        (line,) = failures([good], dataclasses.replace(RULESET, toggle_floors=floors))
        assert problem in line


def test_a_module_that_was_not_built_fails() -> None:
    (module,), _ = modules({}, {"ps_unit.sv": SOURCE}, RULESET)
    assert list(failures([module], RULESET)) == ["ps_unit: nothing was counted"]


def test_an_exclusion_needs_a_reason(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "exclusions: [{file: a.sv, line: b, reason: ' '}]\ntoggle_floors: {}\n"
    )
    with pytest.raises(CoverageError, match=r"has file, line and reason.*r\.yaml"):
        read_rules(tmp_path / "r.yaml")


def test_the_rules_fit_the_sources() -> None:
    """What can be said without a run; the rest is `test_coverage`."""
    rules = read_rules(RULES)
    assert set(rules.toggle_floors) == {name.removesuffix(".sv") for name in module_sources()}
    for rule in rules.exclusions:
        assert rule.line in (RTL / rule.file).read_text()


def test_the_document_is_current(repository: Path) -> None:
    command = [sys.executable, "-m", "penstock.cli.main", "bench", "tables", "coverage", "--check"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    """The floors themselves: as `make coverage`."""
    code = main([])
    output = capsys.readouterr()
    assert code == 0, output.err
    assert "ps_sequencer" in output.out
