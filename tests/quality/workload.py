"""The regression workload: what a core of configuration `tiny` must get right, in seconds.

`cases()` is an ordered list, the broadest first; what golden says of each is computed once.
`run(case, core)` gives the differences, and none for a core as it should be.  Coverage
(`make coverage`) and mutants of the core are measured with it.

`cases(PAIRS)` are the networks alone, for a core of more rows whose slices multiply twice: what
`tiny` has no hardware for.
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import TABLE_BYTES, HwConfig, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, FIELDS, Descriptor, Op
from penstock.program.core.registers import WATCHDOG_CYCLES, ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.golden.checks import Limits, check
from penstock.sim.golden.state import GoldenError
from penstock.sim.job import Job
from penstock.sim.rtl.build import SimulationError
from penstock.sim.rtl.engine import RtlCore, RunResult
from penstock.sim.rtl.records import CHANNELS
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.fuzz.case import draw
from tests.fuzz.networks import build
from tests.quality.host import registers, runs
from tests.sim import handmade, tangle
from tests.sim.faults import every_field
from tests.sim.illegal import (
    ILLEGAL,
    PROGRAMS,
    RNG,
    at_index,
    by_table,
    first_of,
    network,
    with_shift,
)
from tests.sim.options import split

Bytes = npt.NDArray[np.uint8]

CONFIG = get_config("tiny")

#: Two products a slice, three shapes, a feature memory in sections; of no other use.
PAIRS = dataclasses.replace(CONFIG, name="pairs", p_oc=8, p_px=8, min_rows=2, macs_per_dsp=2)

#: Seeds of `make fuzz CONFIGS=tiny`: few cycles with every kind of layer, gate, list, COPY, pool,
#: predicate, schedule, latency and stall that the first 260 seeds have; then further small ones.
NETWORKS = (
    *(180, 233, 88, 137, 9, 216, 184, 236, 219, 85, 114, 16, 21, 57, 56, 108, 46, 211, 234, 195),
    *(190, 109, 80, 52, 141, 220, 73, 72, 45, 4, 90, 93, 28, 130, 27, 136, 47, 259, 95, 167, 140),
    *(248, 61, 153, 99, 242, 0, 1, 2, 13, 15, 18, 22, 25, 26, 30, 32, 33, 38, 40, 41, 42, 43, 44),
)

#: Of the programs with one wrong field, every n-th: a few seconds of the thousands there are.
EVERY_FIELD = 7

#: Cycles: the longest correct run takes 80,000.
LIMIT = 400_000

#: Cycles from the write of ap_start to the first, and from the last HALT to the interrupt.
AROUND = 1_000

#: Descriptors that are on their way, or there, when the last HALT writes its record.
PREFETCHED = 5

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
        position: where it is then; None: not compared.
        cut: the run is cut off by `max_cycles`.
        script: does it all instead, with the case and a core; gives the differences.
    """

    name: str
    package: Package
    inputs: Bytes
    options: Mapping[str, Any]
    records: Bytes | None = None
    error: ErrorCode | None = ErrorCode.NONE
    position: Position | None = None
    cut: bool = False
    script: Callable[["Case", RtlCore], list[str]] | None = None


def run(case: Case, core: RtlCore) -> list[str]:
    """What the core does otherwise than golden, a line each; empty: the case passes."""
    package = case.package
    try:
        if case.script is not None:
            return case.script(case, core)
        options = {"max_cycles": LIMIT, **split(dict(case.options))}
        result = core.execute(Job.of(package, case.inputs), **options)
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
        yield f"position {result.position}, expected {case.position}"


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
    behind = case.package.n_descriptors - 1 - int(wanted["exit"][-1])
    ahead = {"read_bytes": DESCRIPTOR_BYTES * min(behind, PREFETCHED), "write_bytes": 0}
    for name, total in moved.items():
        if not 0 <= total - counters[name].sum() <= ahead[name]:
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
def cases(config: HwConfig = CONFIG) -> list[Case]:
    """Every case, the broadest first; those that have to wait for the watchdog last."""
    found = list(_networks(config))
    if config == CONFIG:
        correct = (_gates, _pools, _excites, _shifts, _tables, _wide, _programs, _host, _stalls)
        wrong = (_illegal, _bus_errors, _fields, _edges, _resets, _hangs)
        found += [case for group in (*correct, *wrong) for case in group()]
    assert len({case.name for case in found}) == len(found)
    return found


