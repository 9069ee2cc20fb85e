"""Every check, on the core of one configuration."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from penstock.hls.multiplications import more_than_counted
from penstock.hls.proof import delays
from penstock.hls.proof.bus import STREAMING, bus_faults, streamed
from penstock.hls.proof.graph import Graph, Loop
from penstock.hls.proof.linear import Values
from penstock.hls.proof.module import as_written, bitcode, synthesised
from penstock.hls.proof.ports import Use, port_uses
from penstock.hls.proof.recurrence import recurrences
from penstock.hls.proof.sharing import Calls
from penstock.hls.proof.storage import Memory, Pragmas
from penstock.hls.proof.translate import texts
from penstock.hls.proof.types import Types
from penstock.program.core.config import HwConfig

#: Loops that end when something happens, and loops that are not pipelined.
OPEN = STREAMING
ROLLED = ("each_descriptor", "look_ahead")
#: The loop in which weights arrive and the array works.
ARRAY_LOOP = "step_loop"

_DIVISIONS = ("udiv", "urem", "sdiv", "srem")
_PORT = re.compile(r"INTERFACE m_axi port=\w+ .*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found: which check, in which loop or function, and what."""

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.what}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoopFacts:
    """A pipelined loop: whether its number of iterations is known when it begins; the slowest of
    what one iteration must know of the one before, in ns, and its path; its memories' ports."""

    label: str
    counted: bool
    delay: float
    through: tuple[str, ...]
    uses: tuple[Use, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All loops, and what does not hold."""

    loops: tuple[LoopFacts, ...]
    findings: tuple[Finding, ...]


def prove(config: HwConfig, period: float = 10.0, files: dict[str, str] | None = None) -> Proof:
    """Every check for a clock period in ns; `files`: other sources than the core's (mutants).

    Raises:
        MissingPackageError: llvmlite or ziglang is not installed.
        HlsError: the sources do not compile.
    """
    files = texts() if files is None else files
    code = bitcode(config, files)
    written, whole = as_written(code), synthesised(code)
    findings = [*_options(files), *_written(written)]
    findings += [
        Finding(check="side by side", where="calls", what=what) for what in Calls(written).faults()
    ]
    for where, what in more_than_counted(written):
        findings.append(Finding(check="multipliers", where=where, what=what))
    loops = []
    for function in whole.functions:
        if not function.is_declaration:
            top = _Top(function, whole, files, config, period)
            loops += top.loops
            findings += top.findings
    return Proof(loops=tuple(loops), findings=tuple(findings))


def _options(files: dict[str, str]) -> Iterator[Finding]:
    """A tool takes one set of options for a bundle, and drops others without an error."""
    bundles: dict[str, set[str]] = defaultdict(set)
    for text in files.values():
        for line in _PORT.findall(text):
            named = re.search(r"bundle=(\w+)", line)
            options = re.sub(r"port=\w+|depth=\w+", "", line)
            bundles[named[1] if named else ""].add(" ".join(options.split()))
    for bundle, different in bundles.items():
        if len(different) > 1:
            yield Finding(check="options", where=bundle, what="its ports have different options")


def _written(module: Any) -> Iterator[Finding]:
    """Counts of loops in functions that nothing is inlined into or moved in."""
    types = Types(module)
    for function in module.functions:
        if not function.is_declaration:
            graph = Graph(function)
            values = Values(graph, types)
            for loop in graph.pipelined():
                if loop.label not in OPEN and values.bound(loop) is None:
                    yield Finding(check="trip count", where=loop.label, what="is not known")


class _Top:
    """The top function with everything in it."""

    def __init__(
        self, function: Any, module: Any, files: dict[str, str], config: HwConfig, period: float
    ) -> None:
        types = Types(module)
        self._graph = Graph(function)
        self._values = Values(self._graph, types)
        self._memory = Memory(self._values, types, Pragmas(files))
        self._config, self._period = config, period
        self.loops = [self._facts(loop) for loop in self._graph.pipelined()]
        self.findings = [*self._rolled(), *self._array()]
        for loop, facts in zip(self._graph.pipelined(), self.loops, strict=True):
            self.findings += self._loop(loop, facts)

    def _facts(self, loop: Loop) -> LoopFacts:
        rolled = self._graph.inner(loop)  # found as such
        found = [] if rolled else recurrences(self._graph, self._memory, loop, self._period)
        return LoopFacts(
            label=loop.label,
            counted=self._values.bound(loop) is not None,
            delay=found[0].delay if found else 0.0,
            through=self._path(found[0].through) if found else (),
            uses=tuple(port_uses(self._graph, self._memory, loop)),
        )

    def _path(self, through: tuple[str, ...]) -> tuple[str, ...]:
        """The operations of a path, with their widths."""
        ops = [self._graph.ops[name] for name in through if name in self._graph.ops]
        return tuple(f"{op.opcode} {self._memory.widths.of(op)}" for op in ops)

    def _loop(self, loop: Loop, facts: LoopFacts) -> Iterator[Finding]:
        label, most = loop.label, delays.USABLE * self._period
        if not facts.counted and label not in OPEN:
            yield Finding(check="trip count", where=label, what="is not known")
        if facts.delay > most:
            what = f"{facts.delay:.2f} ns of {most:.2f}: {', '.join(facts.through)}"
            yield Finding(check="recurrence", where=label, what=what)
        for op in self._graph.ops_of(loop):
            by = op.operands[1] if op.opcode in _DIVISIONS else 1
            if not isinstance(by, int) or by.bit_count() != 1:
                yield Finding(check="division", where=label, what=op.line)
        for use in facts.uses:
            if not use.fits:
                what = (
                    f"{use.storage.name} is read {use.reads} times and written {use.writes} times"
                )
                yield Finding(check="ports", where=label, what=what)
        for what in bus_faults(self._graph, self._values, loop):
            yield Finding(check="bus", where=label, what=what)

    def _rolled(self) -> Iterator[Finding]:
        """No loop is left in a pipelined one, and none that is neither unrolled nor pipelined."""
        for loop in self._graph.loops:
            if not loop.pipelined and loop.label not in ROLLED:
                where = loop.label or loop.header
                yield Finding(
                    check="unrolled", where=where, what="is neither unrolled nor pipelined"
                )
            if loop.pipelined and self._graph.inner(loop):
                yield Finding(check="unrolled", where=loop.label, what="has a loop in it")

    def _array(self) -> Iterator[Finding]:
        """Weights arrive in the loop in which the array works."""
        loops = [loop for loop in self._graph.pipelined() if loop.label == ARRAY_LOOP]
        wanted = self._config.p_oc * self._config.p_px // self._config.macs_per_dsp
        for loop in loops:
            multiplications = sum(op.opcode == "mul" for op in self._graph.ops_of(loop))
            if not streamed(self._graph, loop) or multiplications < wanted:
                what = "loading and computing are not in one loop"
                yield Finding(check="overlap", where=loop.label, what=what)
        if not loops:
            yield Finding(check="overlap", where=ARRAY_LOOP, what="is not there")
