"""ps_axi_write: bursts, data, errors, flush without deadlock."""

from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiWriteBus

from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    FaultyRamWrite,
    bench_rng,
    check_burst,
    split_request,
    stall_pattern,
    start,
)

SIZE = 1 << 16
BASE = 0x0123_4567_0000_0000


class Bench:
    """One producer, a RAM, and a monitor of AW, W and error_o."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        dut.req_valid_i.value = 0
        dut.data_valid_i.value = 0
        dut.flush_i.value = 0
        self.bursts: list[tuple[int, int]] = []
        self.beats = self.empty_beats = self.errors = 0

    async def start(self, idle: str = "none", back_pressure: str = "none") -> None:
        self.ram = FaultyRamWrite(
            AxiWriteBus.from_prefix(self.dut, "m_axi"),
            self.dut.clk_i,
            self.dut.rst_ni,
            reset_active_level=False,
            size=SIZE,
        )
        self.memory = bytearray(self.rng.randbytes(SIZE))
        self.ram.write(0, bytes(self.memory))
        self.ram.b_channel.set_pause_generator(stall_pattern(idle, self.rng))
        self.ram.aw_channel.set_pause_generator(stall_pattern(back_pressure, self.rng))
        self.ram.w_channel.set_pause_generator(stall_pattern(back_pressure, self.rng))
        await start(self.dut.clk_i, self.dut.rst_ni)
        cocotb.start_soon(self._monitor())

    async def _monitor(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            if int(dut.m_axi_awvalid.value) and int(dut.m_axi_awready.value):
                burst = (int(dut.m_axi_awaddr.value), int(dut.m_axi_awlen.value))
                check_burst(*burst)
                self.bursts.append(burst)
            if int(dut.m_axi_wvalid.value) and int(dut.m_axi_wready.value):
                strobes = int(dut.m_axi_wstrb.value)
                assert strobes in (0x00, 0xFF)
                self.beats += 1
                self.empty_beats += strobes == 0
            self.errors += int(dut.error_o.value)

    async def request(self, address: int, beats: int) -> None:
        self.dut.req_addr_i.value = address
        self.dut.req_beats_i.value = beats
        self.dut.req_valid_i.value = 1
        await RisingEdge(self.dut.clk_i)
        while not int(self.dut.req_ready_o.value):
            await RisingEdge(self.dut.clk_i)
        self.dut.req_valid_i.value = 0

    async def data(self, words: list[int], stall: Iterator[bool]) -> None:
        for word in words:
            while next(stall):
                await RisingEdge(self.dut.clk_i)
            self.dut.data_i.value = word
            self.dut.data_valid_i.value = 1
            await RisingEdge(self.dut.clk_i)
            while not int(self.dut.data_ready_o.value):
                await RisingEdge(self.dut.clk_i)
            self.dut.data_valid_i.value = 0

    async def idle(self, limit: int = 5000) -> None:
        for _ in range(limit):
            await RisingEdge(self.dut.clk_i)
            if not int(self.dut.busy_o.value):
                return
        raise AssertionError("still busy")

    def store(self, address: int, words: list[int]) -> None:
        """What the RAM must hold after `words` were written."""
        offset = address % SIZE
        data = b"".join(word.to_bytes(8, "little") for word in words)
        self.memory[offset : offset + len(data)] = data

    def check(self) -> None:
        assert self.ram.read(0, SIZE) == bytes(self.memory)
        assert self.beats == sum(length + 1 for _, length in self.bursts)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def random_requests(dut: Any, idle: str, back_pressure: str) -> None:
    """Memory ends up exactly as asked, requests back to back, data early or late."""
    bench = Bench(dut)
    await bench.start(idle, back_pressure)
    requests = []
    for _ in range(60):
        beats = bench.rng.choice([1, 2, 15, 16, 17, 31, 32, 33, bench.rng.randrange(1, 60)])
        address = bench.rng.randrange(SIZE // 8 - beats) * 8
        if bench.rng.random() < 0.3:  # around a 4 KiB boundary
            address = max(0, (address & ~0xFFF) - 8 * bench.rng.randrange(20))
        words = [bench.rng.getrandbits(64) for _ in range(beats)]
        requests.append((BASE + address, words))
        bench.store(address, words)
    stream = [word for _, words in requests for word in words]
    data = cocotb.start_soon(bench.data(stream, stall_pattern(idle, bench.rng)))
    for address, words in requests:
        await bench.request(address, len(words))
    await data
    await bench.idle()
    bench.check()
    expected = [split_request(address, len(words)) for address, words in requests]
    assert bench.bursts == [burst for bursts in expected for burst in bursts]
    assert bench.errors == bench.empty_beats == 0


@cocotb.test(**TIMEOUT)
async def long_request_splits_exactly(dut: Any) -> None:
    """Bursts are as long as the rules allow; one extra cycle a burst."""
    bench = Bench(dut)
    await bench.start()
    words = [bench.rng.getrandbits(64) for _ in range(40)]
    bench.store(4096 - 24, words)
    data = cocotb.start_soon(bench.data(words, stall_pattern("none", bench.rng)))
    await bench.request(BASE + 4096 - 24, 40)
    await data
    await bench.idle()
    assert bench.bursts == [
        (BASE + 4096 - 24, 2),
        (BASE + 4096, 15),
        (BASE + 4096 + 128, 15),
        (BASE + 4096 + 256, 4),
    ]
    bench.check()


@cocotb.test(**TIMEOUT)
async def slave_errors(dut: Any) -> None:
    """Each B with SLVERR gives one error pulse."""
    bench = Bench(dut)
    await bench.start()
    bench.ram.bad = frozenset({0x108, 0x400})
    for address, beats in ((0x100, 4), (0x300, 64), (0x800, 4)):
        data = cocotb.start_soon(bench.data([0] * beats, stall_pattern("none", bench.rng)))
        await bench.request(BASE + address, beats)
        await data
    await bench.idle()
    for _ in range(2):
        await RisingEdge(dut.clk_i)
    assert bench.errors == 2


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(
    back_pressure=STALLS,
    starve=[False, True],
    delay=(0, 1, 2, 3, 4, 7, 16, 17, 18, 19, 25, 60),
)
async def flush(dut: Any, back_pressure: str, starve: bool, delay: int) -> None:
    """A flush at any moment ends in idle, with whole bursts and no word behind the last taken."""
    bench = Bench(dut)
    await bench.start(back_pressure=back_pressure)
    words = [bench.rng.getrandbits(64) for _ in range(100)]
    offered = words[: 10 if starve else 100]
    request = cocotb.start_soon(bench.request(BASE, 100))
    data = cocotb.start_soon(bench.data(offered, stall_pattern("none", bench.rng)))
    taken = 0
    for _ in range(delay):
        await RisingEdge(dut.clk_i)
        taken += int(dut.data_valid_i.value) & int(dut.data_ready_o.value)
    request.cancel()
    data.cancel()
    dut.req_valid_i.value = 0
    dut.data_valid_i.value = 0
    dut.flush_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.flush_i.value = 0
    await bench.idle()
    bench.store(BASE, words[:taken])
    bench.check()
    assert len(bench.bursts) < 100 // 16

    # and the next request works
    words = [bench.rng.getrandbits(64) for _ in range(20)]
    bench.store(BASE + 0x2000, words)
    data = cocotb.start_soon(bench.data(words, stall_pattern("none", bench.rng)))
    await bench.request(BASE + 0x2000, 20)
    await data
    await bench.idle()
    bench.check()
