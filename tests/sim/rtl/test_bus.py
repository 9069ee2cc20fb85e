"""The core behind its registers: what a host sees, and the same bytes as the engine."""

from collections.abc import Iterator

import numpy as np
import pytest

from penstock.program.core.registers import (
    AP_CTRL,
    AP_DONE,
    AP_IDLE,
    AP_START,
    GIER,
    IER,
    ISR,
    OFFSETS,
    ErrorCode,
)
from penstock.sim.rtl.bus import RtlBus

BASE = 0x1000_0000


@pytest.fixture(scope="module")
def bus() -> Iterator[RtlBus]:
    """The core of configuration `tiny`."""
    from penstock.sim.rtl.build import build_core

    made = RtlBus("tiny", library=build_core("tiny"))
    yield made
    made.close()


@pytest.fixture
def memory(bus: RtlBus) -> np.ndarray:
    array = np.zeros(1 << 16, np.uint8)
    bus.attach(array, BASE)
    return array


def arguments(bus: RtlBus, **values: int) -> None:
    for name, value in values.items():
        bus.write(OFFSETS[name], value & 0xFFFFFFFF)
        if name in ("program", "weights", "input", "output"):
            bus.write(OFFSETS[name] + 4, value >> 32)


def halt_only(bus: RtlBus, memory: np.ndarray) -> None:
    """A program of one HALT: its record is the counters."""
    from penstock.program.core.descriptor import Descriptor, Op

    memory[:64] = np.frombuffer(Descriptor.make(Op.HALT).encode(), np.uint8)
    arguments(bus, program=BASE, weights=BASE + 4096, input=BASE + 8192, output=BASE + 16384)
    arguments(bus, n_descriptors=1, n_images=2, input_stride=64, output_stride=64)
    arguments(bus, weight_bytes=0, config_hash=bus.config.hash)


def test_registers_keep_what_is_written(bus: RtlBus, memory: np.ndarray) -> None:
    bus.write(OFFSETS["n_images"], 0xDEADBEEF)
    assert bus.read(OFFSETS["n_images"]) == 0xDEADBEEF
    assert bus.read(AP_CTRL) & AP_IDLE


def test_polling(bus: RtlBus, memory: np.ndarray) -> None:
    halt_only(bus, memory)
    bus.write(AP_CTRL, AP_START)
    assert not bus.read(AP_CTRL) & AP_IDLE
    assert not bus.advance(2000)  # no interrupt was asked for
    assert bus.read(AP_CTRL) & (AP_DONE | AP_IDLE) == AP_DONE | AP_IDLE
    assert not bus.read(AP_CTRL) & AP_DONE  # cleared by reading
    assert bus.read(OFFSETS["error"]) == ErrorCode.NONE
    records = memory[16384 : 16384 + 128].view("<u4").reshape(2, 16)
    assert (records[:, 0] > 0).all()
    assert bus.bad_accesses == 0


def test_interrupt(bus: RtlBus, memory: np.ndarray) -> None:
    halt_only(bus, memory)
    bus.write(GIER, 1)
    bus.write(IER, 1)
    before = bus.cycles
    bus.write(AP_CTRL, AP_START)
    assert bus.advance(100_000)
    assert bus.cycles - before < 5000  # it came back at once
    bus.write(ISR, 1)
    assert not bus.advance(10)


def test_error_code(bus: RtlBus, memory: np.ndarray) -> None:
    halt_only(bus, memory)
    arguments(bus, config_hash=1)
    bus.write(AP_CTRL, AP_START)
    bus.advance(2000)
    assert bus.read(OFFSETS["error"]) == ErrorCode.CONFIG


def test_access_outside_the_memory(bus: RtlBus, memory: np.ndarray) -> None:
    halt_only(bus, memory)
    arguments(bus, program=BASE - 4096)
    bus.write(AP_CTRL, AP_START)
    bus.advance(2000)
    assert bus.read(OFFSETS["error"]) == ErrorCode.READ
    assert bus.bad_accesses > 0


def test_attach_resets(bus: RtlBus, memory: np.ndarray) -> None:
    halt_only(bus, memory)
    bus.write(AP_CTRL, AP_START)
    bus.attach(memory, BASE)
    assert bus.read(AP_CTRL) & AP_IDLE
    assert bus.read(OFFSETS["n_images"]) == 0
