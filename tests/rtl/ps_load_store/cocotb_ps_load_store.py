"""ps_load_store: LOAD, GLOAD, STORE and the counter record, odd lengths, any timing of DDR."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.program.core.config import TABLE_BYTES
from penstock.program.core.counters import COUNTER_BYTES, COUNTERS
from penstock.program.core.descriptor import GLOAD_TABLE, Op
from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    bench_config,
    bench_rng,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.stream import (
    collect,
    cycles,
    descriptor,
    pack,
    pulse,
    read_port,
    send,
    wait_for,
)

INPUT, OUTPUT, WEIGHTS = 0x1_0000_0000, 0xABCD_0000_0000_0100, 0x7_FFFF_FF00
LENGTHS = (1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 200)


class Bench:
    """On-chip memories, a read master, a write master that is busy for a while."""

    def __init__(self, dut: Any, idle: str = "none", back_pressure: str = "none") -> None:
        self.dut = dut
        self.config = bench_config()
        self.rng: random.Random = bench_rng()
        self.idle, self.back_pressure = idle, back_pressure
        self.fmem = bytearray(self.rng.randbytes(self.config.fmem_bytes))
        self.gmem = bytearray(self.config.gate_mem_bytes)
        self.table = bytearray(TABLE_BYTES)
        self.scores = self.rng.randbytes(self.config.score_depth)
        self.store_beats = 0
        for signal in (dut.start_i, dut.record_i, dut.rd_req_ready_i, dut.rd_valid_i):
            signal.value = 0
        for signal in (dut.wr_req_ready_i, dut.wr_ready_i, dut.wr_busy_i):
            signal.value = 0

    async def start(self) -> None:
        dut = self.dut
        dut.input_i.value = INPUT
        dut.output_i.value = OUTPUT
        dut.weights_i.value = WEIGHTS
        await start(dut.clk_i, dut.rst_ni)
        cocotb.start_soon(read_port(dut.clk_i, dut.mem_rd_data_i, self._mem, 3))
        cocotb.start_soon(read_port(dut.clk_i, dut.score_word_i, self._score))
        cocotb.start_soon(self._monitor())

    def _mem(self) -> int:
        at = int(self.dut.mem_rd_addr_o.value)
        return pack([self.fmem[(at + i) % len(self.fmem)] for i in range(8)], 8)

    def _score(self) -> int:
        at = int(self.dut.score_addr_o.value) & ~7
        return int.from_bytes(self.scores[at : at + 8], "little")

    async def _monitor(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            self.store_beats += int(dut.store_beat_o.value)
            if int(dut.gmem_we_o.value):
                at = 8 * int(dut.gmem_addr_o.value)
                self.gmem[at : at + 8] = int(dut.gmem_data_o.value).to_bytes(8, "little")
            if int(dut.table_we_o.value):
                at = 8 * int(dut.table_word_o.value)
                self.table[at : at + 8] = int(dut.table_data_o.value).to_bytes(8, "little")
            mask = int(dut.mem_mask_o.value)
            data = int(dut.mem_data_o.value).to_bytes(8, "little")
            for lane in range(8):
                if mask >> lane & 1:
                    at = int(dut.mem_addr_o.value) + lane
                    self.fmem[at % len(self.fmem)] = data[lane]

    async def _request(self, name: str) -> tuple[int, int]:
        """Accept a request after a while: (address, beats)."""
        dut = self.dut
        words: list[tuple[int, int]] = []
        valid, ready = getattr(dut, f"{name}_req_valid_o"), getattr(dut, f"{name}_req_ready_i")
        address, beats = getattr(dut, f"{name}_req_addr_o"), getattr(dut, f"{name}_req_beats_o")
        get = lambda: (int(address.value), int(beats.value))  # noqa: E731
        await collect(
            dut.clk_i, valid, ready, get, stall_pattern(self.back_pressure, self.rng), words, 1
        )
        return words[0]

    async def _begin(self, op: Op, **values: int) -> None:
        dut = self.dut
        dut.desc_i.value = descriptor(op, **values)
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it

    async def load(self, op: Op, length: int, **values: int) -> None:
        """A LOAD or GLOAD of random bytes; the memories are compared as a whole.

        A GLOAD of a table begins with its first byte, wherever `dst` points.
        """
        dut = self.dut
        data = self.rng.randbytes(-(-length // 8) * 8)
        fmem, gmem, table = bytearray(self.fmem), bytearray(self.gmem), bytearray(self.table)
        if values.get("variant"):
            table[:] = data
        else:
            into = gmem if op == Op.GLOAD else fmem
            into[values["dst"] : values["dst"] + length] = data[:length]
        await self._begin(op, length=length, **values)
        base = WEIGHTS + values["w_addr"] if op == Op.GLOAD else INPUT + values["ddr"]
        assert await self._request("rd") == (base, len(data) // 8)

        def put(word: int) -> None:
            dut.rd_data_i.value = word

        words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
        pattern = stall_pattern(self.idle, self.rng)
        await send(dut.clk_i, dut.rd_valid_i, None, put, words, pattern)
        await RisingEdge(dut.clk_i)
        assert not int(dut.busy_o.value)
        assert self.fmem == fmem and self.gmem == gmem and self.table == table

    async def _stored(self, *, answered: bool = False) -> tuple[int, bytes]:
        """What a store writes.  A STORE is done with its last beat, a record with its answer."""
        dut = self.dut
        dut.wr_busy_i.value = 1
        address, beats = await self._request("wr")
        words: list[int] = []
        get = lambda: int(dut.wr_data_o.value)  # noqa: E731
        pattern = stall_pattern(self.back_pressure, self.rng)
        await collect(dut.clk_i, dut.wr_valid_o, dut.wr_ready_i, get, pattern, words, beats)
        for cycle in range(12):
            await RisingEdge(dut.clk_i)
            assert not int(dut.wr_valid_o.value), "a beat too many"
            if answered:
                assert int(dut.busy_o.value), "idle before the write master has answered"
            elif cycle > 1:
                assert not int(dut.busy_o.value), "a STORE waits for the write master"
        dut.wr_busy_i.value = 0
        await wait_for(dut.clk_i, lambda: not int(dut.busy_o.value), 4)
        return address, b"".join(word.to_bytes(8, "little") for word in words)

    async def store(self, length: int, ddr: int, src: int, *, from_scores: bool) -> None:
        """A STORE: address, bytes, zero padding."""
        self.store_beats = 0
        await self._begin(Op.STORE, length=length, ddr=ddr, src=src, from_scores=from_scores)
        source = self.scores if from_scores else self.fmem
        expected = bytes(source[src : src + length]).ljust(-(-length // 8) * 8, b"\0")
        assert await self._stored() == (OUTPUT + ddr, expected)
        assert self.store_beats == len(expected) // 8


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def loads(dut: Any, idle: str, back_pressure: str) -> None:
    """Bytes past the length stay as they were; nothing lands in the other memory."""
    bench = Bench(dut, idle, back_pressure)
    await bench.start()
    rng, config = bench.rng, bench.config
    for length in LENGTHS:
        dst = rng.randrange(config.fmem_bytes - length)
        await bench.load(Op.LOAD, length, dst=dst, ddr=8 * rng.randrange(1 << 20))
        whole = -(-length // 8) * 8
        dst = rng.randrange((config.gate_mem_bytes - whole) // 8) * 8
        await bench.load(Op.GLOAD, whole, dst=dst, w_addr=8 * rng.randrange(1 << 20))
        place = {"dst": rng.choice([0, 0, dst]), "w_addr": 8 * rng.randrange(1 << 20)}
        await bench.load(Op.GLOAD, TABLE_BYTES, variant=GLOAD_TABLE, **place)
    end = config.fmem_bytes - 13
    await bench.load(Op.LOAD, 13, dst=end, ddr=0)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(back_pressure=STALLS, from_scores=[False, True])
async def stores(dut: Any, back_pressure: str, from_scores: bool) -> None:
    """Unaligned sources, odd lengths, a sink that stalls longer than the FIFO is deep."""
    bench = Bench(dut, "none", back_pressure)
    await bench.start()
    rng = bench.rng
    for length in LENGTHS:
        limit = len(bench.scores) if from_scores else len(bench.fmem)
        src = rng.randrange(limit - length)
        src -= src % 8 if from_scores else 0
        await bench.store(length, 8 * rng.randrange(1 << 20), src, from_scores=from_scores)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(back_pressure=STALLS)
async def record(dut: Any, back_pressure: str) -> None:
    """The counters go to the head of the record, and are no beats of a STORE."""
    bench = Bench(dut, "none", back_pressure)
    await bench.start()
    values = [bench.rng.getrandbits(32) for _ in COUNTERS]
    dut.counters_i.value = pack(values, 32)
    dut.desc_i.value = descriptor(Op.HALT, length=3)
    await pulse(dut.clk_i, dut.record_i)
    expected = b"".join(value.to_bytes(4, "little") for value in values)
    assert len(expected) == COUNTER_BYTES
    assert await bench._stored(answered=True) == (OUTPUT, expected)
    assert bench.store_beats == 0
    await bench.store(9, 64, 3, from_scores=False)


@cocotb.test(**TIMEOUT)
async def one_beat_a_cycle(dut: Any) -> None:
    """A store without back-pressure writes a beat in every cycle once the first is there."""
    bench = Bench(dut)
    await bench.start()
    await bench._begin(Op.STORE, length=400, ddr=0, src=5)
    dut.wr_req_ready_i.value = 1
    dut.wr_ready_i.value = 1
    await wait_for(dut.clk_i, lambda: int(dut.wr_valid_o.value), 12)
    for _ in range(49):
        await RisingEdge(dut.clk_i)
        assert int(dut.wr_valid_o.value)
    await cycles(dut.clk_i, 5)
    assert not int(dut.busy_o.value)
