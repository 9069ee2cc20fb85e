"""Mutants end to end, and how a run is judged."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pyslang")

from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.registers import ErrorCode, Position
from penstock.sim.rtl.engine import RunResult
from tests.mutation import runs
from tests.mutation.__main__ import every_mutant
from tests.mutation.runs import build, judge, run_all
from tests.mutation.sites import Mutant
from tests.quality.workload import Case, cases

GOOD = RunResult(
    output=np.zeros((1, COUNTER_BYTES), np.uint8),
    error=0,
    position=Position(0, 7),
    cycles=100,
    timed_out=False,
    bad_accesses=0,
    first_bad=0,
    read_beats=0,
    write_beats=0,
    read_bursts=0,
    write_bursts=0,
    violations=0,
    message="",
    read_log=None,
)
OTHER = np.ones((1, COUNTER_BYTES), np.uint8)


@pytest.mark.parametrize(
    "by, line, changes",
    [
        ("none", "", {}),
        ("cycles", "", {"cycles": 101}),
        ("cycles", "", {"output": OTHER}),  # a counter that golden does not have
        ("assertion", "a rule is broken", {"violations": 1, "message": "assertion failed: a:1"}),
        ("bus", "a rule is broken", {"violations": 1, "message": "burst crosses 4 KiB"}),
        ("bus", "1 beats outside the buffers", {"bad_accesses": 1}),
        ("hang", "no end after", {"timed_out": True}),
        ("error", "error 3, expected NONE", {"error": 3}),
        ("error", "position image 0, descriptor 8", {"position": Position(0, 8)}),
        ("output", "2 bytes differ, first image 0 byte 0", {}),
        ("counter", "executed [1], expected [2]", {"output": OTHER}),
    ],
)
def test_what_noticed(by: str, line: str, changes: dict[str, object]) -> None:
    case: Case = dataclasses.replace(cases()[0], error=ErrorCode.NONE, position=Position(0, 7))
    result = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    found, _ = judge(case, [line] if line else [], result, 100, GOOD.output.tobytes())
    assert found == by


def test_no_result_at_all() -> None:
    assert judge(cases()[0], ["the core broke a rule"], None, 1, b"")[0] == "assertion"


def test_a_host() -> None:
    case = next(case for case in cases() if case.script is not None)
    assert judge(case, [], None, 0, b"")[0] == "none"
    assert judge(case, ["register 0x10 is 1"], None, 0, b"")[0] == "host"


#: Mutants that stay while the units do, and what may notice each (other checks may be first).
CHOSEN = (
    "ps_fifo: in_valid_i && in_ready_o -> in_valid_i || in_ready_o",
    "ps_fifo: push && !pop -> 1'b0",
    "ps_requantize: shifted > Width'(65535) -> 1'b1",
    "ps_ram: wr_en_i[i] -> 1'b0",
    "ps_axi_read: `ar_len_q <= 4'(burst - 5'd1);` 5'd1 -> 5'd2",
    "ps_axil_regs: write -> 1'b0 #2",
    "ps_sequencer: input_stride_i[2:0] != '0 -> input_stride_i[2:0] == '0",
    "ps_watchdog: running_i && !progress_q && idle_q == Width'(Cycles - 1)"
    " -> (running_i && !progress_q) || (idle_q == Width'(Cycles - 1))",
    "ps_gate_store: list_begin_i -> 1'b1",
)


def itself(mutant: Mutant) -> Mutant:
    """A mutant that changes nothing."""
    return dataclasses.replace(mutant, key=f"{mutant.unit}: itself", new=mutant.old)


def test_packed_sizes() -> None:
    sizes = runs.rtl_sources("tiny")[1].read_text()
    packed = runs._packed(sizes)
    changed = set(packed.splitlines()) - set(sizes.splitlines())
    values = {line.split()[-3]: line.split()[-1] for line in changed}
    assert values == {"MACS_PER_DSP": "2;", "MODES": "1;"}
    with pytest.raises(AssertionError, match="not 1 any more"):
        runs._packed(packed)


@pytest.mark.long
def test_ten_mutants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine are noticed, and what is as before is not."""
    every = {mutant.key: mutant for mutant in every_mutant()}
    chosen = [every[key] for key in CHOSEN] + [itself(every[CHOSEN[0]])]
    numbered = dict(enumerate(chosen, 1))
    libraries = build(numbered, "test")
    assert len(libraries) == 1  # none of a unit that is another with two products a slice
    verdicts = {verdict.number: verdict for verdict in run_all(numbered, libraries)}
    noticed = {number: verdict.by for number, verdict in verdicts.items()}
    assert {number for number, by in noticed.items() if by != "none"} == set(range(1, 10)), noticed
    assert len(set(noticed.values())) >= 4
    # One that does not return is taken for hung.
    monkeypatch.setattr(runs, "PATIENCE", 0.01)
    monkeypatch.setattr(runs, "run_mutant", lambda number, library: __import__("time").sleep(60))
    (hung,) = run_all({10: numbered[10]}, libraries)
    assert (hung.by, hung.seconds < 30) == ("hang", True)