def exact(
    name: str, package: Package, inputs: Bytes, config: HwConfig = CONFIG, **options: Any
) -> Case:
    """A run with golden's result, whatever that is."""
    records, error, position = golden.execute(package, inputs, config)
    if error == ErrorCode.NONE:  # the core then stands at the HALT of the last image
        position = Position(len(inputs) - 1, int(_counters(records)["exit"][-1]))
    return Case(
        name=name,
        package=package,
        inputs=inputs,
        options=options,
        records=records if error == ErrorCode.NONE else None,
        error=error,
        position=position,
    )


@functools.cache
def _gated(keep: float = 0.5, images: int = 2) -> tuple[Package, Bytes]:
    """The gated network of the tables of errors, and images."""
    package = network(keep=keep)
    return package, random_inputs(package, images, RNG(4))[0]


def _networks(config: HwConfig) -> Iterator[Case]:
    """Random legal networks, each with its latency and stalls; those that have room."""
    for seed in NETWORKS:
        case = draw(seed, ["tiny"])
        package = case.network.package
        with contextlib.suppress(CompileError):
            if config != CONFIG:
                package = compile_graph(build(case.recipe), config, case.recipe.schedule)
            yield exact(f"network {seed}", package, case.inputs, config, **case.memory)


def _gates() -> Iterator[Case]:
    """Gates that are all shut, decided by the image, all open; many images."""
    for keep in (-16.0, 0.0, 16.0):
        for schedule in ("sequential", "parallel"):
            package = network(keep=keep, schedule=schedule)
            inputs = random_inputs(package, 3, RNG(5))[0]
            yield exact(f"gates {keep} {schedule}", package, inputs)
    yield exact("many images", *_gated(0.0, 40), latency=1)


