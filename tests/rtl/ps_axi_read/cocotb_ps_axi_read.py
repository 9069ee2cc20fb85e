"""ps_axi_read: bursts, order, priority, throughput, errors, flush."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiReadBus

from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    FaultyRamRead,
    Lanes,
    bench_rng,
    check_burst,
    split_request,
    stall_pattern,
    start,
)

SIZE = 1 << 16
BASE = 0xFEDC_BA98_0000_0000  # all 64 address bits take part; the RAM looks at the low ones
REQUESTS = 120


class Bench:
    """Clients, a RAM of random bytes, and a checker that predicts every response."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        self.clients = int(dut.NumClients.value)
        self.valid = Lanes(dut.req_valid_i, 1)
        self.addr = Lanes(dut.req_addr_i, 64)
        self.beats = Lanes(dut.req_beats_i, 16)
        dut.flush_i.value = 0
        self.expected: deque[tuple[int, int, bool, bool]] = deque()
        self.bursts: list[tuple[int, int]] = []
        self.predicted_bursts: list[tuple[int, int]] = []
        self.accepted: list[int] = []
        self.errors = 0
        self.in_flight = 0

    async def start(self, idle: str = "none", back_pressure: str = "none") -> None:
        self.ram = FaultyRamRead(
            AxiReadBus.from_prefix(self.dut, "m_axi"),
            self.dut.clk_i,
            self.dut.rst_ni,
            reset_active_level=False,
            size=SIZE,
        )
        self.ram.write(0, self.rng.randbytes(SIZE))
        self.ram.r_channel.set_pause_generator(stall_pattern(idle, self.rng))
        self.ram.ar_channel.set_pause_generator(stall_pattern(back_pressure, self.rng))
        await start(self.dut.clk_i, self.dut.rst_ni)
        cocotb.start_soon(self._monitor())

    def _predict(self, client: int) -> None:
        address = (int(self.dut.req_addr_i.value) >> (64 * client)) & ((1 << 64) - 1)
        beats = (int(self.dut.req_beats_i.value) >> (16 * client)) & 0xFFFF
        self.predicted_bursts += split_request(address, beats)
        for beat in range(beats):
            offset = (address + 8 * beat) % SIZE
            data = int.from_bytes(self.ram.read(offset, 8), "little")
            bad = offset in self.ram.bad
            self.expected.append((client, 0 if bad else data, beat == beats - 1, bad))

    async def _monitor(self) -> None:
        dut = self.dut
        flushed = held = False  # flush_i, and an AR left waiting, in the previous cycle
        while True:
            await RisingEdge(dut.clk_i)
            asked, granted = int(dut.m_axi_arvalid.value), int(dut.m_axi_arready.value)
            assert held or not (flushed and asked), "burst issued during a flush"
            flushed, held = bool(int(dut.flush_i.value)), bool(asked and not granted)
            valid = int(dut.rsp_valid_o.value)
            if valid:
                client, data, last, bad = self.expected.popleft()
                assert valid == 1 << client, "answer to the wrong client"
                assert int(dut.rsp_data_o.value) == data
                assert int(dut.rsp_last_o.value) == last
                assert int(dut.error_o.value) == bad
                self.errors += bad
            else:
                assert not int(dut.error_o.value)
            if asked and granted:
                burst = (int(dut.m_axi_araddr.value), int(dut.m_axi_arlen.value))
                check_burst(*burst)
                self.bursts.append(burst)
                self.in_flight += 1
                assert self.in_flight <= int(dut.MaxOutstanding.value)
            if int(dut.m_axi_rvalid.value) and int(dut.m_axi_rlast.value):
                self.in_flight -= 1
            assert int(dut.m_axi_rready.value)
            # The handles give the values of this edge; what the lanes hold may be newer.
            asking = int(dut.req_valid_i.value)
            ready = int(dut.req_ready_o.value) & asking
            if ready:
                client = ready.bit_length() - 1
                assert ready == 1 << client, "two requests taken at once"
                assert ready == asking & -asking, "not the highest priority"
                self.accepted.append(client)
                self._predict(client)

    async def request(self, client: int, address: int, beats: int) -> None:
        """Hold a request until it is taken."""
        self.addr.set(client, address)
        self.beats.set(client, beats)
        self.valid.set(client, 1)
        await RisingEdge(self.dut.clk_i)
        while not (int(self.dut.req_ready_o.value) >> client) & 1:
            await RisingEdge(self.dut.clk_i)
        self.valid.set(client, 0)

    async def idle(self, limit: int = 20000) -> None:
        """Wait until nothing is in flight."""
        for _ in range(3):
            await RisingEdge(self.dut.clk_i)
        for _ in range(limit):
            await RisingEdge(self.dut.clk_i)
            if not int(self.dut.busy_o.value):
                return
        raise AssertionError("still busy")


