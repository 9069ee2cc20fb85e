"""ps_conv_ctrl and ps_conv_window: every step of a convolution, in order, once.

The model is the loop nest of docs/program.md over pixels: for each step the input pixel of every
lane, by its row and column; the window must hold it at its lane, or be masked off the map.
"""

import dataclasses
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.descriptor import DEPTHWISE, Op
from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    bench_config,
    bench_rng,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.stream import descriptor, pack, pulse, read_port, send

DATA_LATENCY = 3  # from the addresses to the flags
LIST = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One convolution: sizes, channels (depthwise: of each row in turn), groups of rows."""

    height: int
    width: int
    kernel: int
    polyphase: bool
    w_rows: bool
    split: int
    src: int
    src_stride: int
    phase_stride: int
    channels: tuple[int, ...]
    listed: bool
    groups: tuple[int, ...]
    depthwise: bool = False

    @property
    def out_size(self) -> tuple[int, int]:
        if self.polyphase:
            return (self.height + 1) // 2, (self.width + 1) // 2
        return self.height, self.width


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What comes out with a step; `base` is None where no lane is on the map."""

    base: int | None
    mask: int
    lanes: int  # lanes that are pixels of the tile
    weight: int | None
    group: int  # its parity chooses the half
    first: bool
    last: bool
    mode: int
    lane: int


#: offset, pixels, first, last, end, group parity, rows, lane, mode
Tile = tuple[int, ...]