def _pools() -> Iterator[Case]:
    """Windows over rows of several tiles: 8 pixels of a POOL in `tiny`."""
    for kernel, stride, average in itertools.product((2, 3), (1, 2), (False, True)):
        build = GraphBuilder(rng=RNG(kernel))
        x = build.value("x", (2, 4, 37), signed=not average)
        y = build.map_pool(x, kernel, stride, (kernel - 1) // 2, average=average)
        graph = build.graph(x, build.conv(y, 3, 1))
        package = compile_graph(graph, CONFIG)
        name = f"pool {kernel} stride {stride} {'average' if average else 'maximum'}"
        yield exact(name, package, random_inputs(package, 1, RNG(7))[0])


def _excites() -> Iterator[Case]:
    """Maps times a sigmoid of their average, whose scores are 0, 1 and between."""
    for seed in (1, 2):
        graph = GraphBuilder(rng=RNG(seed))
        x = graph.value("x", (3, 6, 8), signed=True)
        y = graph.excite(graph.conv(x, 10), 3 * seed, spread=2)
        package = compile_graph(graph.graph(x, graph.dense(graph.pool(y), 7)), CONFIG)
        yield exact(f"squeeze-and-excite {seed}", package, random_inputs(package, 3, RNG(7))[0])


def _shifts() -> Iterator[Case]:
    """Parameters with every kind of shift, the ones no compiler makes too."""
    package, inputs = _gated()
    for op, shift in itertools.product(
        (Op.CONV, Op.GATE, Op.DENSE), (0, 1, 47, 48, 49, 63, 64, 255)
    ):
        changed = with_shift(package, shift, op)
        yield exact(f"{op.name} with a shift of {shift}", changed, inputs)


def _tables() -> Iterator[Case]:
    """Every convolution by one table; then tables that change between convolutions of any kind."""
    for seed, keep in ((6, 0.5), (7, 16.0), (8, -16.0)):
        package = by_table(network(keep=keep), RNG(seed).bytes(TABLE_BYTES))
        yield exact(f"table {seed}", package, random_inputs(package, 2, RNG(seed))[0])
    for kind in ("conv by table", "conv with sums", "residual", "conv without inputs"):
        package = tangle.pair(CONFIG, "table", kind, RNG(3))
        yield exact(f"tables, {kind}", package, tangle.inputs(2, RNG(4)))
    for seed in (1, 6):  # in which a DENSE reads sums of entries
        package = tangle.pair(CONFIG, "conv with sums", "dense", RNG(seed))
        yield exact(f"tables, sums {seed}", package, tangle.inputs(2, RNG(4)))
    package, inputs = _gated()
    elsewhere = at_index(by_table(package), 0, dst=72)
    yield exact("a table's destination is its first byte", elsewhere, inputs)


def _wide() -> Iterator[Case]:
    """DENSE and EXIT_IF of 16 bits beside all that writes feature memory, and each other."""
    for kind in ("conv", "residual", "copy", "load", "dense", "exit", "wide dense"):
        for seed in range(2):
            package = tangle.pair(CONFIG, "wide exit", kind, RNG(seed))
            yield exact(f"wide exit, {kind} {seed}", package, tangle.inputs(2, RNG(4)))
            package = tangle.pair(CONFIG, kind, "wide dense", RNG(seed))
            yield exact(f"wide dense, {kind} {seed}", package, tangle.inputs(2, RNG(4)))


def _programs() -> Iterator[Case]:
    """What no compiler writes, and every engine has to do all the same."""
    package, inputs = _gated()
    code = decode(package)
    more = dataclasses.replace(package, descriptors=package.descriptors * 2)
    for stall in (0.0, 0.3, 0.95):  # beats of what follows HALT come after the next image began
        name = f"descriptors behind HALT, stall {stall}"
        yield exact(name, more, inputs, latency=1, stall={"r": stall}, seed=5)
    for op in (Op.CONV, Op.GATE, Op.COPY, Op.POOL):  # and while it still runs
        yield exact(f"HALT behind {op.name}", ended(package, first_of(package, op)), inputs)
    for shapes in (0x5555, 0xAAAA, 0xFFFF, 0xE4E4):
        changed = package
        for index in (i for i, d in enumerate(code) if d.op == Op.CONV):
            changed = at_index(changed, index, split=shapes)
        yield exact(f"shapes {shapes:#x}", changed, inputs)
    for low, high in ((-20, 20), (-128, -90), (90, 127)):
        narrow = at_index(package, first_of(package, Op.POOL), clamp_lo=low, clamp_hi=high)
        yield exact(f"averages within {low} .. {high}", narrow, inputs)
    for outputs, sums in itertools.product((1, 24), (False, True)):
        late = handmade.dense_behind_conv(CONFIG, outputs, sums=sums)
        name = f"DENSE of {outputs} behind a CONV{' with sums' if sums else ''}"
        yield exact(name, late, handmade.inputs(2, RNG(6)))
    package, inputs = _large()
    yield exact("a large result", package, inputs)
    yield exact("a large result, stalls", package, inputs, stall=0.5, seed=3)


def ended(package: Package, last: int) -> Package:
    """The program with its HALT right behind descriptor `last`."""
    size = DESCRIPTOR_BYTES
    data = package.descriptors[: (last + 1) * size] + package.descriptors[-size:]
    return dataclasses.replace(package, descriptors=data)


@functools.cache
def _large() -> tuple[Package, Bytes]:
    """A network whose result is a map: stores of many bursts."""
    graph = GraphBuilder(rng=RNG(2))
    x = graph.value("x", (3, 12, 12), signed=True)
    package = compile_graph(graph.graph(x, graph.conv(x, 10)), CONFIG, "sequential")
    return package, random_inputs(package, 2, RNG(7))[0]


def _host() -> Iterator[Case]:
    """A host at the registers."""
    package, inputs = _gated()
    common = {"package": package, "inputs": inputs, "options": {}}
    records = golden.run(package, inputs, CONFIG)

    def interrupts(_: Case, core: RtlCore) -> list[str]:
        return runs(core, package, inputs, records)

    yield Case(name="registers", script=lambda _, core: registers(core), **common)
    yield Case(name="interrupts", script=interrupts, **common)
    yield exact("exact after a host", package, inputs, reset=False)


def _stalls() -> Iterator[Case]:
    """One channel stalls nine cycles in ten, the others now and then; a memory at once and slow."""
    for channel in CHANNELS:
        stall = dict.fromkeys(CHANNELS, 0.1) | {channel: 0.9}
        yield exact(f"stalls of {channel}", *_gated(), stall=stall, seed=7, reset=False)
    yield exact("stalls of ar, latency 1", *_gated(), latency=1, stall={"ar": 0.9}, seed=9)
    for latency in (1, 300):
        yield exact(f"latency {latency}", *_gated(), latency=latency)
    yield exact("buffers across pages", *_gated(), base_offset=0xFC8)
    yield exact("bursts up to a page's end", *_gated(), base_offset=0xFC0)
    for offset in (0x2AAA_AAAA_AAAA_AAA8, 0x1555_5555_5555_5550):
        yield exact(f"buffers {offset:#x} further", *_gated(), base_offset=offset)


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
    large, images = _large()
    for burst in (1, 2, 5):  # the answer comes while another burst is open
        name = f"fault_write {burst}, more to come"
        options = {"fault_write": burst, "latency": 1, "stall": {"w": 0.8}, "reset": False}
        common = {"package": large, "inputs": images, "error": ErrorCode.WRITE}
        yield Case(name=name, options=options, **common)
        yield exact(f"exact after {name}", package, inputs, reset=False)


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


#: Fields of addresses, sizes and slots: they have a last legal value.
PLACES = (
    *("src", "dst", "src_stride", "dst_stride", "phase_stride", "w_addr", "w_stride"),
    *("ddr", "length", "pool_base", "fold_slot", "pred_slot"),
)


def _edges() -> Iterator[Case]:
    """The last legal value of each place in each kind of descriptor, and the one behind it.

    What a legal one makes of memory that nothing has written is not looked at, nor which exit that
    takes.
    """
    package, inputs = _gated()
    strides = inputs.shape[1], package.meta["record_bytes"]
    limits = Limits(
        config=CONFIG,
        n_descriptors=package.n_descriptors,
        input_stride=strides[0],
        output_stride=strides[1],
        weight_bytes=len(package.weights),
    )
    kinds = {}
    for index, d in enumerate(decode(package)):
        flags = (d.op, d.w_rows, d.polyphase, d.fold_en, d.pool_en, d.pred_en)
        kinds.setdefault(flags, (index, d))
    for (index, d), name in itertools.product(kinds.values(), PLACES):
        if (last := _last_legal(d, name, limits)) is None:
            continue
        value, step = last
        where = f"descriptor {index} {Op(d.op).name} {name}"
        legal = at_index(package, index, **{name: value})
        found = exact(f"{where} {value}", legal, inputs[:1], reset=False)
        if (d.op, name) != (Op.CONV, "pool_base"):  # a GATE would read sums that nobody makes
            yield dataclasses.replace(found, records=None, position=None)
        beyond = at_index(package, index, **{name: value + step})
        yield exact(f"{where} {value + step}", beyond, inputs[:1], reset=False)
    yield exact("exact after the edges", package, inputs, reset=False)


def _last_legal(d: Descriptor, name: str, limits: Limits) -> tuple[int, int] | None:
    """(last legal value of a field, what it counts in); None if every value is legal."""

    def legal(value: int) -> bool:
        try:
            check(Descriptor(values=d.values | {name: value}), limits)
        except GoldenError:
            return False
        return True

    width = next(field.width for field in FIELDS if field.name == name)
    low = d.values[name]
    step = next((n for n in (1, 8, 16) if legal(low + n)), 1)
    high = ((1 << width) - 1 - low) // step  # in steps from where it stands
    if legal(low + high * step):
        return None
    first = 0
    while high - first > 1:
        middle = (first + high) // 2
        first, high = (middle, high) if legal(low + middle * step) else (first, middle)
    return low + first * step, step


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
