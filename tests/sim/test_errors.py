"""Corrupted programs stop golden, the SystemVerilog core and the HLS core in the same way."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from penstock.compiler.estimate.activity import decode
from penstock.hls.sources import Types
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import FIELDS, Op
from penstock.program.core.registers import BASES, ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.job import Job
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import Memory
from tests.compiler.back.graphs import random_inputs
from tests.sim.illegal import ILLEGAL, PROGRAMS, RNG, at_index, first_of, last_halt, network

#: (error code, position) of a package on two images.
Engine = Callable[[Package], tuple[int, Position]]


def inputs_of(package: Package) -> np.ndarray:
    return random_inputs(package, 2, RNG(4))[0]


def run_golden(package: Package) -> tuple[int, Position]:
    _, error, position = golden.execute(package, inputs_of(package), get_config("tiny"))
    if error == ErrorCode.NONE:  # golden has no position then; a core stands at the last HALT
        position = Position(1, last_halt(package))
    return error, position


def runner(core: CsimCore | RtlCore) -> Engine:
    def run(package: Package) -> tuple[int, Position]:
        result = core.execute(Job.of(package, inputs_of(package)))
        return result.error, result.position

    return run


@pytest.fixture(scope="module", params=["golden", "csim", "csim, ap_types", "rtl"])
def engine(request: pytest.FixtureRequest) -> Engine:
    match request.param:
        case "golden":
            return run_golden
        case "rtl":
            return runner(RtlCore("tiny"))
        case name:
            return runner(CsimCore("tiny", types=Types.AP if "ap" in name else Types.PLAIN))


@pytest.mark.parametrize("op, values, code", ILLEGAL)
def test_illegal_descriptor(
    engine: Engine, op: Op, values: dict[str, Any], code: ErrorCode
) -> None:
    package = network()
    index = first_of(package, op)
    assert engine(at_index(package, index, **values)) == (code, Position(0, index))


@pytest.mark.parametrize("make", PROGRAMS)
def test_program(engine: Engine, make: Callable[[], tuple[Package, ErrorCode, Position]]) -> None:
    package, code, position = make()
    assert engine(package) == (code, position)


@pytest.mark.parametrize("count", [400, pytest.param(4000, marks=pytest.mark.long)])
def test_flipped_bits(count: int) -> None:
    """golden and csim agree on any descriptor with one field replaced at random."""
    core, rng = runner(CsimCore("tiny")), RNG(11)
    package = network(keep=0.5)
    seen = set()
    for _ in range(count):
        index = int(rng.integers(package.n_descriptors))
        field = FIELDS[rng.integers(len(FIELDS))]
        low = -(1 << (field.width - 1)) if field.signed else 0
        old = decode(package)[index].values[field.name]
        value = int(rng.integers(1 << field.width)) + low
        if rng.random() < 0.5:  # near what it was
            value = min(max(old + int(rng.integers(-9, 10)), low), low + (1 << field.width) - 1)
        changed = at_index(package, index, **{field.name: value})
        expected, got = run_golden(changed), core(changed)
        if expected[0] == ErrorCode.NONE:  # a HALT may have moved: golden does not say where
            got = (got[0], expected[1])
        assert got == expected, (index, field.name, value)
        seen.add(expected[0])
    assert seen == {ErrorCode.NONE, ErrorCode.OPCODE, ErrorCode.FIELD, ErrorCode.BOUNDS}


@pytest.mark.parametrize("shift", range(1, 8))
def test_buffers_begin_with_whole_beats(shift: int) -> None:
    """A base address that is no multiple of 8 is refused, by each core that sees addresses."""
    package, config = network(), get_config("tiny")
    images = inputs_of(package)
    memory = Memory(base_offset=shift)
    rtl = RtlCore(config).execute(Job.of(package, images), memory=memory)
    assert (rtl.error, rtl.position, rtl.read_beats) == (ErrorCode.FIELD, Position(0, 0), 0)


@pytest.mark.parametrize("name", BASES)
def test_csim_refuses_each_buffer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the four pointers at a time, on both kinds of integers."""
    for types in Types:
        core = CsimCore("tiny", types=types)
        run = core._library.ps_csim_run

        def moved(*arguments: Any, run: Any = run) -> None:
            buffers = [at + 4 * (BASES[i] == name) for i, at in enumerate(arguments[:4])]
            run(*buffers, *arguments[4:])

        monkeypatch.setattr(core, "_library", SimpleNamespace(ps_csim_run=moved))
        assert runner(core)(network()) == (ErrorCode.FIELD, Position(0, 0))
