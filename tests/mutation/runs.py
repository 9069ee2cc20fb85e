"""Runs the regression workload (tests/quality/workload.py) on mutants of the core.

Two libraries hold all mutants (schemata.py): configuration `tiny`, and `tiny` with two products a
DSP slice for the units that differ then.  Each mutant runs in a process of its own, forked from one
that has the expected results: a mutant can neither stay nor hang.  It ends with the first case that
differs; where only cycles do, all others follow, for something more may.  A run may take twice the
cycles of the good core; what hangs is found soon.
"""

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from penstock.program.core.registers import WATCHDOG_CYCLES
from penstock.sim.rtl.build import build_library
from penstock.sim.rtl.engine import RunResult
from penstock.sim.sources import TOP, build_root, rtl_sources
from tests.mutation.schemata import VARIABLE, write_schemata
from tests.mutation.sites import Mutant
from tests.quality.trail import CONFIG, WatchedCore, counters_of, trail
from tests.quality.workload import Case, cases, run

#: Units that are not the same with two products a DSP slice: their mutants run so as well.
PACKED_UNITS = ("ps_array", "ps_pair_sums")

#: Cycles a case may take: FACTOR times those of the good core, and SLACK more.
FACTOR, SLACK = 2, 5_000

#: The watchdog of the mutated core: waiting for that of the core would be most of the workload.
SHORT_WATCHDOG = 1 << 14