def _random_request(rng: random.Random) -> tuple[int, int]:
    beats = rng.choice([1, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, rng.randrange(1, 80)])
    address = rng.randrange(SIZE // 8 - beats) * 8
    if rng.random() < 0.3:  # around a 4 KiB boundary
        address = max(0, (address & ~0xFFF) - 8 * rng.randrange(20))
    return BASE + address, beats


async def _client(bench: Bench, client: int, count: int, pause: Iterator[bool]) -> None:
    for _ in range(count):
        while next(pause):
            await RisingEdge(bench.dut.clk_i)
        await bench.request(client, *_random_request(bench.rng))


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def random_requests(dut: Any, idle: str, back_pressure: str) -> None:
    """Every beat of every request returns once, in order, to its client."""
    bench = Bench(dut)
    await bench.start(idle, back_pressure)
    tasks = [
        cocotb.start_soon(
            _client(bench, c, REQUESTS // bench.clients, stall_pattern("random", bench.rng))
        )
        for c in range(bench.clients)
    ]
    for task in tasks:
        await task
    await bench.idle()
    assert not bench.expected
    assert bench.bursts == bench.predicted_bursts
    assert len(bench.accepted) == REQUESTS // bench.clients * bench.clients


@cocotb.test(**TIMEOUT)
async def long_request_splits_exactly(dut: Any) -> None:
    """Bursts are as long as the rules allow, and consecutive."""
    bench = Bench(dut)
    await bench.start()
    await bench.request(0, BASE + 4096 - 3 * 8, 40)
    await bench.idle()
    assert bench.bursts == [
        (BASE + 4096 - 24, 2),
        (BASE + 4096, 15),
        (BASE + 4096 + 128, 15),
        (BASE + 4096 + 256, 4),
    ]
    assert not bench.expected


@cocotb.test(**TIMEOUT)
async def priority(dut: Any) -> None:
    """Of clients that ask together, the lowest index goes first."""
    bench = Bench(dut)
    await bench.start()
    tasks = [
        cocotb.start_soon(bench.request(c, BASE + 256 * c, 20))
        for c in reversed(range(bench.clients))
    ]
    for task in tasks:
        await task
    await bench.idle()
    assert bench.accepted == list(range(bench.clients))


@cocotb.test(**TIMEOUT)
async def slave_errors(dut: Any) -> None:
    """Each beat with SLVERR gives one error pulse; the other beats arrive unharmed."""
    bench = Bench(dut)
    await bench.start()
    bench.ram.bad = frozenset({0x108, 0x300})
    await bench.request(0, BASE + 0x100, 4)
    await bench.request(0, BASE + 0x200, 64)
    await bench.request(0, BASE + 0x800, 4)
    await bench.idle()
    assert bench.errors == 2
    assert not bench.expected


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(delay=(0, 1, 2, 3, 5, 9, 14, 40))
async def flush(dut: Any, delay: int) -> None:
    """A flush ends a long request early, at any moment, and the next request works."""
    bench = Bench(dut)
    await bench.start(back_pressure="periodic")
    request = cocotb.start_soon(bench.request(0, BASE, 1000))
    for _ in range(delay):
        await RisingEdge(dut.clk_i)
    dut.flush_i.value = 1
    request.cancel()
    bench.valid.set(0, 0)
    await bench.idle()
    dut.flush_i.value = 0
    assert len(bench.bursts) < 1000 // 16
    assert bench.in_flight == 0
    bench.expected.clear()
    await bench.request(0, BASE + 0x2000, 5)
    await bench.idle()
    assert not bench.expected


@cocotb.test(**TIMEOUT)
async def one_request_a_cycle(dut: Any) -> None:
    """With AR always ready, requests of one burst cost one cycle each."""
    clients = int(dut.NumClients.value)
    depth = int(dut.MaxOutstanding.value)
    count = 64 if depth >= 4 else depth  # the answers below take three cycles
    dut.flush_i.value = 0
    dut.m_axi_arready.value = 1
    for name in ("rvalid", "rlast", "rresp", "rid", "rdata"):
        getattr(dut, f"m_axi_{name}").value = 0
    valid, addr, beats = (
        Lanes(dut.req_valid_i, 1),
        Lanes(dut.req_addr_i, 64),
        Lanes(dut.req_beats_i, 16),
    )
    await start(dut.clk_i, dut.rst_ni)
    client = clients - 1
    beats.set(client, 1)
    addr.set(client, BASE)
    valid.set(client, 1)
    taken = issued = cycles = 0
    while issued < count:
        await RisingEdge(dut.clk_i)
        cycles += 1
        assert cycles <= count + 3, f"{issued} of {count} bursts after {cycles} cycles"
        burst = int(dut.m_axi_arvalid.value)
        dut.m_axi_rvalid.value = burst
        dut.m_axi_rlast.value = burst
        if burst:
            assert int(dut.m_axi_araddr.value) == BASE + 8 * issued
            issued += 1
        if taken < count and (int(dut.req_ready_o.value) >> client) & 1:
            taken += 1
            addr.set(client, BASE + 8 * taken)
            valid.set(client, int(taken < count))
    await RisingEdge(dut.clk_i)
    dut.m_axi_rvalid.value = 0
    for _ in range(4):
        await RisingEdge(dut.clk_i)
    assert not int(dut.busy_o.value)