def passes(
    config: HwConfig, rows: int, split: int, depthwise: bool
) -> Iterator[tuple[int, int, int]]:
    """(mode, rows, first row) of each pass of a group."""
    if depthwise:
        yield from ((config.modes - 1, 1, lane) for lane in range(rows))
        return
    lane = 0
    while rows:
        mode = 0
        if rows < config.p_oc:
            index = -(-8 * rows // max(config.p_oc, 8))
            mode = min(split >> 2 * index & 3, config.modes - 1)
        taken = min(rows, config.p_oc >> mode)
        yield mode, taken, lane
        rows -= taken
        lane += taken


def inputs(job: Job, kh: int, kw: int) -> tuple[np.ndarray, np.ndarray]:
    """Per output pixel: whether tap (kh, kw) is on the map, and the pixel's offset in memory."""
    rows, columns = job.out_size
    stride = 2 if job.polyphase else 1
    r, c = np.divmod(np.arange(rows * columns), columns)
    ir = r * stride + kh - job.kernel // 2
    ic = c * stride + kw - job.kernel // 2
    valid = (ir >= 0) & (ir < job.height) & (ic >= 0) & (ic < job.width)
    if job.polyphase:
        plane = (ir & 1) * 2 + (ic & 1)
        return valid, plane * job.phase_stride + (ir >> 1) * columns + (ic >> 1)
    return valid, ir * job.width + ic


def model(job: Job, config: HwConfig) -> tuple[list[Step], list[Tile]]:
    """Every step and every tile of a job."""
    rows, columns = job.out_size
    pixels = rows * columns
    taps = [inputs(job, kh, kw) for kh in range(job.kernel) for kw in range(job.kernel)]
    depth = config.row_taps(job.kernel, job.w_rows)
    steps: list[Step] = []
    tiles: list[Tile] = []
    own = iter(job.channels)  # depthwise: a pass has one row and its channel alone
    for group, group_rows in enumerate(job.groups):
        for mode, taken, lane in passes(config, group_rows, job.split, job.depthwise):
            channels = job.channels
            if job.depthwise and job.channels:
                channels = (next(own),)
            size = config.p_px << mode
            for offset in range(0, pixels, size):
                end = min(offset + size, pixels)
                found: list[tuple[int | None, int, int | None]] = []
                for position, channel in enumerate(channels):
                    source = job.src + channel * job.src_stride
                    for tap, (valid, where) in enumerate(taps):
                        on = valid[offset:end]
                        bases = (source + where[offset:end] - np.arange(end - offset))[on]
                        base = int(bases[0]) % config.fmem_bytes if len(bases) else None
                        assert (bases % config.fmem_bytes == base).all(), "not one window"
                        place = channel if job.w_rows and not job.depthwise else position
                        weight = place * depth + tap
                        found.append((base, pack(on, 1), weight))
                found = found or [(None, 0, None)]
                for index, step in enumerate(found):
                    steps.append(
                        Step(
                            base=step[0],
                            mask=step[1],
                            lanes=(1 << (end - offset)) - 1,
                            weight=step[2],
                            group=group,
                            first=index == 0,
                            last=index == len(found) - 1,
                            mode=mode,
                            lane=lane,
                        )
                    )
                last = end == pixels
                ends = last and lane + taken == group_rows
                tiles.append(
                    (offset, end - offset, offset == 0, last, ends, group, taken, lane, mode)
                )
    return steps, tiles


class Bench:
    """List memory, group tokens, and a monitor of steps and tiles."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = bench_rng()
        self.config = bench_config()
        self.lists = [0] * (self.config.max_channels * self.config.n_lists)
        self.steps: list[tuple[int, ...]] = []
        self.tiles: list[Tile] = []
        self.groups = 0
        self.real_steps = 0
        for signal in (dut.start_i, dut.group_valid_i, dut.shadow_free_i):
            signal.value = 0

    async def start(self, shadow: str = "none") -> None:
        dut = self.dut
        self.shadow = stall_pattern(shadow, self.rng)
        await start(dut.clk_i, dut.rst_ni)
        lookup = lambda: self.lists[int(dut.list_addr_o.value)]  # noqa: E731
        cocotb.start_soon(read_port(dut.clk_i, dut.list_data_i, lookup))
        cocotb.start_soon(self._monitor())

    async def _monitor(self) -> None:
        dut = self.dut
        read = lambda *names: tuple(int(getattr(dut, n).value) for n in names)  # noqa: E731
        addresses: deque[tuple[int, ...]] = deque([(0, 0, 0, 0)] * DATA_LATENCY)
        while True:
            dut.shadow_free_i.value = int(not next(self.shadow))
            await RisingEdge(dut.clk_i)
            asked = addresses.popleft()
            addresses.append(
                read("window_addr_o", "weight_addr_o", "weight_half_o", "window_mode_o")
            )
            self.real_steps += int(dut.step_o.value)
            if int(dut.mac_valid_o.value):
                flags = read("mac_first_o", "mac_last_o", "mac_mode_o", "mac_lane_o", "mac_mask_o")
                self.steps.append(asked + flags)
            if int(dut.tile_valid_o.value):
                assert int(dut.shadow_free_i.value), "a tile ended while the shadow was full"
                names = ("offset", "pixels", "first", "last", "end", "half", "rows", "lane", "mode")
                self.tiles.append(read(*(f"tile_{name}_o" for name in names)))

    async def run(self, job: Job, stall: str) -> int:
        """Run a job and compare every step and tile; cycles it took."""
        dut, config = self.dut, self.config
        rows, columns = job.out_size
        first = LIST * config.max_channels
        if job.listed:
            self.lists[first : first + len(job.channels)] = job.channels
        dut.desc_i.value = descriptor(
            Op.CONV,
            height=job.height,
            width=job.width,
            kernel=job.kernel,
            polyphase=job.polyphase,
            w_rows=job.w_rows,
            split=job.split,
            src=job.src,
            src_stride=job.src_stride,
            phase_stride=job.phase_stride,
            variant=DEPTHWISE if job.depthwise else 0,
            in_list=LIST if job.listed and not job.depthwise else ALL_CHANNELS,
            out_list=LIST if job.listed and job.depthwise else ALL_CHANNELS,
        )
        dut.n_in_i.value = min(len(job.channels), 1) if job.depthwise else len(job.channels)
        dut.n_out_i.value = sum(job.groups)
        dut.out_width_i.value = columns
        dut.out_pixels_i.value = rows * columns
        self.steps.clear()
        self.tiles.clear()
        self.real_steps = 0
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        self.sender = tokens = cocotb.start_soon(self._tokens(job, stall))
        taken = 0
        await RisingEdge(dut.clk_i)
        while int(dut.busy_o.value) or int(dut.pending_o.value):
            taken += 1
            assert taken < 100_000, "hung"
            await RisingEdge(dut.clk_i)
        assert tokens.done(), "a group was not taken"
        self._compare(job)
        self.groups += len(job.groups)
        return taken

    async def _tokens(self, job: Job, stall: str) -> None:
        dut = self.dut

        def put(token: tuple[int, bool]) -> None:
            dut.group_rows_i.value = token[0]
            dut.group_last_i.value = int(token[1])

        words = [(rows, g == len(job.groups) - 1) for g, rows in enumerate(job.groups)]
        pattern = stall_pattern(stall, self.rng)
        await send(dut.clk_i, dut.group_valid_i, dut.group_ready_o, put, words, pattern)

    def _compare(self, job: Job) -> None:
        steps, tiles = model(job, self.config)
        half = lambda group: (group + self.groups) % 2  # noqa: E731
        assert len(self.steps) == len(steps), job
        for index, (got, step) in enumerate(zip(self.steps, steps, strict=True)):
            address, weight, weight_half, window_mode, first, last, mode, lane, mask = got
            where = f"step {index}: {got}, model {step}, {job}"
            assert mask & step.lanes == step.mask, where
            assert step.base is None or address == step.base, where
            assert step.weight is None or (weight, weight_half) == (
                step.weight,
                half(step.group),
            ), where
            assert window_mode == mode, where
            assert (first, last, mode, lane) == (step.first, step.last, step.mode, step.lane), where
        assert self.tiles == [(*t[:5], half(t[5]), *t[6:]) for t in tiles], job
        assert self.real_steps == (len(steps) if job.channels else 0)


def make_job(
    rng: random.Random,
    config: HwConfig,
    size: tuple[int, int],
    kernel: int,
    *,
    polyphase: bool,
    split: int,
    groups: tuple[int, ...],
    channels: int = 1,
    depthwise: bool = False,
) -> Job:
    """A job with random addresses, and channels of a list or all of them."""
    height, width = size
    plane = ((height + 1) // 2) * ((width + 1) // 2)
    listed = rng.random() < 0.5
    limit = min(config.max_channels, config.wbuf_bytes // config.row_taps(kernel, False))
    ids = range(channels)
    return Job(
        height=height,
        width=width,
        kernel=kernel,
        polyphase=polyphase,
        w_rows=rng.random() < 0.5,
        split=split,
        src=rng.randrange(config.fmem_bytes),
        src_stride=rng.randrange(height * width, height * width + 40),
        phase_stride=plane + rng.randrange(20) if polyphase else 0,
        channels=tuple(sorted(rng.sample(range(limit), channels)) if listed else ids),
        listed=listed,
        groups=groups,
        depthwise=depthwise,
    )


def uniform_split(mode: int) -> int:
    """The same mode whatever is left of a group."""
    return mode * 0x5555


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def every_size(dut: Any) -> None:
    """Maps of 1..20 x 1..20, each with a kernel, a stride and a mode in turn."""
    bench = Bench(dut)
    await bench.start()
    rng, config = bench.rng, bench.config
    turns = [(k, p, m) for k in (1, 3, 5, 7) for p in (False, True) for m in range(config.modes)]
    for index, size in enumerate((h, w) for h in range(1, 21) for w in range(1, 21)):
        if config.p_oc < 8 and index % 2:  # the small array takes four times as many steps
            continue
        kernel, polyphase, mode = turns[(index * 7 + index // 20) % len(turns)]
        rows = config.p_oc if mode == 0 else 1
        job = make_job(
            rng,
            config,
            size,
            kernel,
            polyphase=polyphase,
            split=uniform_split(mode),
            groups=(rows,),
        )
        await bench.run(job, "none")


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(polyphase=[False, True], kernel=[1, 3, 5, 7])
async def small_maps(dut: Any, polyphase: bool, kernel: int) -> None:
    """Every map up to 4 x 4: kernels wider than the map, odd and even sides, every mode."""
    bench = Bench(dut)
    await bench.start()
    config = bench.config
    for mode in range(config.modes):
        for size in ((h, w) for h in range(1, 5) for w in range(1, 5)):
            job = make_job(
                bench.rng,
                config,
                size,
                kernel,
                polyphase=polyphase,
                split=uniform_split(mode),
                groups=(config.p_oc if mode == 0 else 1,),
            )
            await bench.run(job, "none")


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(polyphase=[False, True])
async def longest_sides(dut: Any, polyphase: bool) -> None:
    """Maps of 1023 rows or columns, the most there may be."""
    bench = Bench(dut)
    await bench.start()
    for size in ((1023, 1), (1, 1023)):
        groups = (bench.config.p_oc,)
        job = make_job(
            bench.rng, bench.config, size, 3, polyphase=polyphase, split=0, groups=groups
        )
        await bench.run(job, "none")


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def groups_and_passes(dut: Any, idle: str, back_pressure: str) -> None:
    """Several groups, passes of any split, several or no channels; late weights, a full shadow."""
    bench = Bench(dut)
    await bench.start(shadow=back_pressure)
    rng, config = bench.rng, bench.config
    for channels in (1, 2, 3, 0, 5):
        job = make_job(
            rng,
            config,
            (rng.randint(1, 9), rng.randint(1, 9)),
            rng.choice([1, 3]),
            polyphase=rng.random() < 0.5,
            split=rng.getrandbits(16),
            groups=(config.p_oc,) * rng.randrange(3) + (rng.randint(1, config.p_oc),),
            channels=channels,
        )
        await bench.run(job, idle)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS)
async def depthwise(dut: Any, idle: str, back_pressure: str) -> None:
    """Every output channel, of a list or all, against its own input channel; or against none."""
    bench = Bench(dut)
    await bench.start(shadow=back_pressure)
    rng, config = bench.rng, bench.config
    for turn in range(6):
        groups = (config.p_oc,) * rng.randrange(3) + (rng.randint(1, config.p_oc),)
        job = make_job(
            rng,
            config,
            (rng.randint(1, 14), rng.randint(1, 14)),
            rng.choice([1, 3, 5]),
            polyphase=rng.random() < 0.5,
            split=rng.getrandbits(16),
            groups=groups,
            channels=sum(groups) if turn else 0,
            depthwise=True,
        )
        await bench.run(job, idle)


@cocotb.test(**TIMEOUT)
async def one_step_a_cycle(dut: Any) -> None:
    """With weights there and the shadow free, nothing but the fill is lost between tiles."""
    bench = Bench(dut)
    await bench.start()
    config = bench.config
    job = make_job(
        bench.rng,
        config,
        (8, 8),
        3,
        polyphase=False,
        split=0,
        groups=(config.p_oc, config.p_oc),
        channels=4,
    )
    steps = len(model(job, config)[0])
    assert await bench.run(job, "none") <= steps + 16


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reset_in_a_run(dut: Any) -> None:
    """One cycle of reset ends a run wherever it is: no step comes out, the next run is exact."""
    bench = Bench(dut)
    await bench.start()
    rng, config = bench.rng, bench.config
    for _ in range(60):
        options = {"polyphase": False, "split": 0, "groups": (config.p_oc,)}
        # Every second step is a tile's last; then of a single channel, every one.
        job = make_job(rng, config, (9, 9), 1, channels=rng.randint(1, 2), **options)
        running = cocotb.start_soon(bench.run(job, "none"))
        for _ in range(rng.randint(6, 30)):
            await RisingEdge(dut.clk_i)
        running.cancel()
        bench.sender.cancel()
        dut.group_valid_i.value = 0
        dut.rst_ni.value = 0
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        for _ in range(10):
            await RisingEdge(dut.clk_i)
            outputs = dut.mac_valid_o, dut.pending_o, dut.busy_o, dut.tile_valid_o
            assert not any(int(signal.value) for signal in outputs)
        bench.groups = 0  # a reset: the next group takes half 0
        await bench.run(job, "none")
