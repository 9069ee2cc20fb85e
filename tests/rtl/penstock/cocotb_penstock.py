"""The core as a host sees it: registers, whole images under stalls, errors, back-to-back runs.

Everything is compared with the golden engine, byte for byte.  The native engine (sim/rtl) runs
whole data sets; this bench is about the pins.
"""

import functools
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus
from graphs import lcnet

from penstock.compiler.pipeline import compile_graph
from penstock.program.core import registers
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.registers import ErrorCode
from penstock.program.network.package import Package
from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    FaultyRamRead,
    FaultyRamWrite,
    bench_rng,
    check_burst,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.control import ARGUMENTS, Host
from penstock.sim.golden import run as run_golden

SIZE = 1 << 18
BASE = 0xA5A5_0000_0000_0000  # all 64 address bits take part; the RAM looks at the low ones
ADDRESS = {"program": 0x0F80, "weights": 0x4000, "input": 0x28FC8, "output": 0x30FF8}


@functools.cache
def network() -> tuple[Package, np.ndarray]:
    """A gated network for `tiny`: its Program and three images."""
    rng = np.random.default_rng(7)
    package = compile_graph(lcnet(rng, (1, 4, 4), widths=(4, 8), classes=5), get_config("tiny"))
    images = rng.integers(0, 256, (3, package.meta["input"]["bytes"]), np.uint8)
    return package, images


class Bench:
    """Host, RAM and a monitor of the burst rules."""

    def __init__(self, dut: Any, idle: str = "none", back_pressure: str = "none") -> None:
        self.dut = dut
        rng = bench_rng()
        self.package, self.images = network()
        self.stride = self.package.meta["record_bytes"]
        self.host = Host(dut, dut.ap_clk, dut.ap_rst_n, rng, idle, back_pressure)
        bus = AxiBus.from_prefix(dut, "m_axi_gmem")
        clock, reset = dut.ap_clk, dut.ap_rst_n
        self.writes = FaultyRamWrite(bus.write, clock, reset, reset_active_level=False, size=SIZE)
        self.reads = FaultyRamRead(
            bus.read, clock, reset, reset_active_level=False, size=SIZE, mem=self.writes.mem
        )
        self.reads.r_channel.set_pause_generator(stall_pattern(idle, rng))
        self.writes.b_channel.set_pause_generator(stall_pattern(idle, rng))
        for sink in (self.reads.ar_channel, self.writes.aw_channel, self.writes.w_channel):
            sink.set_pause_generator(stall_pattern(back_pressure, rng))
        self.writes.write(ADDRESS["program"], self.package.descriptors)
        self.writes.write(ADDRESS["weights"], self.package.weights)

    async def start(self) -> None:
        await start(self.dut.ap_clk, self.dut.ap_rst_n)
        cocotb.start_soon(self._check_bursts())
        await self.host.write(registers.GIER, 1)
        await self.host.write(registers.IER, 1)

    async def _check_bursts(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.ap_clk)
            for channel in ("ar", "aw"):
                signal = functools.partial(getattr, dut)
                if int(signal(f"m_axi_gmem_{channel}valid").value):
                    address = int(signal(f"m_axi_gmem_{channel}addr").value)
                    check_burst(address, int(signal(f"m_axi_gmem_{channel}len").value))

    def arguments(self, images: np.ndarray, **changed: int) -> dict[str, int]:
        """Put the images into the RAM, blank the records, give the arguments of a run."""
        self.writes.write(ADDRESS["input"], images.tobytes())
        self.writes.write(ADDRESS["output"], bytes(len(images) * self.stride))
        values = {name: BASE + address for name, address in ADDRESS.items()}
        return (
            values
            | {
                "n_descriptors": self.package.n_descriptors,
                "n_images": len(images),
                "input_stride": images.shape[1],
                "output_stride": self.stride,
                "weight_bytes": len(self.package.weights),
                "config_hash": self.package.config_hash,
            }
            | changed
        )

    async def finish(self) -> tuple[int, registers.Position]:
        """Wait for the interrupt, clear it; error and position."""
        if not int(self.dut.interrupt.value):
            await RisingEdge(self.dut.interrupt)
        assert await self.host.read(registers.ISR) == 1
        await self.host.write(registers.ISR, 1)
        await RisingEdge(self.dut.ap_clk)
        assert not int(self.dut.interrupt.value)
        state = await self.host.read(registers.AP_CTRL)
        assert state == registers.AP_DONE | registers.AP_IDLE | registers.AP_READY
        return (
            await self.host.read(registers.OFFSETS["error"]),
            registers.Position(
                image=await self.host.read(registers.OFFSETS["image"]),
                descriptor=await self.host.read(registers.OFFSETS["position"]),
            ),
        )

    async def run(self, images: np.ndarray, **changed: int) -> tuple[int, registers.Position]:
        """One run from arguments to interrupt."""
        await self.host.write_arguments(self.arguments(images, **changed))
        await self.host.write(registers.AP_CTRL, registers.AP_START)
        return await self.finish()

    def records(self, count: int) -> np.ndarray:
        """The output records in the RAM, uint8 [count, record_bytes]."""
        data = self.writes.read(ADDRESS["output"], count * self.stride)
        return np.frombuffer(bytes(data), np.uint8).reshape(count, self.stride)

    def check_records(self, images: np.ndarray) -> None:
        """Results equal the golden engine's; so do the counters that do not count cycles."""
        golden = run_golden(self.package, images)  # of this run: its first image loads the gates
        records = self.records(len(golden))
        np.testing.assert_array_equal(records[:, COUNTER_BYTES:], golden[:, COUNTER_BYTES:])
        assert (records[:, :4].copy().view("<u4") > 0).all()  # the cycle counter
        exact = slice(4 * 11, COUNTER_BYTES)  # executed ... exit
        np.testing.assert_array_equal(records[:, exact], golden[:, exact])


