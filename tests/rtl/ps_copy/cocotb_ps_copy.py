"""ps_copy: linear to polyphase against NumPy, odd sizes, several channels, no byte beside them."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.program.core.descriptor import Op
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng, start
from penstock.sim.cocotb.stream import descriptor, pack, pulse, read_port, unpack

LATENCY = 3


class Bench:
    """Feature memory as an array of bytes: one read and one write of FB bytes a cycle."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        config = bench_config()
        self.size, self.fb = config.fmem_bytes, config.fmem_banks
        self.rng = np.random.default_rng(bench_rng().getrandbits(32))
        self.memory = self.rng.integers(0, 256, self.size, np.uint8)
        dut.start_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        await start(dut.clk_i, dut.rst_ni)
        cocotb.start_soon(read_port(dut.clk_i, dut.rd_data_i, self._read, LATENCY))
        cocotb.start_soon(self._write())

    def _read(self) -> int:
        lanes = (int(self.dut.rd_addr_o.value) + np.arange(self.fb)) % self.size
        return pack(self.memory[lanes], 8)

    async def _write(self) -> None:
        dut, half = self.dut, self.fb // 2
        while True:
            await RisingEdge(dut.clk_i)
            mask = int(dut.wr_mask_o.value)
            if mask:
                data = unpack(int(dut.wr_data_o.value), 8, self.fb)
                bases = int(dut.wr_addr_o.value), int(dut.wr_upper_o.value)
                assert (bases[1] - bases[0]) % self.fb == 0, "halves share banks"
                for lane in range(self.fb):
                    if mask >> lane & 1:
                        at = bases[lane // half] + lane
                        self.memory[at % self.size] = data[lane]

    async def copy(self, channels: int, height: int, width: int, rows_of: int = 0) -> int:
        """Copy random maps, compare the whole memory; cycles it took.  rows_of: variant."""
        dut, rng, fb = self.dut, self.rng, self.fb
        rows, columns = (height + 1) // 2, (width + 1) // 2
        phase = -(-rows * columns // fb) * fb + fb // 2 + fb * int(rng.integers(3))
        plane = 3 * phase + rows * columns
        src_stride = height * width + int(rng.integers(9))
        dst_stride = plane + int(rng.integers(9))
        src = int(rng.integers(50))
        dst = src + channels * src_stride + int(rng.integers(50))
        self.memory[:] = rng.integers(0, 256, self.size, np.uint8)
        expected = self.memory.copy()
        for k in range(channels):
            first = src + k * src_stride
            image = self.memory[first : first + height * width].reshape(height, width)
            for r, c in np.ndindex(height, width):
                if rows_of and r & 1 != rows_of - 1:
                    continue
                at = dst + k * dst_stride + ((r & 1) * 2 + (c & 1)) * phase
                expected[at + (r >> 1) * columns + (c >> 1)] = image[r, c]
        dut.desc_i.value = descriptor(
            Op.COPY,
            cout=channels,
            variant=rows_of,
            height=height,
            width=width,
            src=src,
            dst=dst,
            src_stride=src_stride,
            dst_stride=dst_stride,
            phase_stride=phase,
        )
        dut.out_width_i.value = columns
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        dut.out_width_i.value = 0
        taken = 0
        await RisingEdge(dut.clk_i)
        while int(dut.busy_o.value):
            taken += 1
            await RisingEdge(dut.clk_i)
        np.testing.assert_array_equal(self.memory, expected)
        return taken


@cocotb.test(**TIMEOUT)
async def sizes(dut: Any) -> None:
    """Sides around one and two windows, one to three channels: one window a cycle."""
    bench = Bench(dut)
    await bench.start()
    fb = bench.fb
    sides = sorted({1, 2, 3, 4, fb - 1, fb, fb + 1, 2 * fb, 2 * fb + 1})
    for index, (height, width) in enumerate((h, w) for h in sides for w in sides):
        channels = 1 + index % 3
        taken = await bench.copy(channels, height, width)
        assert taken == channels * height * -(-width // fb) + LATENCY


@cocotb.test(**TIMEOUT)
async def every_small_map(dut: Any) -> None:
    """All maps up to 6 x 6, and the longest sides."""
    bench = Bench(dut)
    await bench.start()
    for height in range(1, 7):
        for width in range(1, 7):
            await bench.copy(2, height, width)
    await bench.copy(1, 1023, 2)  # the most there may be
    await bench.copy(1, 2, 1023)


@cocotb.test(**TIMEOUT)
async def rows_of_one_parity(dut: Any) -> None:
    """The even rows alone, the odd rows alone: the others' planes stay, half of the cycles."""
    bench = Bench(dut)
    await bench.start()
    fb = bench.fb
    for height in (1, 2, 3, 6, 7):
        for width in (1, 2, fb - 1, fb, 2 * fb + 3):
            for odd in (0, 1) if height > 1 else (0,):
                taken = await bench.copy(3, height, width, 1 + odd)
                assert taken == 3 * ((height + 1 - odd) // 2) * -(-width // fb) + LATENCY


@cocotb.test(**TIMEOUT)
async def reset_mid_copy(dut: Any) -> None:
    """A reset stops the writes; the next copy is whole."""
    bench = Bench(dut)
    await bench.start()
    copy = cocotb.start_soon(bench.copy(2, 9, 9))
    for _ in range(8):
        await RisingEdge(dut.clk_i)
    copy.cancel()
    dut.rst_ni.value = 0
    await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await RisingEdge(dut.clk_i)
    assert not int(dut.busy_o.value) and not int(dut.wr_mask_o.value)
    await bench.copy(1, 5, 7)
