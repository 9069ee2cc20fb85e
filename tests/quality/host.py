"""A host at the registers of the core: what `RtlCore.execute` never does with them."""

from collections.abc import Iterator

import numpy as np

from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.registers import (
    AP_CTRL,
    AP_DONE,
    AP_IDLE,
    AP_READY,
    AP_START,
    GIER,
    IER,
    ISR,
    OFFSETS,
    REGISTERS,
    ErrorCode,
    Position,
)
from penstock.program.network.package import Package
from penstock.sim.rtl.bus import RtlBus
from penstock.sim.rtl.engine import Bytes, RtlCore

BASE = 0x1234_0000
SIZE = 1 << 16
#: Where the buffers lie in the host's memory.
AT = {"program": 0, "weights": 8192, "input": 40960, "output": 49152}

#: Registers that the host writes: offsets of 32-bit words.
WORDS = [
    register.offset + at
    for register in REGISTERS
    if not register.from_core
    for at in range(0, register.width // 8, 4)
]
#: Addresses inside the map with nothing behind them.
GAPS = (0x18, 0x24, 0x3C, 0x44, 0x4C, 0x74, 0xFC)

#: (byte enables of a write, cycles an answer waits)
HOSTS = ((0xF, 0), (0x1, 2), (0x2, 0), (0x4, 1), (0x8, 3), (0x6, 0), (0x0, 0), (0xF, 5))


def registers(core: RtlCore) -> list[str]:
    """Every register with every kind of write; lines about those that hold something else."""
    bus = RtlBus(core.config, core=core)
    bus.attach(np.zeros(SIZE, np.uint8), BASE)
    found = [*_reads(bus, "after reset", {AP_CTRL: AP_IDLE}), *_written(bus)]
    bus.host()
    bus.close()
    return found


def _written(bus: RtlBus) -> Iterator[str]:
    """Arguments and interrupt enables, byte by byte; a start without byte 0 is none."""
    rng = np.random.default_rng(8)
    values = {AP_CTRL: AP_IDLE} | dict.fromkeys(WORDS, 0)
    for strobe, patience in HOSTS:
        bus.host(strobe=strobe, patience=patience)
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
        for offset in WORDS:
            value = int(rng.integers(1 << 32))
            bus.write(offset, value)
            values[offset] = (values[offset] & ~mask) | (value & mask)
        for offset, bits in ((GIER, 1), (IER, 3)):
            value = int(rng.integers(1 << 32))
            bus.write(offset, value)
            if strobe & 1:
                values[offset] = value & bits
        if not strobe & 1:
            bus.write(AP_CTRL, AP_START)
        yield from _reads(bus, f"written with strobe {strobe:#x}", values)


def _reads(bus: RtlBus, when: str, values: dict[int, int]) -> Iterator[str]:
    """A line for every register that does not hold its value, 0 where `values` has none."""
    for offset in (AP_CTRL, GIER, IER, ISR, *WORDS, *GAPS):
        got, expected = bus.read(offset), values.get(offset, 0)
        if got != expected:
            yield f"{when}: register {offset:#x} is {got:#x}, expected {expected:#x}"


def runs(core: RtlCore, package: Package, inputs: Bytes, records: Bytes) -> list[str]:
    """Three runs with other interrupts enabled, and a host that interferes with the first."""
    memory = np.zeros(SIZE, np.uint8)
    for name, data in (
        ("program", np.frombuffer(package.descriptors, np.uint8)),
        ("weights", np.frombuffer(package.weights, np.uint8)),
        ("input", inputs.reshape(-1)),
    ):
        memory[AT[name] : AT[name] + len(data)] = data
    bus = RtlBus(core.config, core=core)
    bus.attach(memory, BASE)
    values = {
        "n_descriptors": package.n_descriptors,
        "n_images": len(inputs),
        "input_stride": inputs.shape[1],
        "output_stride": records.shape[1],
        "weight_bytes": len(package.weights),
        "config_hash": package.config_hash,
    }
    found: list[str] = []
    exits = records[-1, :COUNTER_BYTES].copy().view("<u4")[COUNTER_NAMES.index("exit")]
    last = Position(len(inputs) - 1, int(exits))  # at the HALT of the last image
    for enabled, interferes in ((3, True), (2, False), (1, False), (0, False)):
        when = f"run with IER {enabled}"
        for name, value in {**values, **{name: BASE + at for name, at in AT.items()}}.items():
            bus.write(OFFSETS[name], value)
        bus.write(GIER, 1)
        bus.write(IER, enabled)
        memory[AT["output"] :] = 0
        found += [f"{when}: {line}" for line in _one_run(bus, enabled, interferes)]
        if (error := bus.read(OFFSETS["error"])) != ErrorCode.NONE:
            found.append(f"{when}: error {error}")
        position = Position(*(bus.read(OFFSETS[name]) for name in ("image", "position")))
        if position != last:
            found.append(f"{when}: position is {position}, expected {last}")
        got = memory[AT["output"] : AT["output"] + records.size].reshape(records.shape)
        if (got[:, COUNTER_BYTES:] != records[:, COUNTER_BYTES:]).any():
            found.append(f"{when}: other results than golden's")
        if memory[AT["output"] + records.size :].any() or bus.bad_accesses:
            found.append(f"{when}: it touched what is none of its own")
    bus.close()
    return found


def _one_run(bus: RtlBus, enabled: int, interferes: bool) -> Iterator[str]:
    """Start, wait, and take the interrupt as a driver would."""
    bus.write(AP_CTRL, AP_START)
    control = bus.read(AP_CTRL)
    if control != AP_START:
        yield f"control register {control:#x} while busy"
    for _ in range(100):
        if bus.advance(700) or (not enabled and bus.read(AP_CTRL) & AP_DONE):
            break
        if interferes:
            bus.write(OFFSETS["output"], BASE)
            bus.write(OFFSETS["n_images"], 0)
            bus.write(AP_CTRL, AP_START)
    else:
        yield "no end"
    if bus.advance(0) != bool(enabled):
        yield f"interrupt {bus.advance(0)}"
    ended = AP_DONE | AP_IDLE | AP_READY if enabled else AP_IDLE  # polling has cleared done
    steps = (
        (ISR, None, enabled, enabled, "interrupts"),
        (AP_CTRL, None, ended, enabled, "control register"),
        (AP_CTRL, None, AP_IDLE, enabled, "control register, read again"),
        (GIER, 0, 0, 0, "global enable cleared"),
        (GIER, 1, 1, enabled, "global enable"),
        (ISR, enabled, 0, 0, "interrupts cleared"),
        (ISR, 2, 2, 2, "interrupt toggled on"),
        (ISR, 2, 0, 0, "interrupt toggled off"),
    )
    for offset, written, expected, interrupt, what in steps:
        if written is not None:
            bus.write(offset, written)
        if (value := bus.read(offset)) != expected:
            yield f"{what}: {value:#x}, expected {expected:#x}"
        if bus.advance(0) != bool(interrupt):
            yield f"{what}: interrupt {bus.advance(0)}"
