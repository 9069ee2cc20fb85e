"""The regression workload passes on the core, and fails on a core that does anything otherwise."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.program.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.registers import ErrorCode
from penstock.sim.rtl.engine import RtlCore, RunResult
from tests.quality.workload import Case, cases, run


@pytest.fixture(scope="module")
def core() -> Iterator[RtlCore]:
    core = RtlCore("tiny")
    yield core
    core.close()


def test_the_core_passes(core: RtlCore) -> None:
    """In order on one core, and the networks once more on another."""
    assert {case.name: lines for case in cases() if (lines := run(case, core))} == {}
    other = RtlCore("tiny")
    assert [line for case in reversed(cases()[:8]) for line in run(case, other)] == []
    other.close()


def test_there_is_something_of_everything() -> None:
    errors = [case.error for case in cases()]
    assert {code: errors.count(code) for code in ErrorCode if errors.count(code) < 1} == {}
    assert sum(case.records is not None for case in cases()) > 80
    assert sum(case.error == ErrorCode.FIELD for case in cases()) > 80
    assert sum(case.error == ErrorCode.BOUNDS for case in cases()) > 30
    assert {len(case.inputs) for case in cases()} >= {0, 1, 2, 3, 40}


def changed(field: str, value: Any) -> Callable[[RunResult], RunResult]:
    return lambda result: dataclasses.replace(result, **{field: value})


def one_byte(at: int) -> Callable[[RunResult], RunResult]:
    def change(result: RunResult) -> RunResult:
        output = result.output.copy()
        output[-1, at] ^= 1
        return dataclasses.replace(result, output=output)

    return change


def word(name: str) -> int:
    return 4 * COUNTER_NAMES.index(name)


@pytest.mark.parametrize(
    "change, found",
    [
        (one_byte(COUNTER_BYTES), "1 bytes differ, first image 1 byte 0"),
        (one_byte(-1), "1 bytes differ, first image 1"),
        (one_byte(word("executed")), "executed .* expected"),
        (one_byte(word("weight_bytes")), "weight_bytes .* expected"),
        (one_byte(word("read_bytes")), "read_bytes add up to"),
        (one_byte(word("mac")), "cycles .* their parts"),
        (one_byte(word("cycles") + 2), "cycles counted"),
        (changed("error", 3), "error 3, expected NONE"),
        (changed("violations", 1), "a rule is broken"),
        (changed("bad_accesses", 1), "1 beats outside the buffers"),
        (changed("timed_out", True), "no end after"),
        (changed("read_beats", 0), "the memory saw 0"),
        (changed("write_beats", 0), "the memory saw -128"),
    ],
)
def test_a_difference_is_found(
    monkeypatch: pytest.MonkeyPatch,
    core: RtlCore,
    change: Callable[[RunResult], RunResult],
    found: str,
) -> None:
    case = next(case for case in cases() if case.records is not None and len(case.inputs) == 2)
    assert_found(monkeypatch, core, case, change, found)


@pytest.mark.parametrize(
    "change, found",
    [
        (changed("error", 0), "error 0, expected FIELD"),
        (changed("position", 1 << 16), "position 0x10000, expected"),
    ],
)
def test_a_program_not_refused_is_found(
    monkeypatch: pytest.MonkeyPatch,
    core: RtlCore,
    change: Callable[[RunResult], RunResult],
    found: str,
) -> None:
    case = next(case for case in cases() if case.error == ErrorCode.FIELD)
    assert_found(monkeypatch, core, case, change, found)


def assert_found(
    monkeypatch: pytest.MonkeyPatch,
    core: RtlCore,
    case: Case,
    change: Callable[[RunResult], RunResult],
    found: str,
) -> None:
    """`run` notices what `change` does to the core's result, and nothing without it."""
    assert run(case, core) == []
    execute = core.execute
    monkeypatch.setattr(core, "execute", lambda *a, **k: change(execute(*a, **k)))
    assert any(re.search(found, line) for line in run(case, core))
