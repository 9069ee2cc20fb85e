"""The sequencer: fetch, check, predicate, execute; counters and output records."""

import dataclasses
import functools

import numpy as np
from numpy.lib.stride_tricks import as_strided

from penstock.compiler.numerics import requantize, sigmoid_scores, type_range
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import (
    ALL_CHANNELS,
    BEAT_BYTES,
    GATE_WORD_BYTES,
    HwConfig,
    gate_row_bytes,
)
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, GateKind, Op
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim.golden.checks import Limits, check, out_size
from penstock.sim.golden.convolution import (
    Rows,
    channels,
    convolve,
    parameters,
    read_rows,
    wrap32,
)
from penstock.sim.golden.exits import exit_taken
from penstock.sim.golden.pool import pool
from penstock.sim.golden.state import START, Array, GoldenError, State


@dataclasses.dataclass(kw_only=True, eq=False)
class Machine:
    """One core running one Program.  `inputs` uint8 [N, input_stride], `outputs` the records."""

    config: HwConfig
    descriptors: list[Descriptor]
    blob: Array
    inputs: Array
    outputs: Array
    state: State
    image: int = 0
    pc: int = 0

    @functools.cached_property
    def _rows(self) -> dict[int, Rows]:
        return {}

    @functools.cached_property
    def _limits(self) -> Limits:
        return Limits(
            config=self.config,
            n_descriptors=len(self.descriptors),
            input_stride=self.inputs.shape[1],
            output_stride=self.outputs.shape[1],
            weight_bytes=len(self.blob),
        )

    def run(self) -> None:
        """Run until the last image's HALT.  GoldenError where the core would stop."""
        strides = self.inputs.shape[1], self.outputs.shape[1]
        if not len(self.inputs) or any(stride % BEAT_BYTES for stride in strides):
            raise GoldenError(ErrorCode.FIELD, reason="no image, or a stride not in whole beats")
        checked: set[int] = set()
        while self.image < len(self.inputs):
            if self.pc >= len(self.descriptors):
                raise GoldenError(ErrorCode.PROGRAM_END, reason="no HALT")
            d = self.descriptors[self.pc]
            if self.pc not in checked:
                check(d, self._limits, self.pc)
                checked.add(self.pc)
            self._step(d)

    def _step(self, d: Descriptor) -> None:
        """Execute or skip one checked descriptor and move on."""
        counters = self.state.counters
        skip = bool(d.pred_en) and bool(self.state.scores[d.pred_slot] == 0) != bool(d.pred_not)
        if skip and not (d.op == Op.CONV and d.pred_empty):
            counters["skipped"] += 1
            if d.op == Op.CONV:
                counters["channels_skipped"] += d.cout
            self.pc += 1
            return
        counters["executed"] += 1
        match Op(d.op):
            case Op.LOAD:
                data = self.inputs[self.image, d.ddr : d.ddr + d.length]
                self.state.fmem[d.dst : d.dst + d.length] = data
            case Op.GLOAD:
                data = self.blob[d.w_addr : d.w_addr + d.length]
                if d.loads_table:
                    self.state.table = data
                else:
                    self.state.gmem[d.dst : d.dst + d.length] = data
            case Op.STORE:
                self._store(d)
            case Op.CONV:
                self._conv(d, skip)
            case Op.GATE:
                self._gate(d)
            case Op.DENSE:
                acc, multiplier, shift = self._dense(d)
                y = np.clip(requantize(acc, multiplier, shift), d.clamp_lo, d.clamp_hi)
                self.state.fmem[d.dst : d.dst + d.cout] = (y & 0xFF).astype(np.uint8)
            case Op.COPY:
                self._copy(d)
            case Op.POOL:
                pool(d, self.state)
            case Op.EXIT_IF:
                if exit_taken(d, self.state):
                    self.pc = d.length
                    return
            case Op.HALT:
                self._halt(d)
                return
        self.pc += 1

    def _store(self, d: Descriptor) -> None:
        source = self.state.scores if d.from_scores else self.state.fmem
        padded = round_up(d.length, BEAT_BYTES)
        record = self.outputs[self.image]
        record[d.ddr : d.ddr + padded] = 0
        record[d.ddr : d.ddr + d.length] = source[d.src : d.src + d.length]
        self.state.counters["write_bytes"] += padded

    def _conv(self, d: Descriptor, skip: bool) -> None:
        if self.pc not in self._rows:
            self._rows[self.pc] = read_rows(d, self.blob, self.config)
        state = self.state
        ics = np.zeros(0, np.int64) if skip else channels(d.in_list, d.cin, state)
        ocs = channels(d.out_list, d.cout, state)
        if d.has_table and state.table is None:
            raise GoldenError(ErrorCode.BOUNDS, reason="no table of activations was loaded")
        convolve(d, self._rows[self.pc], state, ics, ocs)
        if d.w_rows:
            fetched = len(ocs) * d.w_stride
        else:
            groups = ceil_div(d.cout, self.config.p_oc)
            chunks = min(len(ics), d.row_inputs) * self.config.chunk_bytes(d.kernel)
            fetched = groups * (8 * self.config.p_oc + chunks)
        state.counters["weight_bytes"] += fetched
        state.counters["channels_executed"] += len(ocs)
        state.counters["channels_skipped"] += d.cout - len(ocs)

    def _dense(self, d: Descriptor) -> tuple[Array, Array, Array]:
        """(accumulators, multipliers, shifts) of a GATE or DENSE, int64 [cout]."""
        gmem = self.state.gmem
        _, m0, r0 = parameters(gmem[d.w_addr : d.w_addr + 8])
        sums = self.state.pool[d.pool_base : d.pool_base + d.cin]
        pooled = np.clip(requantize(sums, m0, r0), *type_range(bool(d.src_signed)))
        stride = gate_row_bytes(d.cin)
        first = d.w_addr + GATE_WORD_BYTES
        rows = gmem[first : first + d.cout * stride].reshape(d.cout, stride)
        bias, multiplier, shift = parameters(rows[:, :8])
        weights = rows[:, GATE_WORD_BYTES : GATE_WORD_BYTES + d.cin]
        weight = np.ascontiguousarray(weights).view(np.int8).astype(np.int64)
        return wrap32(bias + weight @ pooled), multiplier, shift

    def _gate(self, d: Descriptor) -> None:
        acc, multiplier, shift = self._dense(d)
        match d.score_kind:
            case GateKind.BINARY:
                scores = np.where(acc > 0, 128, 0)
            case GateKind.SIGMOID:
                scores = sigmoid_scores(requantize(acc, multiplier, shift))
            case GateKind.RELU1:
                scores = np.clip(requantize(acc, multiplier, shift), 0, 128)
        if d.stops and not scores[: d.list_from].any():
            scores[d.list_from :] = 0
        self.state.scores[d.dst : d.dst + d.cout] = scores
        if d.out_list != ALL_CHANNELS:
            before = self.state.lists[d.out_list] if d.src else np.zeros(0, np.int64)
            part = d.src + np.flatnonzero(scores[d.list_from :])
            self.state.lists[d.out_list] = np.concatenate([before, part])
            self.state.bounds[d.out_list] = d.src + d.cout - d.list_from

    def _copy(self, d: Descriptor) -> None:
        rows, columns = out_size(d)
        shape = (d.cout, d.height, d.width)
        source = as_strided(self.state.fmem[d.src :], shape, (d.src_stride, d.width, 1)).copy()
        for phase in range(4):
            if d.variant and phase >> 1 != d.variant - 1:
                continue
            part = source[:, phase >> 1 :: 2, phase & 1 :: 2]
            at = d.dst + phase * d.phase_stride
            target = as_strided(
                self.state.fmem[at:], (d.cout, rows, columns), (d.dst_stride, columns, 1)
            )
            target[:, : part.shape[1], : part.shape[2]] = part

    def _halt(self, d: Descriptor) -> None:
        counters = self.state.counters
        counters["exit"] = self.pc
        values = np.array([counters[name] for name in COUNTER_NAMES], np.uint64)
        record = self.outputs[self.image]
        record[:COUNTER_BYTES] = values.astype("<u4").view(np.uint8)
        self.state.counters = dict.fromkeys(COUNTER_NAMES, 0)
        self.image += 1
        self.pc = d.length


