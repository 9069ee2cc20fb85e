"""The golden engine: what it leaves untouched, what it counts, and when it stops."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.checks import without_table
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim.golden import GoldenError, execute, run
from penstock.sim.golden.convolution import Rows, convolve
from penstock.sim.golden.state import State
from tests.compiler.back.graphs import GraphBuilder, random_inputs
from tests.sim.illegal import (
    ILLEGAL,
    RNG,
    at_index,
    by_table,
    first_of,
    last_halt,
    network,
    walker,
)


def assert_stops(package: Package, code: ErrorCode, index: int, images: int = 2) -> None:
    inputs = np.zeros((images, package.meta["input"]["bytes"]), np.uint8)
    _, error, position = execute(package, inputs)
    assert (error, position) == (code, (0, index))
    with pytest.raises(GoldenError, match=code.name):
        run(package, inputs)


@pytest.mark.parametrize("op, values, code", ILLEGAL)
def test_illegal_descriptors(op: Op, values: dict[str, Any], code: ErrorCode) -> None:
    package = network()
    index = first_of(package, op)
    assert_stops(at_index(package, index, **values), code, index)


def test_a_skipped_descriptor_is_checked_too() -> None:
    package = network(keep=-16.0)
    index = next(i for i, d in enumerate(decode(package)) if d.pred_en and not d.pred_empty)
    assert_stops(at_index(package, index, kernel=4), ErrorCode.FIELD, index)


def test_a_list_beyond_the_map() -> None:
    package = network(keep=16.0)
    index = walker(package)
    smaller = {"cin": decode(package)[index].cin - 1}
    assert_stops(at_index(package, index, **smaller), ErrorCode.BOUNDS, index)
    skipped = network(keep=-16.0)  # the same convolution, skipped: nobody looks at the list
    inputs, _ = random_inputs(skipped, 1, RNG(0))
    assert execute(at_index(skipped, index, **smaller), inputs)[1] == ErrorCode.NONE


def test_a_program_without_end() -> None:
    package = network()
    package = at_index(package, first_of(package, Op.EXIT_IF), length=last_halt(package) - 1)
    end = last_halt(package) * DESCRIPTOR_BYTES
    cut = dataclasses.replace(package, descriptors=package.descriptors[:end])
    assert_stops(cut, ErrorCode.PROGRAM_END, cut.n_descriptors)
    assert_stops(dataclasses.replace(package, descriptors=b""), ErrorCode.PROGRAM_END, 0)


def test_a_foreign_core() -> None:
    package = network()
    inputs, _ = random_inputs(package, 1, RNG(0))
    assert execute(package, inputs, get_config("z7020"))[1:] == (
        ErrorCode.CONFIG,
        Position(image=0, descriptor=0),
    )


@pytest.mark.parametrize("keep", [-16.0, 0.5, 16.0])
def test_a_table_of_the_bytes_themselves_changes_nothing(keep: float) -> None:
    """Stored bytes and sums, so gates and lists, exits and logits."""
    package = network(keep=keep)
    inputs, _ = random_inputs(package, 3, RNG(2))
    same = by_table(package, bytes(range(256)))
    np.testing.assert_array_equal(run(same, inputs)[:, 64:], run(package, inputs)[:, 64:])


@pytest.mark.parametrize("signed", [False, True])
def test_results_are_the_entries_of_a_table(signed: bool) -> None:
    """A map as the result of a network: each byte by the table, whatever the type."""
    build = GraphBuilder(rng=RNG(3))
    x = build.value("x", (2, 5, 7), signed=True)
    package = compile_graph(build.graph(x, build.conv(x, 6)), get_config("tiny"))
    index = first_of(package, Op.CONV)
    package = at_index(package, index, clamp_lo=-128 * signed, clamp_hi=255 - 128 * signed)
    inputs, _ = random_inputs(package, 2, RNG(4))
    entries = RNG(5).bytes(256)
    at = package.meta["output"]["offset"]
    programs = package, by_table(package, entries)
    before, after = (run(each, inputs)[:, at : at + 6 * 35] for each in programs)
    assert len(np.unique(before)) > 50
    np.testing.assert_array_equal(after, np.frombuffer(entries, np.uint8)[before])


@pytest.mark.parametrize("signed", [False, True])
def test_sums_are_those_of_the_entries(signed: bool) -> None:
    """Of what is stored: int8 where the clamp admits numbers below 0, else uint8."""
    low = -128 * signed
    d = Descriptor.make(
        Op.CONV, kernel=1, cout=2, height=3, width=5, dst=9, dst_stride=15, length=256,
        clamp_lo=low, clamp_hi=low + 255, pool_en=1, in_list=ALL_CHANNELS, out_list=ALL_CHANNELS,
    )  # fmt: skip
    rows = Rows(
        weight=np.zeros((2, 0, 1), np.int8), bias=np.array([low, 100]),
        multiplier=np.array([1 << 15] * 2), shift=np.array([15] * 2),
    )  # fmt: skip
    state = State.new(get_config("tiny"))
    state.table = RNG(8).integers(0, 256, 256, dtype=np.uint8)
    state.table[[low & 0xFF, 100]] = 251, 3
    convolve(d, rows, state, np.arange(0), np.arange(2))
    assert state.fmem[9:39].tolist() == [251] * 15 + [3] * 15
    assert state.pool[:2].tolist() == [15 * (251 - 256 * signed), 45]


def test_a_program_without_a_table_for_its_convolution() -> None:
    """Found before it runs: by the first of them, if no GLOAD of a table stands before it."""
    package = network()
    code = decode(package)
    assert without_table(code) is None
    tabled = decode(by_table(package))
    assert without_table(tabled) is None
    assert without_table(tabled[1:]) == first_of(package, Op.CONV)
    assert without_table([*tabled[1:], tabled[0]]) == first_of(package, Op.CONV)


def test_the_loop_begins_where_halt_says() -> None:
    """HALT may loop to itself: later images then run nothing."""
    package = network()
    last = last_halt(package)
    looped = at_index(package, last, length=last)  # every later image is HALT alone
    inputs, _ = random_inputs(package, 3, RNG(0))
    records, error, _ = execute(looped, inputs)
    assert error == ErrorCode.NONE
    assert (records[1:, 64:] == 0).all()
    assert (records[0, 64:] == run(package, inputs)[0, 64:]).all()


def counters(records: np.ndarray) -> dict[str, np.ndarray]:
    words = np.ascontiguousarray(records[:, :64]).view("<u4")
    return {name: words[:, i] for i, name in enumerate(COUNTER_NAMES)}


def test_counters_with_every_gate_open_and_closed() -> None:
    for keep in (16.0, -16.0):
        package = network(keep)
        inputs, _ = random_inputs(package, 2, RNG(0))
        found = counters(run(package, inputs))
        descriptors = decode(package)[: last_halt(package) + 1]  # the rest is the exit's
        convs = [d for d in descriptors if d.op == Op.CONV]
        skipped = [d for d in descriptors if d.pred_en and (keep < 0) != bool(d.pred_not)]
        outright = [d for d in skipped if d.op == Op.CONV]
        assert not any(d.pred_empty for d in outright)
        assert (found["skipped"] == len(skipped)).all()
        total = found["executed"] + found["skipped"]
        assert total.tolist() == [len(descriptors), len(descriptors) - 1]  # GLOAD once
        assert (found["channels_skipped"] == sum(d.cout for d in outright)).all()
        channels = found["channels_executed"] + found["channels_skipped"]
        assert (channels == sum(d.cout for d in convs)).all()
        assert (found["exit"] == len(descriptors) - 1).all()
        assert (found["write_bytes"] == package.meta["record_bytes"] - 64).all()


def test_skipped_channels_keep_their_bytes() -> None:
    """A program that reads a skipped channel all the same gets what lay there before."""
    package = network(keep=0.0)
    careless = at_index(package, walker(package), in_list=ALL_CHANNELS)
    inputs, _ = random_inputs(package, 8, RNG(3))
    assert (run(package, inputs)[:, 64:] != run(careless, inputs)[:, 64:]).any()


def test_the_result_depends_on_nothing_but_the_image() -> None:
    package = network(keep=0.0)
    inputs, _ = random_inputs(package, 6, RNG(5))
    together = run(package, inputs)[:, 64:]
    for i in range(len(inputs)):
        assert (run(package, inputs[i : i + 1])[0, 64:] == together[i]).all()


def test_bad_strides() -> None:
    package = network()
    for inputs in (np.zeros((0, 96), np.uint8), np.zeros((1, 100), np.uint8)):
        assert execute(package, inputs)[1:] == (ErrorCode.FIELD, Position(image=0, descriptor=0))
