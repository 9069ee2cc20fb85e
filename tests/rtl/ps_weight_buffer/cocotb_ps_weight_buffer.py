"""The fetch controller and its buffer: what is asked for, what arrives where, two groups."""

import dataclasses
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.program.core.config import ALL_CHANNELS
from penstock.program.core.descriptor import Op
from penstock.sim.cocotb.bench import (
    STALLS,
    TIMEOUT,
    bench_config,
    bench_rng,
    stall_pattern,
    start,
)
from penstock.sim.cocotb.stream import descriptor, pulse, read_port, runs, unpack, wait_for

BASE = 0x0000_00FF_FFFF_F000
READ_LATENCY = 3
IN_LIST, OUT_LIST = 0, 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """One convolution's weights: layout, sizes, surviving channels."""

    w_rows: bool
    kernel: int
    cin: int
    cout: int
    w_addr: int
    w_stride: int
    ics: tuple[int, ...]
    ocs: tuple[int, ...]
    in_listed: bool
    out_listed: bool
    fold_slot: int


class Bench:
    """Weight blob, lists, a read master that answers in order, and whoever uses the groups."""

    def __init__(self, dut: Any, idle: str, back_pressure: str) -> None:
        self.dut = dut
        self.config = bench_config()
        self.rng = bench_rng()
        self.idle, self.back_pressure = idle, back_pressure
        self.blob = self.rng.randbytes(1 << 15)
        self.lists = [0] * (self.config.max_channels * self.config.n_lists)
        self.requests: list[tuple[int, int]] = []
        self.beats: deque[int] = deque()
        self.params: dict[tuple[int, int], tuple[int, bytes]] = {}
        self.held = self.groups = 0  # groups in the buffer; groups handed on so far
        for signal in (dut.start_i, dut.release_i, dut.req_ready_i, dut.beat_valid_i):
            signal.value = 0
        dut.token_ready_i.value = 0

    async def start(self) -> None:
        dut = self.dut
        dut.weights_i.value = BASE
        await start(dut.clk_i, dut.rst_ni)
        lookup = lambda: self.lists[int(dut.list_addr_o.value)]  # noqa: E731
        cocotb.start_soon(read_port(dut.clk_i, dut.list_data_i, lookup))
        cocotb.start_soon(self._master())
        cocotb.start_soon(self._monitor())

    async def _master(self) -> None:
        dut = self.dut
        idle = stall_pattern(self.idle, self.rng)
        back_pressure = stall_pattern(self.back_pressure, self.rng)
        while True:
            ready = not next(back_pressure)
            send = bool(self.beats) and not next(idle)
            dut.req_ready_i.value = int(ready)
            dut.beat_valid_i.value = int(send)
            if send:
                dut.beat_data_i.value = self.beats.popleft()
            await RisingEdge(dut.clk_i)
            if ready and int(dut.req_valid_o.value):
                at, count = int(dut.req_addr_o.value) - BASE, int(dut.req_beats_o.value)
                self.requests.append((at, count))
                assert 0 <= at <= len(self.blob) - 8 * count, f"read of {count} beats at {at}"
                for beat in range(at, at + 8 * count, 8):
                    self.beats.append(int.from_bytes(self.blob[beat : beat + 8], "little"))

    async def _monitor(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            if int(dut.group_valid_o.value):
                self.held += 1
                assert self.held <= 2, "a third group was announced"
            if int(dut.release_i.value):
                self.held -= 1
            if int(dut.param_valid_o.value):
                where = int(dut.param_half_o.value), int(dut.param_row_o.value)
                data = int(dut.param_o.value).to_bytes(8, "little")
                self.params[where] = int(dut.param_channel_o.value), data

    def expected_requests(self, conv: Conv) -> list[tuple[int, int]]:
        """(offset in the blob, beats) of every read, in order."""
        config = self.config
        if conv.w_rows:
            return [(conv.w_addr + oc * conv.w_stride, conv.w_stride // 8) for oc in conv.ocs]
        chunk = config.chunk_bytes(conv.kernel)
        reads = []
        for group in range(-(-conv.cout // config.p_oc)):
            base = conv.w_addr + group * conv.w_stride
            head = config.p_oc  # beats of the parameters
            if not conv.in_listed or not conv.ics:
                reads.append((base, head + len(conv.ics) * chunk // 8))
                continue
            reads.append((base, head))
            for first, count in runs(conv.ics):
                reads.append((base + 8 * head + first * chunk, count * chunk // 8))
        return reads

    async def run(self, conv: Conv) -> None:
        """Fetch a convolution; check requests, tokens, parameters and the buffer's contents."""
        dut, config = self.dut, self.config
        for selector, ids in ((IN_LIST, conv.ics), (OUT_LIST, conv.ocs)):
            first = selector * config.max_channels
            self.lists[first : first + len(ids)] = ids
        dut.desc_i.value = descriptor(
            Op.CONV,
            w_rows=conv.w_rows,
            kernel=conv.kernel,
            cin=conv.cin,
            cout=conv.cout,
            w_addr=conv.w_addr,
            w_stride=conv.w_stride,
            in_list=IN_LIST if conv.in_listed else ALL_CHANNELS,
            out_list=OUT_LIST if conv.out_listed else ALL_CHANNELS,
            fold_en=1,
            fold_channel=conv.cout % 2,
            fold_slot=conv.fold_slot,
        )
        dut.n_in_i.value = len(conv.ics)
        dut.n_out_i.value = len(conv.ocs)
        self.requests.clear()
        await pulse(dut.clk_i, dut.start_i)
        dut.desc_i.value = 0  # start_i latched it
        groups = [conv.ocs[i : i + config.p_oc] for i in range(0, len(conv.ocs), config.p_oc)]
        for index, ocs in enumerate(groups):
            await self._take_group(conv, ocs, last=index == len(groups) - 1)
        await wait_for(dut.clk_i, lambda: not int(dut.busy_o.value), 20)
        assert self.requests == self.expected_requests(conv), conv
        assert not self.beats and not int(dut.token_valid_o.value)

    async def _take_group(self, conv: Conv, ocs: tuple[int, ...], *, last: bool) -> None:
        dut = self.dut
        await wait_for(dut.clk_i, lambda: int(dut.token_valid_o.value))
        token = int(dut.token_rows_o.value), int(dut.token_last_o.value)
        assert token == (len(ocs), int(last)), conv
        await pulse(dut.clk_i, dut.token_ready_i)
        fold = int(dut.fold_o.value), int(dut.fold_channel_o.value), int(dut.fold_slot_o.value)
        assert fold == (1, conv.cout % 2, conv.fold_slot)
        half = self.groups % 2
        for row, oc in enumerate(ocs):
            at = self._parameters(conv, oc)
            assert self.params[half, row] == (oc, self.blob[at : at + 8]), f"row {row}, {conv}"
        await self._check_buffer(conv, half, ocs)
        if self.rng.random() < 0.3:  # let the next group wait for its half
            for _ in range(self.rng.randrange(150)):
                await RisingEdge(dut.clk_i)
        self.groups += 1
        await pulse(dut.clk_i, dut.release_i)

    def _parameters(self, conv: Conv, oc: int) -> int:
        """Where the parameters of a channel lie."""
        if conv.w_rows:
            return conv.w_addr + oc * conv.w_stride
        group, row = divmod(oc, self.config.p_oc)
        return conv.w_addr + group * conv.w_stride + 8 * row

    def weight(self, conv: Conv, oc: int, ic: int, tap: int) -> int:
        """A weight's byte, by docs/program.md."""
        config = self.config
        if conv.w_rows:
            taps = conv.kernel**2
            return self.blob[conv.w_addr + oc * conv.w_stride + 8 + ic * taps + tap]
        group, lane = divmod(oc, config.p_oc)
        chunk = ic * config.chunk_bytes(conv.kernel) + tap * config.p_oc + lane
        return self.blob[conv.w_addr + group * conv.w_stride + 8 * config.p_oc + chunk]

    async def _check_buffer(self, conv: Conv, half: int, ocs: tuple[int, ...]) -> None:
        """Read every weight of the group (or a part of a large one) back, one address a cycle."""
        dut, config = self.dut, self.config
        taps = config.row_taps(conv.kernel, conv.w_rows)
        places = [
            ((ic if conv.w_rows else position) * taps + tap, ic, tap)
            for position, ic in enumerate(conv.ics)
            for tap in range(conv.kernel**2)
        ]
        places = self.rng.sample(places, min(len(places), 60))
        pipe: deque[tuple[int, int] | None] = deque([None] * READ_LATENCY)
        for place in [*places, *[None] * READ_LATENCY]:
            if place:
                dut.rd_half_i.value = half
                dut.rd_addr_i.value = place[0]
            await RisingEdge(dut.clk_i)
            due = pipe.popleft()
            if due:
                got = unpack(int(dut.weights_o.value), 8, config.p_oc)[: len(ocs)]
                assert got == [self.weight(conv, oc, *due) for oc in ocs], f"{due}, {conv}"
            pipe.append(place[1:] if place else None)

    def conv(
        self, w_rows: bool, kernel: int, cin: int, cout: int, keep: float, listed: bool = True
    ) -> Conv:
        """A convolution; `keep`: the share of channels that survive."""
        rng, config = self.rng, self.config
        stride = 8 + -(-cin * kernel**2 // 8) * 8
        if not w_rows:
            stride = 8 * config.p_oc + cin * config.chunk_bytes(kernel) + 8 * rng.randrange(3)
        keep_in = [i for i in range(cin) if not listed or rng.random() < keep]
        keep_out = [i for i in range(cout) if not (listed and w_rows) or rng.random() < keep]
        return Conv(
            w_rows=w_rows,
            kernel=kernel,
            cin=cin,
            cout=cout,
            w_addr=8 * rng.randrange(40),
            w_stride=stride,
            ics=tuple(keep_in),
            ocs=tuple(keep_out or [rng.randrange(cout)]),
            in_listed=listed,
            out_listed=listed and w_rows,
            fold_slot=rng.randrange(config.score_depth),
        )


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS, back_pressure=STALLS, w_rows=[False, True])
async def surviving_channels_only(dut: Any, idle: str, back_pressure: str, w_rows: bool) -> None:
    """Kernels, sizes around P_oc, sparse and dense lists; one after the other without a reset."""
    bench = Bench(dut, idle, back_pressure)
    await bench.start()
    rows = bench.config.p_oc
    for kernel, cin, cout, keep in (
        (1, 1, 1, 1.0),
        (3, 5, rows + 1, 0.5),
        (3, 8, 2 * rows, 0.8),
        (1, 9, 2 * rows + 1, 0.3),
        (5, 3, rows - 1, 0.7),
        (3, 6, 3 * rows, 0.0),
        (7, 2, rows, 1.0),
    ):
        await bench.run(bench.conv(w_rows, kernel, cin, cout, keep))
        await bench.run(bench.conv(w_rows, kernel, cin, cout, keep, listed=False))


@cocotb.test(**TIMEOUT)
async def runs_merge(dut: Any) -> None:
    """Neighbours are one read, gaps split it, for every pattern of six input channels."""
    bench = Bench(dut, "none", "none")
    await bench.start()
    for pattern in range(64):
        conv = bench.conv(False, 1, 6, bench.config.p_oc, 1.0)
        ics = tuple(i for i in range(6) if pattern >> i & 1)
        await bench.run(dataclasses.replace(conv, ics=ics))


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(w_rows=[False, True])
async def full_half(dut: Any, w_rows: bool) -> None:
    """As many input channels as a half of the buffer holds."""
    bench = Bench(dut, "none", "none")
    await bench.start()
    config = bench.config
    cin = min(config.max_channels, config.wbuf_bytes // config.row_taps(3, w_rows))
    while True:
        conv = bench.conv(w_rows, 3, cin, 2, 1.0)
        if conv.w_addr + 2 * conv.w_stride <= len(bench.blob):
            break
        cin -= 1
    await bench.run(conv)