@cocotb.test(**TIMEOUT)
async def register_map(dut: Any) -> None:
    """Idle after reset; every argument reads back; holes read 0."""
    bench = Bench(dut)
    await bench.start()
    assert await bench.host.read(registers.AP_CTRL) == registers.AP_IDLE
    values = {r.name: 0x0123456789ABCDEF >> (64 - r.width) for r in ARGUMENTS}
    await bench.host.write_arguments(values)
    for register in ARGUMENTS:
        assert await bench.host.read(register.offset, register.width) == values[register.name]
    assert await bench.host.read(0x18) == 0


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def image(dut: Any, idle: str, back_pressure: str) -> None:
    """One image gives the golden record whatever the memory's and the host's timing."""
    bench = Bench(dut, idle, back_pressure)
    await bench.start()
    assert await bench.run(bench.images[:1]) == (
        ErrorCode.NONE,
        (0, bench.package.n_descriptors - 1),
    )
    bench.check_records(bench.images[:1])


@cocotb.test(**TIMEOUT)
async def images_and_a_second_run(dut: Any) -> None:
    """Several images in one run; a second run without reset, its arguments written while busy."""
    bench = Bench(dut, "random", "none")
    await bench.start()
    await bench.host.write_arguments(bench.arguments(bench.images))
    await bench.host.write(registers.AP_CTRL, registers.AP_START)
    await bench.host.write(registers.OFFSETS["n_images"], 1)
    await bench.host.write(registers.AP_CTRL, registers.AP_START)  # busy: no effect
    error, _ = await bench.finish()
    assert error == ErrorCode.NONE
    bench.check_records(bench.images)
    error, _ = await bench.run(bench.images[2:])
    assert error == ErrorCode.NONE
    bench.check_records(bench.images[2:])


@cocotb.test(**TIMEOUT)
async def another_configuration_is_refused(dut: Any) -> None:
    """A Program for another core stops at once and writes nothing."""
    bench = Bench(dut)
    await bench.start()
    error, _ = await bench.run(bench.images[:1], config_hash=bench.package.config_hash ^ 1)
    assert error == ErrorCode.CONFIG
    assert not bench.records(1).any()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(region=["program", "weights", "input"])
async def read_error(dut: Any, region: str) -> None:
    """SLVERR on a read stops the core with READ; the next run is right again."""
    bench = Bench(dut, "none", "periodic")
    await bench.start()
    bench.reads.bad = frozenset({ADDRESS[region] + 8})
    error, _ = await bench.run(bench.images[:1])
    assert error == ErrorCode.READ
    bench.reads.bad = frozenset()
    error, _ = await bench.run(bench.images[:1])
    assert error == ErrorCode.NONE
    bench.check_records(bench.images[:1])


@cocotb.test(**TIMEOUT)
async def write_error(dut: Any) -> None:
    """SLVERR on a write stops the core with WRITE; the next run is right again."""
    bench = Bench(dut)
    await bench.start()
    bench.writes.bad = frozenset({ADDRESS["output"] + COUNTER_BYTES})
    error, _ = await bench.run(bench.images)
    assert error == ErrorCode.WRITE
    bench.writes.bad = frozenset()
    error, _ = await bench.run(bench.images[:1])
    assert error == ErrorCode.NONE
    bench.check_records(bench.images[:1])


@cocotb.test(**TIMEOUT)
async def program_without_halt(dut: Any) -> None:
    """Running off the last descriptor stops with PROGRAM_END and the position of the fault."""
    bench = Bench(dut)
    await bench.start()
    count = bench.package.n_descriptors - 1
    error, position = await bench.run(bench.images[:1], n_descriptors=count)
    assert (error, position) == (ErrorCode.PROGRAM_END, (0, count))


@cocotb.test(**TIMEOUT)
async def misaligned_buffers(dut: Any) -> None:
    """A base address that is no multiple of 8: FIELD, and nothing is read or written."""
    bench = Bench(dut)
    await bench.start()
    for name in registers.BASES:
        at = bench.arguments(bench.images[:1])[name] + 4
        error, position = await bench.run(bench.images[:1], **{name: at})
        assert (error, position) == (ErrorCode.FIELD, (0, 0)), name
    error, _ = await bench.run(bench.images[:1])
    assert error == ErrorCode.NONE
    bench.check_records(bench.images[:1])
