"""ps_epilogue: slices to bytes, residual in place, saturation, pooled sums, against NumPy.

The bench plays controller and array: it announces a tile when the shadow may be filled, loads its
sums nine cycles later, which it says a cycle before, and shifts them out slice by slice.
"""

import dataclasses
from collections import deque
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.compiler.numerics import requantize
from penstock.program.core.config import TABLE_BYTES
from penstock.program.core.descriptor import Op
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_config, bench_rng, stall_pattern, start
from penstock.sim.cocotb.stream import cycles, descriptor, pack, pulse, read_port, unpack, wait_for

#: From a last step (tile_valid_i) to array_loaded_i.
LOAD = 8
READ_LATENCY = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """The fields of a CONV that the epilogue uses."""

    pixels: int
    groups: tuple[int, ...]  # rows of each
    dst: int
    dst_stride: int
    pool_base: int
    clamp_lo: int
    clamp_hi: int
    res_en: bool = False
    res_signed: bool = False
    res_sat8: bool = False
    pool_en: bool = False
    length: int = 0  # of the table


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """What tile_* says."""

    offset: int
    pixels: int
    first: bool
    last: bool
    end: bool
    half: int
    rows: int
    lane: int
    mode: int


class Bench:
    """Parameters, memory, pooled sums, and the array's shadow."""

    def __init__(self, dut: Any, idle: str = "none") -> None:
        self.dut = dut
        self.config = bench_config()
        self.random = bench_rng()
        self.rng = np.random.default_rng(self.random.getrandbits(32))
        self.idle = stall_pattern(idle, self.random)
        self.memory = self.rng.integers(0, 256, self.config.fmem_bytes, np.uint8)
        self.pool: dict[int, int] = {}
        self.table = np.zeros(TABLE_BYTES, np.uint8)
        self.shadow: deque[list[int]] = deque()
        self.coming: list[list[int]] = []  # what the next array_loaded_i is of
        self.groups = self.released = 0
        self.ports: set[str] = set()  # that old bytes were read through
        rows = 2 * self.config.p_oc
        self.params, self.channels = [0] * rows, [0] * rows
        for signal in (dut.start_i, dut.tile_wanted_i, dut.array_loaded_i, dut.empty_i):
            signal.value = 0
        dut.table_we_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        await start(dut.clk_i, dut.rst_ni)
        b_old = lambda: self._window(dut.mem_read_o, dut.mem_addr_o)  # noqa: E731
        a_old = lambda: self._window(dut.mem_a_read_o, dut.mem_a_addr_o)  # noqa: E731
        cocotb.start_soon(read_port(dut.clk_i, dut.mem_rdata_i, b_old, READ_LATENCY))
        cocotb.start_soon(read_port(dut.clk_i, dut.mem_a_rdata_i, a_old, READ_LATENCY))
        cocotb.start_soon(self._shift())
        cocotb.start_soon(self._monitor())

    def _window(self, enable: Any, address: Any) -> int:
        if not int(enable.value):
            return self.random.getrandbits(8 * self.config.p_px)  # nothing was asked for
        lanes = (int(address.value) + np.arange(self.config.p_px)) % len(self.memory)
        return pack(self.memory[lanes], 8)

    async def _monitor(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            used = int(dut.mem_mask_o.value) or int(dut.mem_read_o.value)
            assert int(dut.busy_o.value) or not used, "port B is used while idle"
            self.released += int(dut.release_o.value)
            for port, read in (("A", dut.mem_a_read_o), ("B", dut.mem_read_o)):
                if int(read.value):
                    self.ports.add(port)
            mask = int(dut.mem_mask_o.value)
            if mask:
                assert not int(dut.mem_read_o.value), "port B reads and writes"
                data = unpack(int(dut.mem_wdata_o.value), 8, self.config.p_px)
                for lane in range(self.config.p_px):
                    if mask >> lane & 1:
                        at = (int(dut.mem_addr_o.value) + lane) % len(self.memory)
                        self.memory[at] = data[lane]
            if int(dut.pool_we_o.value):
                self.pool[int(dut.pool_addr_o.value)] = dut.pool_data_o.value.to_signed()

    async def _shift(self) -> None:
        """The array's shadow: row 0 until it is shifted out."""
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            loads = int(dut.array_loaded_i.value)
            if int(dut.array_shift_o.value):
                self.shadow.popleft()
            if loads:
                assert not self.shadow, "the shadow is overwritten"
                self.shadow.extend(self.coming)
            if loads or int(dut.array_shift_o.value):
                dut.array_row_i.value = pack(self.shadow[0], 32) if self.shadow else 0

    async def _load(self, slices: list[list[int]]) -> None:
        """Sums are announced LOAD cycles after the tile."""
        dut = self.dut
        await cycles(dut.clk_i, LOAD - 1)
        self.coming = slices
        await pulse(dut.clk_i, dut.array_loaded_i)

    async def _announce(self, tile: Tile, sums: np.ndarray) -> None:
        """Announce a tile whose sums [rows, pixels] of the pass are these."""
        dut, config = self.dut, self.config
        shape = config.p_oc >> tile.mode
        blocks = -(-tile.pixels // config.p_px)
        padded = self.rng.integers(-(1 << 31), 1 << 31, (shape, blocks * config.p_px))
        padded[: tile.rows, : tile.pixels] = sums
        slices = [
            padded[row, block * config.p_px : (block + 1) * config.p_px].tolist()
            for block in range(blocks)
            for row in range(tile.rows if block == blocks - 1 else shape)
        ]
        while next(self.idle):
            await RisingEdge(dut.clk_i)
        for field in dataclasses.fields(tile):
            getattr(dut, f"tile_{field.name}_i").value = int(getattr(tile, field.name))
        dut.tile_wanted_i.value = 1
        await wait_for(dut.clk_i, lambda: int(dut.tile_valid_o.value), 500)
        dut.tile_wanted_i.value = 0
        cocotb.start_soon(self._load(slices))

    async def load_table(self) -> None:
        """Another table, its words as they come from the bus: one a cycle, or with gaps."""
        dut = self.dut
        self.table = self.rng.integers(0, 256, TABLE_BYTES, np.uint8)
        gaps = self.rng.random() * self.rng.integers(2)
        for word in range(TABLE_BYTES // 8):
            while self.rng.random() < gaps:
                await RisingEdge(dut.clk_i)
            dut.table_word_i.value = word
            dut.table_data_i.value = pack(self.table[8 * word : 8 * word + 8].tolist(), 8)
            await pulse(dut.clk_i, dut.table_we_i)
        await cycles(dut.clk_i, 2)  # the descriptors behind it take longer

    def _parameters(self, half: int, rows: int, first: int) -> list[tuple[int, int, int]]:
        """Random parameters of a group, driven from now on."""
        config, rng, dut = self.config, self.rng, self.dut
        triples = []
        for row in range(rows):
            shift = int(rng.choice([1, 20, 22, 24, 47]))
            triple = int(rng.integers(-100000, 100000)), int(rng.integers(1 << 16)), shift
            bias, multiplier, _ = triple
            at = half * config.p_oc + row
            self.params[at] = (shift << 48) | (multiplier << 32) | (bias & 0xFFFF_FFFF)
            self.channels[at] = first + row
            triples.append(triple)
        dut.params_i.value = pack(self.params, 64)
        dut.channels_i.value = pack(self.channels, config.max_channels.bit_length())
        return triples

    async def run(self, conv: Conv, modes: list[int], *, empty: bool = False) -> None:
        """Every tile of every pass and group; memory and pooled sums are compared as a whole."""
        dut, config, rng = self.dut, self.config, self.rng
        fields = {f.name: getattr(conv, f.name) for f in dataclasses.fields(conv)}
        del fields["pixels"], fields["groups"]
        dut.desc_i.value = descriptor(Op.CONV, **fields)
        dut.empty_i.value = int(empty)
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        dut.empty_i.value = int(not empty)
        memory, pool = self.memory.copy(), dict(self.pool)
        channel = int(rng.integers(3))
        for rows in conv.groups:
            while self.groups - self.released >= 2:  # the weights' half is not free
                await RisingEdge(dut.clk_i)
            half = self.groups % 2
            self.groups += 1
            triples = self._parameters(half, rows, channel)
            scale = rng.choice([100, 100000, 1 << 31])
            sums = rng.integers(-scale, scale, (rows, conv.pixels))
            np.clip(sums, -(1 << 31) + 100000, (1 << 31) - 100001, out=sums)
            self._expect(conv, memory, pool, channel, sums, triples)
            lane = 0
            while lane < rows:
                mode = 0 if rows == config.p_oc else self.random.choice(modes)
                taken = min(rows - lane, config.p_oc >> mode)
                size = config.p_px << mode
                for offset in range(0, conv.pixels, size):
                    end = min(offset + size, conv.pixels)
                    last = end == conv.pixels
                    tile = Tile(
                        offset=offset,
                        pixels=end - offset,
                        first=offset == 0,
                        last=last,
                        end=last and lane + taken == rows,
                        half=half,
                        rows=taken,
                        lane=lane,
                        mode=mode,
                    )
                    await self._announce(tile, sums[lane : lane + taken, offset:end])
                lane += taken
            channel += rows
        await wait_for(dut.clk_i, lambda: not int(dut.busy_o.value))
        await RisingEdge(dut.clk_i)
        np.testing.assert_array_equal(self.memory, memory)
        assert self.pool == pool
        assert self.released == self.groups
        assert self.ports == ({"A" if empty else "B"} if conv.res_en else set())
        self.ports.clear()

    def _expect(
        self,
        conv: Conv,
        memory: np.ndarray,
        pool: dict[int, int],
        channel: int,
        sums: np.ndarray,
        triples: list[tuple[int, int, int]],
    ) -> None:
        """The bytes and pooled sums of a group, by docs/program.md."""
        for row, (bias, multiplier, shift) in enumerate(triples):
            first = conv.dst + (channel + row) * conv.dst_stride
            old = memory[first : first + conv.pixels]
            y = requantize(sums[row] + bias, np.int64(multiplier), np.int64(shift))
            if conv.res_sat8:
                y = np.clip(y, -128, 127)
            if conv.res_en:
                y = y + (old.view(np.int8) if conv.res_signed else old)
            y = np.clip(y, conv.clamp_lo, conv.clamp_hi)
            if conv.length:
                y = self.table[y & 0xFF]
                y = (y.view(np.int8) if conv.clamp_lo < 0 else y).astype(np.int64)
            old[:] = (y & 0xFF).astype(np.uint8)
            if conv.pool_en:
                pool[conv.pool_base + channel + row] = int(y.sum())

    def conv(self, pixels: int, groups: tuple[int, ...], **flags: int) -> Conv:
        """A convolution somewhere in memory, with one of the usual clamps."""
        rng, config = self.rng, self.config
        low, high = [(-128, 127), (0, 255), (-3, 5), (-32768, 32767)][int(rng.integers(4))]
        return Conv(
            pixels=pixels,
            groups=groups,
            dst=int(rng.integers(1000)),
            dst_stride=pixels + int(rng.integers(20)),
            pool_base=int(rng.integers(config.pool_depth - 64)),
            clamp_lo=low,
            clamp_hi=high,
            **flags,
        )


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, res_en=[False, True])
async def groups_and_passes(dut: Any, idle: str, res_en: bool) -> None:
    """Maps around one and two tiles, full and partial groups, passes of every mode."""
    bench = Bench(dut, idle)
    await bench.start()
    px, oc = bench.config.p_px, bench.config.p_oc
    modes = list(range(bench.config.modes))
    for pixels in (1, px - 1, px, px + 1, 2 * px + 1, oc * px, oc * px + 1):
        groups = (oc,) * bench.random.randrange(3) + (bench.random.randint(1, oc),)
        flags = {name: bench.random.random() < 0.5 for name in ("res_signed", "res_sat8")}
        await bench.run(bench.conv(pixels, groups, res_en=res_en, pool_en=True, **flags), modes)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(res_signed=[False, True], res_sat8=[False, True], pool_en=[False, True])
async def residual_forms(dut: Any, res_signed: bool, res_sat8: bool, pool_en: bool) -> None:
    """Old bytes signed or not, saturated before the sum or not, pooled or not."""
    bench = Bench(dut)
    await bench.start()
    oc = bench.config.p_oc
    flags = {"res_signed": res_signed, "res_sat8": res_sat8, "pool_en": pool_en}
    for _ in range(3):
        await bench.run(bench.conv(37, (oc, oc, 1), res_en=True, **flags), [0])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(res_en=[False, True], pool_en=[False, True], empty=[False, True])
async def by_table(dut: Any, res_en: bool, pool_en: bool, empty: bool) -> None:
    """Results and sums are the table's entries; a convolution without a table uses none."""
    bench = Bench(dut)
    await bench.start()
    oc, rng = bench.config.p_oc, bench.random
    modes = list(range(bench.config.modes))
    for turn in range(8):
        if turn % 3 == 0:
            await bench.load_table()
        flags = {"res_en": res_en, "pool_en": pool_en, "length": TABLE_BYTES * (turn % 4 != 2)}
        flags |= {name: rng.randrange(2) for name in ("res_signed", "res_sat8")}
        pixels = rng.choice([1, 37, 2 * bench.config.p_px + 1])
        await bench.run(bench.conv(pixels, (oc, rng.randint(1, oc)), **flags), modes, empty=empty)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, res_en=[False, True])
async def without_input_channels(dut: Any, idle: str, res_en: bool) -> None:
    """An empty input list: the old bytes come through port A."""
    bench = Bench(dut, idle)
    await bench.start()
    oc = bench.config.p_oc
    modes = list(range(bench.config.modes))
    for pixels in (3, 2 * bench.config.p_px + 1, 50):
        conv = bench.conv(pixels, (oc, oc, max(oc - 1, 1)), res_en=res_en, res_sat8=True)
        await bench.run(conv, modes, empty=True)
