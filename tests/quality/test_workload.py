"""The regression workload passes on the core, and fails on a core that does anything otherwise."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.registers import OFFSETS, ErrorCode, Position
from penstock.sim.rtl.bus import RtlBus
from penstock.sim.rtl.engine import RtlCore, RunResult
from tests.quality.host import runs
from tests.quality.workload import PLACES, Case, _edges, cases, run


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


def test_edges_have_two_sides() -> None:
    """The last legal value runs to the end, the next is refused; each place is in a descriptor."""
    sides: dict[str, list[ErrorCode | None]] = {}
    for case in _edges():
        where, _, _ = case.name.rpartition(" ")
        sides.setdefault(where, []).append(case.error)
    both = [where for where, errors in sides.items() if len(errors) == 2]
    assert len(both) > 60 and {where.split()[-1] for where in sides} >= set(PLACES)
    legal = [where for where in both if sides[where][0] == ErrorCode.NONE]
    assert (
        len(legal) >= len(both) - 1
    )  # a GATE's list may be too long for the convolution behind it
    refused = {sides[where][1] for where in both}
    assert refused == {ErrorCode.FIELD, ErrorCode.BOUNDS}


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
        (changed("position", Position(1, 0)), "position image 1, descriptor 0, expected"),
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


def test_a_wrong_register_is_found(monkeypatch: pytest.MonkeyPatch, core: RtlCore) -> None:
    """By the host's cases: one bit of one register, an interrupt that does not come."""
    found = {case.name: case for case in cases()}
    read, advance = RtlBus.read, RtlBus.advance
    assert run(found["registers"], core) == run(found["interrupts"], core) == []
    found_by = (("n_images", "registers"), ("position", "interrupts"), ("image", "interrupts"))
    for name, case in found_by:

        def flipped(bus: RtlBus, at: int, wrong: int = OFFSETS[name]) -> int:
            return read(bus, at) ^ 4 * (at == wrong)

        with monkeypatch.context() as patch:
            patch.setattr(RtlBus, "read", flipped)
            lines = run(found[case], core)
            assert any(re.search("register 0x48 is|position", line) for line in lines)
    with monkeypatch.context() as patch:
        patch.setattr(RtlBus, "advance", lambda bus, cycles: advance(bus, cycles) and cycles > 0)
        assert any("interrupt False" in line for line in run(found["interrupts"], core))


def test_wrong_results_of_a_host_are_found(core: RtlCore) -> None:
    case = next(case for case in cases() if case.name == "exact after a host")
    assert case.records is not None
    wrong = case.records.copy()
    wrong[-1, -1] ^= 1
    lines = runs(core, case.package, case.inputs, wrong)
    assert len(lines) == 4 and all("other results than golden's" in line for line in lines)
