"""Faults: corrupted programs, memory errors, stalls, resets, a start while busy."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from penstock.hls.sources import Types
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.registers import AP_CTRL, AP_START, GIER, IER, OFFSETS, ErrorCode
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.job import Job
from penstock.sim.rtl.build import build_core
from penstock.sim.rtl.bus import RtlBus
from penstock.sim.rtl.memory import Memory
from tests.sim.faults import SEED, Campaign, cases
from tests.sim.illegal import network, with_shift

CASES = 150


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """One core for the whole file: every fault has to leave it usable."""
    made = Campaign(SEED)
    yield made
    made.core.close()


@pytest.fixture(autouse=True)
def afterwards(campaign: Campaign) -> Iterator[None]:
    """After each fault the next correct run is exact, without a reset."""
    yield
    before = len(campaign.failures)
    campaign.correct()
    assert campaign.failures[before:] == []


def test_corrupted_programs(campaign: Campaign) -> None:
    """A slice of what `make faults` runs."""
    campaign.run(cases(CASES, SEED, sample=True))
    assert campaign.failures == []
    assert {"NONE", "FIELD", "BOUNDS", "OPCODE"} <= set(campaign.seen)


@pytest.mark.parametrize("response", ["SLVERR", "DECERR"])
@pytest.mark.parametrize("every", [1, 2, 7, 64, 150])
def test_error_on_reads(campaign: Campaign, every: int, response: str) -> None:
    result = campaign.execute(
        campaign.core,
        campaign.good,
        fault_read=every,
        fault_response=response,
        fault_repeats=True,
        stall=0.2,
        reset=False,
    )
    assert (result.error, result.message, result.bad_accesses) == (ErrorCode.READ, "", 0)
    assert not result.timed_out


@pytest.mark.parametrize("response", ["SLVERR", "DECERR"])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_error_on_writes(campaign: Campaign, every: int, response: str) -> None:
    result = campaign.execute(
        campaign.core,
        campaign.good,
        fault_write=every,
        fault_response=response,
        fault_repeats=True,
        reset=False,
    )
    assert (result.error, result.message, result.bad_accesses) == (ErrorCode.WRITE, "", 0)
    assert not result.timed_out


@pytest.mark.parametrize("channel", ["ar", "r", "aw", "w", "b"])
def test_stalls_change_no_byte(campaign: Campaign, channel: str) -> None:
    """One channel stalls nine cycles in ten, the others now and then."""
    stall = dict.fromkeys(("ar", "r", "aw", "w", "b"), 0.1) | {channel: 0.9}
    result = campaign.execute(campaign.core, campaign.good, stall=stall, seed=7, reset=False)
    assert (result.error, result.message, result.bad_accesses) == (ErrorCode.NONE, "", 0)
    np.testing.assert_array_equal(
        result.output[:, COUNTER_BYTES:], campaign.expected[:, COUNTER_BYTES:]
    )


@pytest.mark.parametrize("cycle", [1, 10, 50, 200, 777, 2000, 5000])
def test_reset_in_an_image(campaign: Campaign, cycle: int) -> None:
    """A reset cuts a run off in the middle of whatever it does; memories keep what they had."""
    core, package = campaign.core, campaign.good
    job = Job.of(package, campaign.inputs)
    cut = core.execute(job, memory=Memory(stall=0.3), max_cycles=cycle)
    assert cut.timed_out and cut.violations == 0
    result = campaign.execute(core, package, reset=True)
    assert (result.error, result.violations) == (ErrorCode.NONE, 0)
    np.testing.assert_array_equal(
        result.output[:, COUNTER_BYTES:], campaign.expected[:, COUNTER_BYTES:]
    )


@pytest.mark.parametrize("keep", [-16.0, 16.0], ids=["all zero", "all 1.0"])
def test_extreme_scores(campaign: Campaign, keep: float) -> None:
    """Gates that are all shut (the network skips every block) or all open."""
    package = network(keep=keep)
    expected = golden.run(package, campaign.inputs)
    result = campaign.execute(campaign.core, package, reset=False)
    assert (result.error, result.violations) == (ErrorCode.NONE, 0)
    np.testing.assert_array_equal(result.output[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_truncated_weights(campaign: Campaign, part: float) -> None:
    weights = campaign.good.weights
    package = dataclasses.replace(campaign.good, weights=weights[: int(len(weights) * part)])
    _, error, position = golden.execute(package, campaign.inputs, campaign.config)
    assert error == ErrorCode.BOUNDS
    result = campaign.execute(campaign.core, package, reset=False)
    assert (result.error, result.position, result.bad_accesses) == (error, position, 0)


@pytest.mark.parametrize("shift", [0, 1, 47, 48, 49, 50, 63, 64, 255])
def test_any_shift_means_the_same_everywhere(campaign: Campaign, shift: int) -> None:
    """No compiler makes these: golden shifted by -1 for 0, the core lost the half from 49 on."""
    package = with_shift(campaign.good, shift)
    expected = golden.run(package, campaign.inputs)[:, COUNTER_BYTES:]
    result = campaign.execute(campaign.core, package, reset=False)
    assert result.error == ErrorCode.NONE
    np.testing.assert_array_equal(result.output[:, COUNTER_BYTES:], expected)
    csim = CsimCore("tiny", types=Types.PLAIN).execute(Job.of(package, campaign.inputs))
    np.testing.assert_array_equal(csim.output[:, COUNTER_BYTES:], expected)


def test_start_while_busy() -> None:
    """A second start and other arguments in mid-run change nothing."""
    package = network(keep=0.5)
    inputs = np.random.default_rng(3).integers(0, 256, (2, 96), np.uint8)
    expected = golden.run(package, inputs)
    base, at = 0x1000_0000, {"program": 0, "weights": 8192, "input": 40960, "output": 49152}
    memory = np.zeros(1 << 16, np.uint8)
    for name, data in (
        ("program", np.frombuffer(package.descriptors, np.uint8)),
        ("weights", np.frombuffer(package.weights, np.uint8)),
        ("input", inputs.reshape(-1)),
    ):
        memory[at[name] : at[name] + len(data)] = data
    bus = RtlBus("tiny", library=build_core("tiny"))
    bus.attach(memory, base)
    values = {
        "n_descriptors": package.n_descriptors,
        "n_images": 2,
        "input_stride": inputs.shape[1],
        "output_stride": expected.shape[1],
        "weight_bytes": len(package.weights),
        "config_hash": package.config_hash,
    }
    for name, offset in at.items():
        bus.write(OFFSETS[name], base + offset)
        bus.write(OFFSETS[name] + 4, 0)
    for name, value in values.items():
        bus.write(OFFSETS[name], value)
    bus.write(GIER, 1)
    bus.write(IER, 1)
    bus.write(AP_CTRL, AP_START)
    starts = 0
    while not bus.advance(700):
        bus.write(OFFSETS["output"], base)
        bus.write(OFFSETS["n_images"], 0)
        bus.write(AP_CTRL, AP_START)
        starts += 1
        assert starts < 100
    assert starts > 5 and bus.bad_accesses == 0
    assert bus.read(OFFSETS["error"]) == ErrorCode.NONE
    end = at["output"] + expected.size
    got = memory[at["output"] : end].reshape(expected.shape)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
    assert not memory[end:].any()
    bus.close()