#: Seconds after which a mutant whose simulation does not return counts as hung.
PATIENCE = 300.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        number: of the mutant.
        by: what noticed it, a key of CHECKS.
        case: the case that did.
        detail: what it saw.
        seconds: of the run.
    """

    number: int
    by: str
    case: str = ""
    detail: str = ""
    seconds: float = 0.0


#: What can notice a mutant, in the order in which a run is looked at: (name, meaning).
CHECKS = {
    "assertion": "an assertion in the sources, or a `unique case`, fires",
    "bus": "a rule of AXI is broken, or the memory is read or written outside the buffers",
    "hang": "no end within twice the cycles of the good core, or an end where there is none",
    "error": "an error where golden has none, none where it has one, another code or position",
    "host": "another value of a register, or another interrupt, where a host looks",
    "output": "another byte of the results",
    "counter": "another counter than golden's, or counters that do not add up",
    "cycles": "the same results everywhere, in other cycles or in cycles of another class",
    "none": "nothing does",
}


def build(mutants: Mapping[int, Mutant], name: str) -> list[Path]:
    """The libraries with these mutants: of `tiny`, and the packed one where that is another."""
    mine = {number: m for number, m in mutants.items() if m.unit in PACKED_UNITS}
    libraries = [_library(mutants, name, CONFIG)]
    return [*libraries, _library(mine, name, "packed")] if mine else libraries


def _library(mutants: Mapping[int, Mutant], name: str, variant: str) -> Path:
    """One library; `variant`: CONFIG or "packed"."""
    folder = build_root() / "mutation" / name / variant
    written = write_schemata(rtl_sources(CONFIG), mutants, folder, TOP)
    package, sizes = folder / "ps_pkg.sv", folder / f"ps_cfg_{CONFIG}.sv"
    text = package.read_text()
    package.write_text(_with(text, "WATCHDOG_CYCLES", WATCHDOG_CYCLES, SHORT_WATCHDOG))
    if variant == "packed":
        sizes.write_text(_packed(sizes.read_text()))
    return build_library(f"mutants-{name}-{variant}", written, top=TOP)


def _packed(sizes: str) -> str:
    """The sizes of `tiny` with two products a DSP slice, which leaves the array one shape.

    Programs of `tiny` run on it as they are, to the same byte.
    """
    return _with(_with(sizes, "MACS_PER_DSP", 1, 2), "MODES", 2, 1)


def _with(package: str, name: str, old: int, new: int) -> str:
    """The text of a package with another value of a parameter."""
    before = f" {name} = {old};"
    assert package.count(before) == 1, f"{name} is not {old} any more"
    return package.replace(before, f" {name} = {new};")


def run_all(
    mutants: Mapping[int, Mutant], libraries: Sequence[Path], jobs: int = 1
) -> Iterator[Verdict]:
    """The verdict of each mutant, as they come; `jobs` at a time."""
    os.environ.pop(VARIABLE, None)
    for library in libraries:
        trail(library)  # of the good core, before the forks
    waiting = list(reversed(mutants))
    running: dict[int, _Running] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            number = waiting.pop()
            packed = mutants[number].unit in PACKED_UNITS
            running[number] = _Running(number, libraries if packed else libraries[:1])
        wait([one.pipe for one in running.values()], timeout=1.0)
        for number, one in list(running.items()):
            if (verdict := one.verdict()) is not None:
                del running[number]
                yield verdict


class _Running:
    """`run_mutant` in a forked process; one that dies or does not return is a verdict, too."""

    def __init__(self, number: int, libraries: Sequence[Path]) -> None:
        fork = multiprocessing.get_context("fork")
        self.number, self.began = number, time.monotonic()
        self.pipe, theirs = fork.Pipe(duplex=False)
        self.process = fork.Process(target=_report, args=(number, libraries, theirs))
        self.process.start()
        theirs.close()

    def verdict(self) -> Verdict | None:
        """What became of it; None: it still runs."""
        seconds = time.monotonic() - self.began
        if self.pipe.poll():
            try:
                found: Verdict = self.pipe.recv()
            except EOFError:
                found = Verdict(number=self.number, by="hang", detail="the simulation died")
        elif seconds > PATIENCE:
            text = f"the simulation does not return within {PATIENCE:.0f} seconds"
            found = Verdict(number=self.number, by="hang", detail=text)
        else:
            return None
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return dataclasses.replace(found, seconds=seconds)


def _report(number: int, libraries: Sequence[Path], pipe: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what failing assertions print
    found = []
    for library in libraries:
        found.append(run_mutant(number, library))
        if found[-1].by not in ("none", "cycles"):
            break
    # What any library notices counts; only cycles, if nothing else does.
    noticed = sorted(found, key=lambda verdict: list(CHECKS).index(verdict.by))
    pipe.send(noticed[0])


def run_mutant(number: int, library: Path) -> Verdict:
    """The first case that a mutant fails; other cycles count if it fails none."""
    os.environ[VARIABLE] = str(number)
    good = trail(library)
    core = WatchedCore(library)
    slower = Verdict(number=number, by="none")
    for case in cases():
        cycles, counters = good[case.name]
        core.limit, core.last = FACTOR * cycles + SLACK, None
        lines = run(case, core)
        by, detail = judge(case, lines, core.last, cycles, counters)
        verdict = Verdict(number=number, by=by, case=case.name, detail=detail)
        if by not in ("none", "cycles"):
            return verdict
        if slower.by == "none":
            slower = verdict if by == "cycles" else slower
    return slower


def judge(
    case: Case, lines: Sequence[str], result: RunResult | None, cycles: int, counters: bytes
) -> tuple[str, str]:
    """Which check noticed, and what it saw; ("none", "") if none did.

    Args:
        case: what ran.
        lines: the differences that the workload found.
        result: the run; None: there was none.
        cycles, counters: of the good core.
    """
    if case.script is not None:
        return ("host", lines[0]) if lines else ("none", "")
    if result is None or (lines and "assertion failed" in result.message):
        return "assertion", lines[0]
    if not lines:
        if result.cycles != cycles:
            return "cycles", f"{result.cycles} cycles, {cycles} on the good core"
        if counters_of(result) != counters:
            return "cycles", "counters differ from the good core's"
        return "none", ""
    if result.violations or result.bad_accesses:
        return "bus", lines[0]
    if result.timed_out != case.cut:
        return "hang", lines[0]
    if case.error is not None and result.error != case.error:
        return "error", lines[0]
    if case.position is not None and result.position != case.position:
        return "error", lines[0]
    return ("output" if "bytes differ" in lines[0] else "counter"), lines[0]
