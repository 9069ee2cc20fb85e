"""Corrupted programs on the simulated core: `python -m tests.sim.faults [--count N] [--seed S]`.

Every field of every descriptor of small gated networks, one of them with activations by table, is
set to 0, to its maximum and to a random value, one at a time; when --count asks for more, further
programs have a field near what it was, or a weight blob that is cut short or has random bytes.
Whatever the program, the core must

- end with done or an error code within LIMIT cycles, breaking no rule of the bus,
- touch no byte outside its buffers,
- stop with the code and at the position at which golden stops,
- give golden's output where golden accepts the program, and
- run the next correct program exactly.

Where a program reads what nothing has written, its source and destination overlap, or the padding
of its weights is not zero, engines may differ (docs/program.md, "Checks"): such a difference is
counted apart, when it is shown to be one.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penstock.compiler.estimate.activity import decode
from penstock.program.core.config import GATE_WORD_BYTES, gate_row_bytes, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import FIELDS, Field, Op
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.golden.checks import out_size
from penstock.sim.job import Job
from penstock.sim.rtl.build import build_core
from penstock.sim.rtl.engine import RtlCore, RunResult
from penstock.sim.rtl.memory import ZERO_SEED
from tests.compiler.back.graphs import random_inputs
from tests.sim.illegal import RNG, at_index, by_table, network
from tests.sim.options import split

LIMIT = 3_000_000  # cycles: two limits of the watchdog, and a run
SEED = 20261101
EVERY = 10  # corrupted programs between two correct ones

OUTPUT = "another output than golden's"

#: Counters that do not depend on time.
COUNTED = ("executed", "skipped", "channels_executed", "channels_skipped", "weight_bytes", "exit")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One corrupted program: what was changed, and the program."""

    name: str
    package: Package


def values_of(field: Field, rng: np.random.Generator) -> dict[str, int]:
    """0, the greatest and a random value of a field."""
    low = -(1 << (field.width - 1)) if field.signed else 0
    high = low + (1 << field.width) - 1
    return {"0": 0, "max": high, "random": int(rng.integers(low, high + 1))}


def every_field(package: Package, rng: np.random.Generator) -> Iterator[Case]:
    """Every field of every descriptor, each to 0, its maximum and a random value."""
    for index, d in enumerate(decode(package)):
        for field in FIELDS:
            for kind, value in values_of(field, rng).items():
                if value != d.values[field.name]:
                    name = f"descriptor {index} {field.name} = {value} ({kind})"
                    changed = at_index(package, index, **{field.name: value})
                    yield Case(name=name, package=changed)


def further(package: Package, rng: np.random.Generator) -> Case:
    """A field near what it was, a shorter blob, or one of 64 bytes that are not zero at random."""
    kind = rng.integers(8)
    if kind == 0:
        size = int(rng.integers(len(package.weights)))
        return Case(
            name=f"weights cut to {size} bytes",
            package=dataclasses.replace(package, weights=package.weights[:size]),
        )
    if kind == 1:
        blob = np.frombuffer(package.weights, np.uint8).copy()
        seed = int(rng.integers(1 << 30))
        noise = np.random.default_rng(seed)
        hit = (noise.random(len(blob)) < 1 / 64) & (blob != 0)  # padding stays zero
        blob[hit] = noise.integers(0, 256, hit.sum())
        return Case(
            name=f"weights with noise of seed {seed}",
            package=dataclasses.replace(package, weights=blob.tobytes()),
        )
    index = int(rng.integers(package.n_descriptors))
    field = FIELDS[rng.integers(len(FIELDS))]
    low = -(1 << (field.width - 1)) if field.signed else 0
    old = decode(package)[index].values[field.name]
    value = min(max(old + int(rng.integers(-9, 10)), low), low + (1 << field.width) - 1)
    return Case(
        name=f"descriptor {index} {field.name} = {value} (near {old})",
        package=at_index(package, index, **{field.name: value}),
    )


