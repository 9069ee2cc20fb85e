"""What the cocotb benches share: clock and reset, stall patterns, AXI memories and checks."""

import itertools
import logging
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiRamRead, AxiRamWrite

from penstock.program.core.config import HwConfig
from penstock.program.core.hardware import hardware

#: Stall patterns of the standing matrix.
STALLS = ("none", "periodic", "random")

#: For cocotb.test: a hung bench fails after 100 000 cycles instead of running on for ever.
TIMEOUT: dict[str, Any] = {"timeout_time": 1, "timeout_unit": "ms"}

#: Bursts the core may issue: AXI3 ports take 16 beats, AXI4 forbids crossing 4 KiB.
MAX_BURST_BEATS = 16
BOUNDARY = 4096
BEAT_BYTES = 8


def stall_pattern(kind: str, rng: random.Random) -> Iterator[bool]:
    """An endless stream of "stall in this cycle" of one of the STALLS."""
    if kind == "none":
        return itertools.repeat(False)
    if kind == "periodic":
        return itertools.cycle([True, True, False])
    if kind == "random":
        return iter(lambda: rng.random() < 0.5, None)
    raise ValueError(f"stall pattern '{kind}': one of {', '.join(STALLS)}")


def bench_rng() -> random.Random:
    """A generator seeded by cocotb's own seed, which the runner sets and prints."""
    # cocotbext-axi logs every burst; a failing bench has its waves.
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    logging.getLogger("cocotb.regression").setLevel(logging.INFO)
    return random.Random(cocotb.RANDOM_SEED)  # type: ignore[attr-defined]


def bench_config() -> HwConfig:
    """The hardware configuration that the runner built."""
    return hardware(cocotb.plusargs["config"])


async def start(clock: Any, reset: Any, cycles: int = 4) -> None:
    """Start a 10 ns clock and hold the active-low reset for `cycles` cycles."""
    reset.value = 0
    cocotb.start_soon(Clock(clock, 10, unit="ns").start())
    for _ in range(cycles):
        await RisingEdge(clock)
    reset.value = 1
    await RisingEdge(clock)


def check_burst(address: int, length: int) -> None:
    """AR and AW: at most 16 beats, aligned, inside one 4 KiB page.  `length` as on the bus."""
    beats = length + 1
    assert address % BEAT_BYTES == 0, f"unaligned burst at {address:#x}"
    assert beats <= MAX_BURST_BEATS, f"{beats} beats at {address:#x}"
    end = address + beats * BEAT_BYTES - 1
    assert address // BOUNDARY == end // BOUNDARY, f"burst {address:#x}..{end:#x} crosses 4 KiB"


def split_request(address: int, beats: int) -> list[tuple[int, int]]:
    """The longest bursts the rules allow, as (address, length on the bus)."""
    bursts = []
    while beats:
        room = (BOUNDARY - address % BOUNDARY) // BEAT_BYTES
        burst = min(beats, MAX_BURST_BEATS, room)
        bursts.append((address, burst - 1))
        address += burst * BEAT_BYTES
        beats -= burst
    return bursts


class Lanes:
    """A packed array port driven lane by lane: several coroutines share one VPI handle."""

    def __init__(self, handle: Any, width: int) -> None:
        self.handle = handle
        self.width = width
        self.value = 0
        handle.value = 0

    def set(self, lane: int, value: int) -> None:
        """Drive one lane, leave the others as they are."""
        mask = ((1 << self.width) - 1) << (lane * self.width)
        self.value = (self.value & ~mask) | (value << (lane * self.width))
        self.handle.value = self.value


class FaultyRamRead(AxiRamRead):
    """An AxiRamRead that answers SLVERR for the byte offsets in `bad` (multiples of 8)."""

    bad: frozenset[int] = frozenset()

    async def _read(self, address: int, length: int) -> bytes:
        if address % self.size in self.bad:
            raise ValueError("injected")
        return await super()._read(address, length)


class FaultyRamWrite(AxiRamWrite):
    """An AxiRamWrite that answers SLVERR for the byte offsets in `bad` (multiples of 8)."""

    bad: frozenset[int] = frozenset()

    async def _write(self, address: int, data: bytes) -> None:
        if address % self.size in self.bad:
            raise ValueError("injected")
        await super()._write(address, data)
