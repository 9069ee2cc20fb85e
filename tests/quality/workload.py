"""The regression workload: what a core of configuration `tiny` must get right, in seconds.

`cases()` is an ordered list, the broadest first; what golden says of each is computed once.
`run(case, core)` gives the differences, and none for a core as it should be.  Coverage
(`make coverage`) and mutants of the core are measured with it.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.config import get_config
from penstock.program.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.package import Package
from penstock.program.registers import WATCHDOG_CYCLES, ErrorCode
from penstock.sim import golden
from penstock.sim.rtl.build import SimulationError
from penstock.sim.rtl.engine import CHANNELS, RtlCore, RunResult
from tests.compiler.back.graphs import random_inputs
from tests.fuzz.case import draw
from tests.sim.faults import every_field
from tests.sim.illegal import ILLEGAL, PROGRAMS, RNG, at_index, first_of, network

Bytes = npt.NDArray[np.uint8]

CONFIG = get_config("tiny")

#: Seeds of `make fuzz CONFIGS=tiny`: few cycles with every kind of layer, gate, list, COPY, pool,
#: predicate, schedule, latency and stall that the first 260 seeds have; then further small ones.
NETWORKS = (
    *(9, 216, 105, 219, 4, 16, 54, 241, 56, 134, 24, 57, 167, 93, 28, 101, 176, 58, 107),
    *(91, 52, 13, 180, 80, 73, 49, 130, 109, 95, 209, 242),
    *(*range(5), *range(9, 20), 21, *range(23, 29)),
)

#: Of the programs with one wrong field, every n-th: a few seconds of the thousands there are.
EVERY_FIELD = 7

#: Cycles: the longest correct run takes 80,000.
LIMIT = 400_000

#: Cycles from the write of ap_start to the first, and from the last HALT to the interrupt.
AROUND = 1_000

#: Counters of a record that golden computes too.
COUNTED = (
    *("weight_bytes", "write_bytes", "executed", "skipped"),
    *("channels_executed", "channels_skipped", "exit"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of the core and what golden says of it.

    Attributes:
        name: unique.
        package: the Program.
        inputs: uint8 (N, input stride).
        options: keywords of `RtlCore.execute`.
        records: uint8 (N, record bytes), golden's; None: not compared.
        error: the code the core ends with; None: any, but nothing else may be wrong.
        position: its position register; None: not compared.
        cut: the run is cut off by `max_cycles`.
    """

    name: str
    package: Package
    inputs: Bytes
    options: Mapping[str, Any]
    records: Bytes | None = None
    error: ErrorCode | None = ErrorCode.NONE
    position: int | None = None
    cut: bool = False


def run(case: Case, core: RtlCore) -> list[str]:
    """What the core does otherwise than golden, a line each; empty: the case passes."""
    package = case.package
    try:
        result = core.execute(
            package.descriptors,
            package.weights,
            case.inputs,
            package.meta["record_bytes"],
            config_hash=package.config_hash,
            **{"max_cycles": LIMIT, **case.options},
        )
    except SimulationError as error:
        return [str(error)]
    return [*_rules(case, result), *_outcome(case, result), *_records(case, result)]


def _rules(case: Case, result: RunResult) -> Iterator[str]:
    """What no run may ever do."""
    if result.violations:
        yield f"a rule is broken: {result.message}"
    if result.bad_accesses:
        yield f"{result.bad_accesses} beats outside the buffers, first {result.first_bad:#x}"
    if result.timed_out != case.cut:
        yield f"{'no end' if result.timed_out else 'an end'} after {result.cycles} cycles"


def _outcome(case: Case, result: RunResult) -> Iterator[str]:
    """Error code and position."""
    if case.error is None or case.cut:
        return
    if result.error != case.error:
        yield f"error {result.error}, expected {case.error.name}"
    if case.position is not None and result.position != case.position:
        yield f"position {result.position:#x}, expected {case.position:#x}"


def _records(case: Case, result: RunResult) -> Iterator[str]:
    """Results, golden's counters, and what the others have to add up to."""
    if case.records is None or result.error or result.timed_out:
        return
    expected, got = case.records[:, COUNTER_BYTES:], result.output[:, COUNTER_BYTES:]
    if len(differ := np.argwhere(expected != got)):
        image, byte = (int(index) for index in differ[0])
        yield f"{len(differ)} bytes differ, first image {image} byte {byte}"
    wanted, counters = _counters(case.records), _counters(result.output)
    for name in COUNTED:
        if (wanted[name] != counters[name]).any():
            yield f"{name} {counters[name].tolist()}, expected {wanted[name].tolist()}"
    beats = {"read_bytes": result.read_beats, "write_bytes": result.write_beats}
    moved = {name: 8 * count for name, count in beats.items()}
    moved["write_bytes"] -= COUNTER_BYTES * len(got)
    for name, total in moved.items():
        if counters[name].sum() != total:
            yield f"{name} add up to {counters[name].sum()}, the memory saw {total}"
    parts = sum(counters[name] for name in COUNTER_NAMES[1:8])
    if (parts != counters["cycles"]).any():
        yield f"cycles {counters['cycles'].tolist()}, their parts {parts}"
    if not 0 <= result.cycles - counters["cycles"].sum() <= AROUND:
        yield f"{counters['cycles'].sum()} cycles counted, {result.cycles} seen"


def _counters(records: Bytes) -> dict[str, npt.NDArray[np.int64]]:
    """int64 (N,) of every counter."""
    words = np.ascontiguousarray(records[:, :COUNTER_BYTES]).view("<u4").astype(np.int64)
    return dict(zip(COUNTER_NAMES, words.T, strict=True))