def cases(count: int, seed: int, *, sample: bool = False) -> list[Case]:
    """`count` corrupted programs: every field first; `sample`: a random choice of all kinds."""
    rng = RNG(seed)
    networks = [network(keep=0.5), network(keep=0.0), by_table(network(keep=0.5))]
    found = [case for package in networks for case in every_field(package, rng)]
    if sample:
        chosen = rng.permutation(len(found))[: count - count // 4]
        found = [found[i] for i in chosen]
    while len(found) < count:
        found.append(further(networks[int(rng.integers(len(networks)))], rng))
    return found[:count]


class Campaign:
    """Runs cases on one core that is never replaced, and remembers what went wrong."""

    def __init__(self, seed: int) -> None:
        self.config = get_config("tiny")
        self.library = build_core("tiny")
        self.core = RtlCore("tiny", library=self.library)
        self.rng = RNG(seed)
        self.good = network(keep=0.5)
        self.inputs = random_inputs(self.good, 2, RNG(4))[0]
        self.expected = golden.run(self.good, self.inputs)
        self.failures: list[str] = []
        self.seen: Counter[str] = Counter()
        self.cycles = 0

    def execute(self, core: RtlCore, package: Package, **options: Any) -> RunResult:
        """Run a package, whatever it is."""
        return core.execute(Job.of(package, self.inputs), max_cycles=LIMIT, **split(options))

    def run(self, chosen: Sequence[Case]) -> None:
        """All cases, a correct program after every EVERY."""
        for number, case in enumerate(chosen, 1):
            self.one(case)
            if number % EVERY == 0 or number == len(chosen):
                self.correct()

    def one(self, case: Case) -> None:
        """One corrupted program."""
        options = {
            "latency": int(self.rng.integers(1, 60)),
            "stall": float(self.rng.choice([0.0, 0.0, 0.3])),
            "seed": int(self.rng.integers(1 << 30)),
        }
        result = self.execute(self.core, case.package, reset=False, **options)
        self.cycles += result.cycles
        records, error, position = golden.execute(case.package, self.inputs, self.config)
        problem = _broken(result)
        if problem is None:
            problem = _other(result, (records, error, position))
            problem = problem and self.explain(case.package, problem)
        if problem is None:
            self.seen[error.name] += 1
        elif problem in ("unwritten", "overlap", "padding"):
            self.seen[problem] += 1
        else:
            self.failures.append(f"{case.name}: {problem}")

    def explain(self, package: Package, problem: str) -> str:
        """Why the run ends otherwise than golden's: "unwritten", "overlap" and "padding" may."""
        core = RtlCore("tiny", library=self.library)  # fresh: memories start at zero, as golden's
        result = self.execute(core, package, seed=ZERO_SEED)
        core.close()
        still = _other(result, golden.execute(package, self.inputs, self.config))
        if still is None:
            return "unwritten"
        if still == OUTPUT and any(overlaps(d) for d in decode(package)):
            return "overlap"
        if still == OUTPUT and padded(package):
            return "padding"
        return problem

    def correct(self) -> None:
        """The next correct run is exact, without a reset."""
        result = self.execute(self.core, self.good, reset=False)
        if _broken(result) or result.error or _differ(self.expected, result.output):
            self.failures.append(f"a correct program afterwards: {_broken(result)}")
        self.seen["correct afterwards"] += 1


def overlaps(d: object) -> bool:
    """Whether an operation on maps writes where it reads, but for an exact residual."""
    if d.op not in (Op.CONV, Op.COPY, Op.POOL):  # type: ignore[attr-defined]
        return False
    rows, columns = out_size(d)  # type: ignore[arg-type]
    values = d.values  # type: ignore[attr-defined]
    inputs = values["cin"] if values["op"] == Op.CONV else values["cout"]
    plane = 4 * max(values["phase_stride"], 1) if values["polyphase"] else 0
    source = (
        values["src"],
        values["src"]
        + (max(inputs, 1) - 1) * values["src_stride"]
        + max(plane, values["height"] * values["width"]),
    )
    size = rows * columns + (3 * values["phase_stride"] if values["op"] == Op.COPY else 0)
    target = values["dst"], values["dst"] + (values["cout"] - 1) * values["dst_stride"] + size
    themselves = values["cout"] > 1 and values["dst_stride"] < size
    return themselves or (source[0] < target[1] and target[0] < source[1])


def padded(package: Package) -> bool:
    """Whether a GATE or DENSE has weights that are not zero behind those of its inputs."""
    gmem = np.zeros(2 * get_config("tiny").gate_mem_bytes, np.uint8)
    blob, code = np.frombuffer(package.weights, np.uint8), decode(package)
    for d in code:
        if d.op == Op.GLOAD and not d.loads_table:
            part = blob[d.w_addr : d.w_addr + d.length]
            gmem[d.dst : d.dst + len(part)] = part
    for d in (d for d in code if d.op in (Op.GATE, Op.DENSE)):
        stride = gate_row_bytes(d.cin)
        first = d.w_addr + GATE_WORD_BYTES
        rows = gmem[first : first + d.cout * stride].reshape(-1, stride)
        if rows[:, GATE_WORD_BYTES + d.cin :].any():
            return True
    return False


def _other(result: RunResult, expected: tuple[np.ndarray, ErrorCode, Position]) -> str | None:
    """How a run ends otherwise than golden's records, error and position; None: as these say."""
    records, error, position = expected
    if result.error != error:
        return f"golden {error.name}, core {ErrorCode(result.error).name}"
    if error != ErrorCode.NONE and result.position != position:
        return f"{error.name} at {position}, core at {result.position}"
    return OUTPUT if error == ErrorCode.NONE and _differ(records, result.output) else None


def _broken(result: RunResult) -> str | None:
    """What no program may ever cause."""
    if result.violations:
        return f"a rule is broken: {result.message}"
    if result.timed_out:
        return f"no end after {result.cycles} cycles"
    if result.bad_accesses:
        return f"{result.bad_accesses} beats outside the buffers, first {result.first_bad:#x}"
    if result.error == ErrorCode.WATCHDOG:
        return "WATCHDOG on a memory that answers"
    return None


def _differ(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether records differ in what does not depend on time."""
    at = [4 * COUNTER_NAMES.index(name) for name in COUNTED]
    keep = np.concatenate(
        [*(np.arange(a, a + 4) for a in at), np.arange(COUNTER_BYTES, left.shape[1])]
    )
    return not np.array_equal(left[:, keep], right[:, keep])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="tests.sim.faults", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="corrupted programs")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=Path, help="write the summary here")
    options = parser.parse_args(arguments)
    print(f"{options.count} corrupted programs, seed {options.seed}")
    begin = time.monotonic()
    campaign = Campaign(options.seed)
    campaign.run(cases(options.count, options.seed))
    summary = {
        "count": options.count,
        "seed": options.seed,
        "outcomes": dict(campaign.seen),
        "cycles": campaign.cycles,
        "seconds": round(time.monotonic() - begin, 1),
        "failures": campaign.failures,
    }
    text = json.dumps(summary, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return int(bool(campaign.failures))


if __name__ == "__main__":
    sys.exit(main())
