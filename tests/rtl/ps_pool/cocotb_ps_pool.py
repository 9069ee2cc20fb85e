"""ps_pool against the golden engine: kernels, strides, padding, signs, odd sizes; its cycles."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.program.core.config import HwConfig
from penstock.program.core.descriptor import Descriptor, Op
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng, start
from penstock.sim.cocotb.stream import pack, pulse, read_port, unpack
from penstock.sim.golden.checks import Limits, check, out_size
from penstock.sim.golden.pool import pool
from penstock.sim.golden.state import State

LATENCY = 3


def drain(d: Descriptor, config: HwConfig) -> int:
    """Cycles from the last tap to the end of the last write: an average goes by quarters of FB."""
    lanes = config.pool_lanes(2 if d.stride2 else 1)
    last = (out_size(d)[1] - 1) % lanes + 1
    return 9 + -(-last * 4 // config.fmem_banks) if d.average else 6


class Bench:
    """Feature memory as an array of bytes: one window read and one write a cycle."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = bench_config()
        self.size, self.fb = self.config.fmem_bytes, self.config.fmem_banks
        self.rng = np.random.default_rng(bench_rng().getrandbits(32))
        self.memory = self.rng.integers(0, 256, self.size, np.uint8)
        dut.start_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        await start(dut.clk_i, dut.rst_ni)
        cocotb.start_soon(read_port(dut.clk_i, dut.rd_data_i, self._read, LATENCY))
        cocotb.start_soon(self._write())

    def _read(self) -> int:
        """The window asked for; lanes beyond it hold anything, as in the memory."""
        count = self.fb * (2 if int(self.dut.rd_wide_o.value) else 1)
        lanes = np.arange(self.config.window_bytes)
        window = self.memory[(int(self.dut.rd_addr_o.value) + lanes) % self.size]
        return pack(np.where(lanes < count, window, self.rng.integers(0, 256, len(lanes))), 8)

    async def _write(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            mask = int(dut.wr_mask_o.value)
            if mask:
                data = unpack(int(dut.wr_data_o.value), 8, self.fb)
                base = int(dut.wr_addr_o.value)
                for lane in range(self.fb):
                    if mask >> lane & 1:
                        self.memory[(base + lane) % self.size] = data[lane]

    def descriptor(self, channels: int, height: int, width: int, **fields: int) -> Descriptor:
        """A legal POOL of random places; average factors around 1 / K^2, and bounds that bite."""
        rng, kernel = self.rng, fields["kernel"]
        src_stride = height * width + int(rng.integers(9))
        src = int(rng.integers(50))
        values = {"src": src, "src_stride": src_stride} | fields
        if fields.get("average"):
            shift = int(rng.integers(12, 20))
            factor = min(round((1 << shift) / kernel**2 * rng.uniform(0.5, 1.5)), 65535)
            if rng.random() < 0.3:  # any factor
                shift, factor = int(rng.integers(1, 48)), int(rng.integers(1 << 16))
            values |= {"w_addr": factor | shift << 16}
            low, high = sorted(int(v) for v in rng.integers(-128, 256, 2))
            values |= {"clamp_lo": low, "clamp_hi": high}
        d = Descriptor.make(Op.POOL, cout=channels, height=height, width=width, **values)
        rows, columns = out_size(d)
        dst_stride = rows * columns + int(rng.integers(9))
        dst = src + channels * src_stride + int(rng.integers(50))
        return Descriptor(values=d.values | {"dst": dst, "dst_stride": dst_stride})

    async def pool(self, d: Descriptor) -> int:
        """Run one POOL on random maps and compare the whole memory; cycles it took."""
        dut, rng = self.dut, self.rng
        limits = Limits(
            config=self.config, n_descriptors=1, input_stride=0, output_stride=0, weight_bytes=0
        )
        check(d, limits)
        self.memory[:] = rng.integers(0, 256, self.size, np.uint8)
        state = State.new(self.config)
        state.fmem[:] = self.memory
        pool(d, state)
        dut.desc_i.value = int.from_bytes(d.encode(), "little")
        dut.out_width_i.value = out_size(d)[1]
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        dut.out_width_i.value = 0
        taken = 0
        await RisingEdge(dut.clk_i)
        while int(dut.busy_o.value):
            taken += 1
            await RisingEdge(dut.clk_i)
        np.testing.assert_array_equal(self.memory, state.fmem, err_msg=str(d.values))
        return taken


def random_fields(rng: np.random.Generator, kernel: int) -> dict[str, int]:
    """Stride, padding, kind and sign for a kernel."""
    average = int(rng.integers(2)) if kernel > 1 else 0
    return {
        "kernel": kernel,
        "pad": int(rng.integers((kernel + 1) // 2)),
        "stride2": int(rng.integers(2)),
        "average": average,
        "src_signed": int(rng.integers(2)),
    }


@cocotb.test(**TIMEOUT)
async def every_kernel(dut: Any) -> None:
    """K = 1 .. 7 with every padding, stride, kind and sign on a small odd map."""
    bench = Bench(dut)
    await bench.start()
    for index in range(7 * 4 * 16):
        kernel, pad, flags = 1 + index % 7, index // 7 % 4, index // 28
        stride2, average, signed = flags & 1, flags >> 1 & 1, flags >> 2 & 1
        if flags > 7 or 2 * pad >= kernel or (average and kernel == 1):
            continue
        fields = {"kernel": kernel, "pad": pad, "stride2": stride2, "average": average}
        side = int(bench.rng.integers(max(kernel - 2 * pad, 1), kernel + 5))
        await bench.pool(bench.descriptor(2, side, side + 1, src_signed=signed, **fields))


@cocotb.test(**TIMEOUT)
async def sizes(dut: Any) -> None:
    """Widths around one and two tiles, several channels: one tap a cycle, no gap."""
    bench = Bench(dut)
    await bench.start()
    fb = bench.fb
    sides = sorted({3, fb - 1, fb, fb + 1, 2 * fb - 1, 2 * fb, 2 * fb + 1, 4 * fb + 1})
    for index, width in enumerate(sides * 4):
        fields = random_fields(bench.rng, (3, 2)[index % 2])
        d = bench.descriptor(1 + index % 3, int(bench.rng.integers(3, 7)), width, **fields)
        rows, columns = out_size(d)
        lanes = bench.config.pool_lanes(2 if d.stride2 else 1)
        taps = d.cout * rows * -(-columns // lanes) * d.kernel**2
        assert await bench.pool(d) == taps + drain(d, bench.config)


@cocotb.test(**TIMEOUT)
async def extremes(dut: Any) -> None:
    """The longest sides; the least and greatest byte everywhere."""
    bench = Bench(dut)
    await bench.start()
    for height, width in ((1023, 1), (1, 1023)):
        await bench.pool(bench.descriptor(1, height, width, kernel=3, pad=1, stride2=1))
    for signed in (0, 1):
        d = bench.descriptor(2, 9, 9, kernel=7, pad=3, average=1, src_signed=signed)
        values = d.values | {"clamp_lo": -32768, "clamp_hi": 32767}
        await bench.pool(Descriptor(values=values))


@cocotb.test(**TIMEOUT)
async def random(dut: Any) -> None:
    """Anything, one after the other."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(60):
        fields = random_fields(bench.rng, int(bench.rng.integers(1, 8)))
        height, width = (int(bench.rng.integers(7, 24)) for _ in range(2))
        await bench.pool(bench.descriptor(int(bench.rng.integers(1, 4)), height, width, **fields))


@cocotb.test(**TIMEOUT)
async def reset_mid_pool(dut: Any) -> None:
    """A reset stops the writes; the next POOL is whole."""
    bench = Bench(dut)
    await bench.start()
    for average in (0, 1):
        d = bench.descriptor(2, 9, 9, kernel=3, pad=1, average=average)
        task = cocotb.start_soon(bench.pool(d))
        for _ in range(20):
            await RisingEdge(dut.clk_i)
        task.cancel()
        dut.start_i.value = 0
        dut.rst_ni.value = 0
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        await RisingEdge(dut.clk_i)
        assert not int(dut.busy_o.value) and not int(dut.wr_mask_o.value)
        await bench.pool(bench.descriptor(1, 5, 7, kernel=2, stride2=1, average=average))
