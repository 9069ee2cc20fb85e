"""The rewriter on a small module, the sample, and the list of explained mutants."""

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pyslang")

from tests.mutation import explained, report
from tests.mutation.__main__ import every_mutant
from tests.mutation.benches import bench_of
from tests.mutation.schemata import CHOICE, mutated, schema, write_schemata
from tests.mutation.sites import Mutant, mutants_of, sample

UNIT = """\
module ps_small import ps_cfg::*; #(parameter int unsigned Width = 8 + 1) (
  input  logic             clk_i, a_i, b_i,
  input  logic [Width-1:0] x_i,
  output logic [Width-1:0] y_o
);
  localparam int unsigned Half = Width / 2 - 1;
  typedef enum logic [0:0] {Idle, Run} state_e;
  state_e state_q;
  function automatic int twice(int n);
    return n + n;
  endfunction
  localparam int Four = twice(2);

  always_ff @(posedge clk_i) begin
    if (a_i && !b_i) y_o <= a_i || b_i ? x_i + Width'(1) : '0;  // a comment
    else for (int i = 0; i < Width - 1; i++) y_o[i] <= x_i[i+1-1];
    unique case (state_q)
      Idle: state_q <= Run;
      Run: begin state_q <= Idle; end
      default: state_q <= Idle;
    endcase
  end

  assert property (@(posedge clk_i) a_i |-> b_i && x_i == 9'd3)
    else $error("never");
endmodule
"""