# ---- the cases


@functools.cache
def cases() -> list[Case]:
    """Every case, the broadest first; those that have to wait for the watchdog last."""
    groups = (_networks, _gates, _stalls, _illegal, _bus_errors, _fields, _resets, _hangs)
    found = [case for group in groups for case in group()]
    assert len({case.name for case in found}) == len(found)
    return found


def exact(name: str, package: Package, inputs: Bytes, **options: Any) -> Case:
    """A run with golden's result, whatever that is."""
    records, error, position = golden.execute(package, inputs, CONFIG)
    return Case(
        name=name,
        package=package,
        inputs=inputs,
        options=options,
        records=records if error == ErrorCode.NONE else None,
        error=error,
        position=None if error == ErrorCode.NONE else position,
    )


@functools.cache
def _gated(keep: float = 0.5, images: int = 2) -> tuple[Package, Bytes]:
    """The gated network of the tables of errors, and images."""
    package = network(keep=keep)
    return package, random_inputs(package, images, RNG(4))[0]


def _networks() -> Iterator[Case]:
    """Random legal networks, each with its latency and stalls."""
    for seed in dict.fromkeys(NETWORKS):
        case = draw(seed, ["tiny"])
        yield exact(f"network {seed}", case.network.package, case.inputs, **case.memory)


def _gates() -> Iterator[Case]:
    """Gates that are all shut, decided by the image, all open; many images."""
    for keep in (-16.0, 0.0, 16.0):
        for schedule in ("sequential", "parallel"):
            package = network(keep=keep, schedule=schedule)
            inputs = random_inputs(package, 3, RNG(5))[0]
            yield exact(f"gates {keep} {schedule}", package, inputs)
    yield exact("many images", *_gated(0.0, 40), latency=1)


def _stalls() -> Iterator[Case]:
    """One channel stalls nine cycles in ten, the others now and then; a memory at once and slow."""
    for channel in CHANNELS:
        stall = dict.fromkeys(CHANNELS, 0.1) | {channel: 0.9}
        yield exact(f"stalls of {channel}", *_gated(), stall=stall, seed=7, reset=False)
    for latency in (1, 300):
        yield exact(f"latency {latency}", *_gated(), latency=latency)
    yield exact("buffers across pages", *_gated(), base_offset=0xFC8)


def _illegal() -> Iterator[Case]:
    """The table of programs that every engine refuses."""
    good = network()
    inputs = random_inputs(good, 2, RNG(4))[0]
    for row, (op, values, _) in enumerate(ILLEGAL):
        changed = at_index(good, first_of(good, op), **values)
        yield exact(f"illegal {row}: {op.name} {values}", changed, inputs, reset=False)
    for make in PROGRAMS:
        yield exact(f"program{make.__name__}", make()[0], inputs, reset=False)
    yield exact("no image", good, inputs[:0])
    yield exact("exact after errors", *_gated(), reset=False)


def _bus_errors() -> Iterator[Case]:
    """SLVERR and DECERR; the next run, without a reset, is exact."""
    package, inputs = _gated()
    kinds: dict[str, tuple[ErrorCode, tuple[int, ...]]] = {
        "fault_read": (ErrorCode.READ, (1, 2, 9, 64, 150)),
        "fault_write": (ErrorCode.WRITE, (1, 2, 3)),
    }
    for kind, (error, everys) in kinds.items():
        for every in everys:
            for response in ("SLVERR", "DECERR"):
                name = f"{kind} {every} {response}"
                fault = {kind: every, "fault_response": response, "fault_repeats": True}
                options = {**fault, "stall": 0.2, "reset": False}
                yield Case(name=name, package=package, inputs=inputs, options=options, error=error)
            yield exact(f"exact after {kind} {every}", package, inputs, reset=False)


def _fields() -> Iterator[Case]:
    """Programs with one wrong field that golden refuses.

    What golden accepts may read what nothing has written (tests/sim/faults.py): that is left out.
    """
    package, inputs = _gated()
    for wrong in list(every_field(package, RNG(6)))[::EVERY_FIELD]:
        case = exact(wrong.name, wrong.package, inputs, reset=False)
        if case.error != ErrorCode.NONE:
            yield case
    yield exact("exact after wrong fields", package, inputs, reset=False)


def _resets() -> Iterator[Case]:
    """A run cut off by a reset, and an exact one behind it."""
    package, inputs = _gated()
    for cycle in (10, 200, 777, 2000, 5000):
        options = {"stall": 0.3, "max_cycles": cycle}
        yield Case(
            name=f"cut at {cycle}", package=package, inputs=inputs, options=options, cut=True
        )
        yield exact(f"exact after a reset at {cycle}", package, inputs)


def _hangs() -> Iterator[Case]:
    """A bus that stands still: WATCHDOG, and once it answers again the core recovers."""
    package, inputs = _gated()
    for channels in (("r",), ("aw", "w", "b")):
        name, limit = "+".join(channels), 2 * WATCHDOG_CYCLES + 100_000
        hang = {"hang": channels, "hang_cycle": 2000, "max_cycles": limit}
        common = {"package": package, "inputs": inputs}
        yield Case(name=f"hung {name}", options=hang, error=ErrorCode.WATCHDOG, **common)
        # The bus first gives what it still owes: this start may end at once.
        yield Case(name=f"behind a hung {name}", options={"reset": False}, error=None, **common)
        yield exact(f"exact after a hung {name}", package, inputs, reset=False)