def execute(
    package: Package, inputs: Array, config: HwConfig | None = None
) -> tuple[Array, ErrorCode, Position]:
    """Run every image; (records uint8 [N, record_bytes], error code, position of the error).

    Args:
        package: the Program; its metadata gives record_bytes.
        inputs: uint8 [N, input_stride].
        config: the core it runs on (default: the one it was built for).
    """
    core = config or package.config
    outputs = np.zeros((len(inputs), package.meta["record_bytes"]), np.uint8)
    if core.hash != package.config_hash:
        return outputs, ErrorCode.CONFIG, START
    data = package.descriptors
    machine = Machine(
        config=core,
        descriptors=[
            Descriptor.decode(data[at : at + DESCRIPTOR_BYTES])
            for at in range(0, len(data), DESCRIPTOR_BYTES)
        ],
        blob=np.frombuffer(package.weights, np.uint8),
        inputs=inputs,
        outputs=outputs,
        state=State.new(core),
    )
    try:
        machine.run()
    except GoldenError as error:
        return outputs, error.code, Position(machine.image, machine.pc)
    return outputs, ErrorCode.NONE, START


def run(package: Package, inputs: Array, config: HwConfig | None = None) -> Array:
    """Records uint8 [N, record_bytes] of every image.

    Raises:
        GoldenError: the core would stop with an error code.
    """
    outputs, code, position = execute(package, inputs, config)
    if code != ErrorCode.NONE:
        raise GoldenError(code, position, "the core stops")
    return outputs
