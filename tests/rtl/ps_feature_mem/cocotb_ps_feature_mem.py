"""ps_feature_mem: windows of both ports against an array of bytes."""

from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng
from penstock.sim.cocotb.stream import pack, unpack

LATENCY = 3
CYCLES = 4000


class Bench:
    """The model, and what each port must show LATENCY cycles later."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        self.config = bench_config()
        self.fb = self.config.fmem_banks
        self.size = self.config.fmem_bytes
        # Addresses around the end, a row of banks in the middle and the start meet each other.
        self.bases = (0, self.size // 2, self.size)
        self.memory: dict[int, int] = {}
        self.a_due: deque[list[int] | None] = deque([None] * LATENCY)
        self.b_due: deque[list[int] | None] = deque([None] * LATENCY)
        self.a_held: int | None = None
        self.b_held: int | None = None
        dut.a_read_i.value = 0
        dut.b_read_i.value = 0
        dut.b_mask_i.value = 0
        cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())

    def address(self) -> int:
        """A byte address near one of the bases."""
        reach = 2 * self.config.window_bytes
        return (self.rng.choice(self.bases) + self.rng.randint(-reach, reach)) % self.size

    def window(self, address: int, count: int) -> list[int]:
        """Bytes of the model; -1 for those never written."""
        return [self.memory.get((address + i) % self.size, -1) for i in range(count)]

    def _check(self, name: str, value: int, due: list[int] | None, held: int | None) -> None:
        if due is None:
            assert held is None or value == held, f"port {name} moved without a read"
            return
        got = unpack(value, 8, len(due))
        for lane, (byte, model) in enumerate(zip(got, due, strict=True)):
            assert model in (byte, -1), f"port {name}, lane {lane}: {byte}, not {model}"

    async def cycle(
        self,
        a: tuple[int, int] | None = None,
        b_read: tuple[int, int] | None = None,
        b_write: tuple[int, int, list[int | None]] | None = None,
    ) -> None:
        """One cycle: port A reads (address, mode); port B reads or writes (low, high address)."""
        dut, fb = self.dut, self.fb
        dut.a_read_i.value = int(a is not None)
        dut.b_read_i.value = int(b_read is not None)
        mask = 0
        a_due = b_due = None
        if a:
            address, mode = a
            dut.a_addr_i.value = address
            dut.a_mode_i.value = mode
            a_due = self.window(address, max(self.config.p_px << mode, fb))
        if b_read:
            dut.b_addr_i.value = b_read[0]
            dut.b_upper_i.value = (b_read[1] - fb // 2) % self.size
            b_due = [byte for half in b_read for byte in self.window(half, fb // 2)]
        if b_write:
            low, high, lanes = b_write
            dut.b_addr_i.value = low
            dut.b_upper_i.value = (high - fb // 2) % self.size
            mask = pack([byte is not None for byte in lanes], 1)
            dut.b_data_i.value = pack([byte or 0 for byte in lanes], 8)
        dut.b_mask_i.value = mask
        await RisingEdge(dut.clk_i)
        a_value, b_value = int(dut.a_data_o.value), int(dut.b_data_o.value)
        self._check("A", a_value, self.a_due.popleft(), self.a_held)
        self._check("B", b_value, self.b_due.popleft(), self.b_held)
        self.a_held, self.b_held = a_value, b_value
        self.a_due.append(a_due)
        self.b_due.append(b_due)
        if b_write:
            for lane, byte in enumerate(lanes):
                base = low + lane if lane < fb // 2 else high + lane - fb // 2
                if byte is not None:
                    self.memory[base % self.size] = byte

    def halves(self) -> tuple[int, int]:
        """Two addresses whose halves share no bank: of one window, or anywhere."""
        low = self.address()
        high = low + self.fb // 2
        if self.rng.random() < 0.5:
            far = self.address()
            high = far - (far - high) % self.fb
        return low, high % self.size

    def data(self) -> list[int | None]:
        """Bytes to write; None where the mask is 0."""
        rng = self.rng
        full = rng.random() < 0.5
        return [rng.randrange(256) if full or rng.random() < 0.5 else None for _ in range(self.fb)]

    async def drain(self) -> None:
        for _ in range(LATENCY + 1):
            await self.cycle()


async def _fill(bench: Bench) -> None:
    reach = 3 * bench.config.window_bytes
    for base in bench.bases[1:]:
        for offset in range(-reach, reach, bench.fb):
            low = (base + offset) % bench.size
            high = (low + bench.fb // 2) % bench.size
            await bench.cycle(
                b_write=(low, high, [bench.rng.randrange(256) for _ in range(bench.fb)])
            )


@cocotb.test(**TIMEOUT)
async def random_traffic(dut: Any) -> None:
    """Both ports at once, every mode, split halves, gaps, wrap at the end."""
    bench = Bench(dut)
    await _fill(bench)
    for _ in range(CYCLES):
        choice = bench.rng.random()
        a = None
        if bench.rng.random() < 0.7:
            a = bench.address(), bench.rng.randrange(bench.config.modes)
        if choice < 0.4:
            await bench.cycle(a, b_read=bench.halves())
        elif choice < 0.8:
            await bench.cycle(a, b_write=(*bench.halves(), bench.data()))
        else:
            await bench.cycle(a)
    await bench.drain()


@cocotb.test(**TIMEOUT)
async def every_alignment(dut: Any) -> None:
    """Windows of every mode from every bank on, across the end of the memory."""
    bench = Bench(dut)
    await _fill(bench)
    banks = bench.config.window_bytes
    for mode in range(bench.config.modes):
        for offset in range(-banks, banks + 1):
            address = offset % bench.size
            halves = address, (address + bench.fb // 2) % bench.size
            await bench.cycle((address, mode), b_read=halves)
    await bench.drain()


@cocotb.test(**TIMEOUT)
async def read_after_write(dut: Any) -> None:
    """A read in the cycle of a write gives the old bytes, one cycle later the new ones."""
    bench = Bench(dut)
    await _fill(bench)
    for _ in range(50):
        low = bench.address()
        halves = low, (low + bench.fb // 2) % bench.size
        await bench.cycle((low, 0), b_write=(*halves, [bench.rng.randrange(256)] * bench.fb))
        await bench.cycle((low, 0), b_read=halves)
    await bench.drain()