#: What the rewriter has to find in it, in order.
FOUND = [
    ("condition", "a_i && !b_i", "1'b0"),
    ("condition", "a_i && !b_i", "1'b1"),
    ("logic", "a_i && !b_i", "a_i || !b_i"),
    ("logic", "!b_i", "b_i"),
    ("assignment", "y_o <= a_i || b_i ? x_i + Width'(1) : '0;", ""),
    ("ternary", "a_i || b_i ? x_i + Width'(1) : '0", "a_i || b_i ? '0 : (x_i + Width'(1))"),
    ("logic", "a_i || b_i", "a_i && b_i"),
    ("arithmetic", "x_i + Width'(1)", "x_i - Width'(1)"),
    ("constant", "Width'(1)", "Width'((1) + 1)"),
    ("constant", "'0", "'1"),
    ("assignment", "y_o[i] <= x_i[i+1-1];", ""),
    ("assignment", "state_q <= Run;", ""),
    ("case", "begin state_q <= Idle; end", ""),
    ("assignment", "state_q <= Idle;", ""),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "ps_small.sv"
    path.write_text(UNIT)
    return path


def test_all_sites_and_no_other(small: Path) -> None:
    """No parameter, type, header of a loop, assertion, covered default or constant function."""
    found = mutants_of(small)
    assert [(m.kind, m.old, m.new) for m in found] == FOUND
    assert len({m.key for m in found}) == len(found)
    for mutant in found:
        text = UNIT.encode()[mutant.start : mutant.end].decode()
        assert text == mutant.old
        assert mutant.old in UNIT.splitlines()[mutant.line - 1]


def one(path: Path, kind: str, old: str) -> Mutant:
    return next(m for m in mutants_of(path) if (m.kind, m.old) == (kind, old))


def test_choices_lie_within_each_other(small: Path) -> None:
    """A statement, the expression in it, and an operand of that; lines stay."""
    outer = one(small, "assignment", FOUND[4][1])
    ternary = one(small, "ternary", FOUND[5][1])
    add = one(small, "arithmetic", "x_i + Width'(1)")
    text = schema(UNIT.encode(), {7: outer, 8: ternary, 9: add}).decode()
    assert text.count("\n") == UNIT.count("\n")
    assert (
        "begin if (ps_mutation::chosen != 7) begin y_o <= (ps_mutation::chosen == 8 ? "
        "(a_i || b_i ? '0 : (x_i + Width'(1))) : (a_i || b_i ? (ps_mutation::chosen == 9 ? "
        "(x_i - Width'(1)) : (x_i + Width'(1))) : '0)); end end  // a comment"
    ) in text


def test_two_choices_of_one_place(small: Path) -> None:
    never, always = mutants_of(small)[:2]
    text = schema(UNIT.encode(), {1: never, 2: always}).decode()
    assert (
        "if ((ps_mutation::chosen == 1 ? (1'b0) : ((ps_mutation::chosen == 2 ? (1'b1) : "
        "(a_i && !b_i))))) y_o"
    ) in text


def test_one_mutant_alone(small: Path) -> None:
    condition = mutated(UNIT.encode(), mutants_of(small)[1]).decode()
    assert "if (1'b1) y_o <=" in condition
    statement = mutated(UNIT.encode(), one(small, "assignment", FOUND[4][1])).decode()
    assert "if (a_i && !b_i) ;  // a comment" in statement


def test_the_top_chooses(small: Path, tmp_path: Path) -> None:
    written = write_schemata([small], {}, tmp_path / "out", top="ps_small")
    assert [path.name for path in written] == ["ps_mutation.sv", "ps_small.sv"]
    text = written[1].read_text()
    assert text == UNIT.replace("\nendmodule", f"\n{CHOICE}endmodule")


def test_a_file_with_errors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.sv"
    path.write_text("module broken; assign = ; endmodule")
    with pytest.raises(ValueError, match="cannot parse"):
        mutants_of(path)


def test_the_sample_has_every_unit() -> None:
    mutants = every_mutant()
    chosen = sample(mutants, 120, 1)
    counts, places = Counter(m.unit for m in chosen), Counter(m.unit for m in mutants)
    assert len(chosen) == len({m.key for m in chosen}) == 120
    assert set(counts) == set(places) and min(counts.values()) >= 2
    largest = max(places, key=lambda unit: places[unit])
    assert counts[largest] == max(counts.values()) >= 5
    assert set(sample(mutants, 100, 1)) < set(chosen)  # more mutants: the same and others
    assert set(sample(mutants, 120, 2)) != set(chosen)
    assert len(sample(mutants, 10, 1)) == 10


def test_keys_name_one_mutant() -> None:
    mutants = every_mutant()
    assert len({m.key for m in mutants}) == len(mutants) > 3000
    assert all(bench_of(m.unit).is_dir() for m in mutants)


# ---- explanations and report


def test_explained_mutants_exist() -> None:
    assert explained.unknown(explained.load(), {m.key for m in every_mutant()}) == []


def test_wrong_explanations() -> None:
    reasons = {"here": "so", "gone": "so"}
    assert explained.unknown(reasons, {"here", "other"}) == [
        "explained, but there is no such mutant: gone"
    ]
    assert explained.killed(reasons, {"here": "output"}) == ["explained, but killed (output): here"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("- mutant: a", "wanted are"),
        ("- {mutant: a, reason: ''}", "wanted are"),
        ("- {mutant: a, reason: b}\n- {mutant: a, reason: c}", "twice"),
    ],
)
def test_damaged_explanations(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        explained.load(path)


def test_summary(small: Path) -> None:
    ends = ["output"] * 16 + ["cycles", "bench", "equivalent", "open"]
    mutants = (mutants_of(small) * 2)[: len(ends)]
    rows = [report.row(m, end, "") for m, end in zip(mutants, ends, strict=True)]
    found = report.summary(rows, {"ps_small": 15}, seed=1, seconds=2.0)
    assert (found["mutants"], found["killed"], found["equivalent"]) == (20, 18, 1)
    assert found["score"] == 18 / 19
    assert [row["end"] for row in found["survivors"]] == ["bench", "equivalent", "open"]
    lines = list(report.table(found))
    assert "20 of 15 mutants, 18 killed, 1 equivalent, 1 neither: 94.7% of those" in lines[0]
    assert "1 of them by their cycles alone" in lines[0]
    cells = [cell.strip() for cell in lines[4].split("|")]
    assert cells[1:4] == ["`ps_small`", "15", "20"]
    assert cells[4:-1] == ["", "", "", "", "", "16", "", "1", "1", "", "1", "1"]


def test_survivors_again(small: Path) -> None:
    ends = ["output"] * 3 + ["bench", "equivalent", "open"]
    rows = [report.row(m, end, "") for m, end in zip(mutants_of(small), ends, strict=False)]
    stored = report.summary(rows, {"ps_small": 15}, seed=1, seconds=2.0)
    later = [row | {"end": "proof"} for row in rows[3:5]] + [
        row | {"end": "equivalent"} for row in rows[5:]
    ]
    found = report.again(stored, later)
    assert found["units"] == {"ps_small": {"places": 15, "output": 3, "proof": 2, "equivalent": 1}}
    assert (found["mutants"], found["killed"], found["score"]) == (6, 5, 1.0)
    assert found["survivors"] == later
    assert report.again(stored, stored["survivors"]) == stored


def test_the_document_is_current() -> None:
    assert report.main(["--check"]) == 0
