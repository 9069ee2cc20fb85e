"""Pass Plan + Allocation -> Package: descriptors, weight blob and metadata."""

import dataclasses
import math
from typing import Any, cast

import numpy as np

from penstock.compiler.emit.metadata import metadata
from penstock.compiler.emit.move_windows import windows
from penstock.compiler.estimate.array_shape import best_split, first_mode
from penstock.compiler.numerics import exp_table
from penstock.compiler.passes.concat import is_map_copy
from penstock.compiler.plan.allocate import Allocation, plane_size
from penstock.compiler.plan.limits import (
    MAX_LOAD_BYTES,
    check_conv,
    check_dense,
    check_move,
    check_pool,
)
from penstock.compiler.plan.pairs import taps
from penstock.compiler.plan.parts import in_turn
from penstock.compiler.plan.steps import (
    ConvStep,
    CopyStep,
    DenseStep,
    ExitStep,
    GateStep,
    LoadStep,
    MoveStep,
    Plan,
    PoolStep,
    Resident,
    Step,
    StoreStep,
    layers_of,
    outputs_of,
)
from penstock.compiler.plan.weights import (
    Bytes,
    join_images,
    pack_dense,
    pack_interleaved,
    pack_rows,
    round_up,
)
from penstock.program.config import ALL_CHANNELS, BEAT_BYTES, HwConfig
from penstock.program.counters import COUNTER_BYTES
from penstock.program.descriptor import DEPTHWISE, SIGMOID, STOPS, Descriptor, GateKind, Op
from penstock.program.exits import exit_bound
from penstock.program.meta import ExitMeta, LayerMeta
from penstock.program.package import Package


@dataclasses.dataclass(kw_only=True, eq=False)
class _Lowering:
    """Turns steps into descriptors while the weight blob grows."""

    plan: Plan
    allocation: Allocation
    config: HwConfig
    reshape: bool
    descriptors: list[Descriptor] = dataclasses.field(default_factory=list)
    layers: list[LayerMeta] = dataclasses.field(default_factory=list)
    blob: list[Bytes] = dataclasses.field(default_factory=list)
    blob_bytes: int = 0
    #: (convolution, its bytes) -> their place
    weights: dict[tuple[str, bytes], int] = dataclasses.field(default_factory=dict)
    exits: list[ExitMeta] = dataclasses.field(default_factory=list)  # as in the metadata

    def emit(self, descriptor: Descriptor, name: str, **info: Any) -> None:
        """One descriptor and its line of metadata."""
        self.descriptors.append(descriptor)
        self.layers.append(cast(LayerMeta, {"name": name, **info}))

    def address(self, buffer: str, first: int = 0, row: int = 0) -> int:
        """The address of a channel of a buffer, or of a row of it."""
        held = self.plan.buffers[buffer]
        stride, phase = plane_size(held, self.config)
        offset = row * held.shape[-1] if row else 0
        if held.paired:
            half, first = divmod(first, held.shape[0] // 2)
            offset += half * phase
        return self.allocation.buffers[buffer] + first * stride + offset

    def stride(self, buffer: str) -> int:
        """Bytes from channel to channel of a buffer."""
        return plane_size(self.plan.buffers[buffer], self.config)[0]

    def append(self, data: Bytes) -> int:
        """Put bytes (whole beats) into the blob; their offset."""
        offset = self.blob_bytes
        self.blob.append(data)
        self.blob_bytes += len(data)
        return offset

    # -- program -------------------------------------------------------------------------------

    def run(self) -> None:
        """Prologue, the steps of an image, HALT; then for each exit its results and HALT."""
        layers = [s for s in self.plan.steps if isinstance(s, (GateStep, DenseStep, ExitStep))]
        # By name: a layer that runs once for each of several images has its weights once.
        resident = {step.name: step for step in layers if step.name not in self.plan.streamed}
        if resident:
            first = self.allocation.gates[next(iter(resident))]
            images = [self._gate_image(step) for step in resident.values()]
            self._load_gates(images, first, "gate weights")
        loop = len(self.descriptors)
        for step in self.plan.steps:
            self.step(step)
        self.emit(Descriptor.make(Op.HALT, length=loop), "halt")
        for step in self.plan.steps:
            if isinstance(step, ExitStep):
                self._end(step, loop)

    def _end(self, step: ExitStep, loop: int) -> None:
        """What an exit goes on at."""
        leave = next(leave for leave in self.exits if leave["name"] == step.logits.name)
        at, target = leave["descriptor"], {"length": len(self.descriptors)}
        self.descriptors[at] = Descriptor(values=self.descriptors[at].values | target)
        if step.scores:
            self._store(StoreStep(name=f"{step.name}: scores", src=None, bytes=step.scores))
        size = math.prod(step.logits.shape)
        self._store(StoreStep(name=f"{step.name}: result", src=step.src, bytes=size))
        leave["halt"] = len(self.descriptors)
        self.emit(Descriptor.make(Op.HALT, length=loop), f"{step.name}: halt")

    def _load_gates(self, images: list[Bytes], at: int, name: str) -> None:
        """GLOADs of images that lie one after the other in gate memory."""
        for image in join_images(images, MAX_LOAD_BYTES):
            for part in np.split(image, range(MAX_LOAD_BYTES, len(image), MAX_LOAD_BYTES)):
                address = self.append(part)
                load = Descriptor.make(Op.GLOAD, dst=at, w_addr=address, length=len(part))
                self.emit(load, name)
                at += len(part)

    def step(self, step: Step) -> None:
        """Emit one step, after the weights it needs for this image alone."""
        if isinstance(step, (GateStep, DenseStep)) and step.name in self.plan.streamed:
            self._load_gates([self._gate_image(step)], 0, f"{step.name} weights")
        match step:
            case LoadStep():
                dst = self.address(step.dst, step.dst_first)
                length = math.prod(step.value.shape)
                ddr = step.image * round_up(length, BEAT_BYTES)
                self.emit(
                    Descriptor.make(Op.LOAD, dst=dst, ddr=ddr, length=length),
                    step.name,
                    output=step.value.name,
                )
            case ConvStep():
                self._conv(step)
            case GateStep():
                self._gate(step)
            case DenseStep():
                self._dense(step)
            case CopyStep():
                self._copy(step)
            case PoolStep():
                self._map_pool(step)
            case MoveStep():
                self._move(step)
            case ExitStep():
                self._exit(step)
            case StoreStep():
                self._store(step)

    def _conv(self, step: ConvStep) -> None:
        conv, config = step.conv, self.config
        source = self.plan.graph.values[conv.input]
        _, height, width = source.shape if conv.pixels == 1 else (0, 1, 1)
        pixels = _out_pixels(height, width, conv.stride) * step.images
        macs = conv.weight.shape[2] ** 2 * pixels
        height, turns = step.rows or height, in_turn(step, self.plan)
        check_conv(step, height, width, config, in_turn=turns)
        if turns:
            conv = dataclasses.replace(conv, weight=taps(conv), stride=2, order=())
            height, width, macs = 2 * height, 2 * width, 2 * pixels
        outputs, row_inputs, kernel, _ = conv.weight.shape
        if step.out_list is not None:
            image, w_stride = pack_rows(conv.weight, conv.bias, conv.requantize)
        else:
            image, w_stride = pack_interleaved(conv.weight, conv.bias, conv.requantize, config)
        src_stride, phase_stride = plane_size(self.plan.buffers[step.src], config)
        src_stride = src_stride if conv.pixels == 1 else 1
        at = self.address(step.src, step.src_first, step.src_row)
        if conv.plane:  # a map of its own there
            at += conv.plane * phase_stride
            conv, height, width = dataclasses.replace(conv, stride=1), height // 2, width // 2
        key = (conv.name, image.tobytes())  # two forms of a convolution share them
        if key not in self.weights:
            self.weights[key] = self.append(image)
        out_pixels = _out_pixels(height, width, conv.stride)
        split = best_split(out_pixels, config) if self.reshape else 0
        if self.reshape and step.out_list is not None:
            beats, one = w_stride // BEAT_BYTES, conv.depthwise
            split |= first_mode(out_pixels, config, conv.weight.shape, beats, depthwise=one)
        residual = conv.residual is not None
        descriptor = Descriptor.make(
            Op.CONV,
            **self._skip_fields(step),
            src_signed=source.signed,
            res_en=residual,
            res_signed=residual and self.plan.graph.values[conv.residual or ""].signed,
            res_sat8=conv.saturate_before_add,
            pool_en=step.pool is not None,
            pool_base=self._pool_base(step),
            w_rows=step.out_list is not None,
            polyphase=conv.stride == 2,
            kernel=kernel,
            variant=DEPTHWISE if conv.depthwise else 0,
            cin=row_inputs * conv.groups,
            cout=outputs,
            height=height,
            width=width,
            src=at,
            dst=self.address(step.dst, step.dst_first, step.dst_row),
            src_stride=src_stride * step.src_step,
            dst_stride=self.stride(step.dst),
            phase_stride=phase_stride if conv.stride == 2 else 0,
            pad_value=conv.pad & 0xFF,
            clamp_lo=conv.clamp[0],
            clamp_hi=conv.clamp[1],
            w_addr=self.weights[key],
            w_stride=w_stride,
            split=split,
        )
        # Of a bundle's pairs one in `bundle` is of the same group; rows between images count not.
        counted = macs // step.bundle if step.kind in ("conv", "gate") else 0
        self.emit(
            descriptor,
            step.name,
            kind=step.kind,
            input=conv.input,
            output=conv.output,
            macs_per_pair=counted,
        )

    def _pool_base(self, step: ConvStep) -> int:
        """Where the sums of a convolution's channels begin; 0 if it makes none."""
        if step.pool is None:
            return 0
        return self.allocation.pools[step.pool] + step.pool_first + step.first

    def _skip_fields(self, step: ConvStep) -> dict[str, int]:
        """Predicate, fold and list fields of a CONV."""
        scores, fold = self.plan.scores, step.conv.fold
        each = fold is not None and fold.per_channel
        return {
            "pred_en": step.predicate is not None,
            "pred_slot": 0 if step.predicate is None else scores[step.predicate],
            "pred_empty": step.pred_empty,
            "pred_not": step.pred_not,
            "fold_en": fold is not None,
            "fold_slot": 0 if fold is None else scores[fold.scores] + step.first * each,
            "fold_channel": each,
            "in_list": self._list(step.in_list),
            "out_list": self._list(step.out_list),
        }

    def _list(self, name: str | None) -> int:
        return ALL_CHANNELS if name is None else self.allocation.lists[name]

    def _gate_image(self, step: Resident) -> Bytes:
        """What a step has in gate memory."""
        if isinstance(step, ExitStep):
            return exp_table(step.logits.scale).astype("<u2").view(np.uint8)
        pool = step.pool
        return pack_dense(layers_of(step), pool.multiplier, pool.shift, outputs_of(step))

    def _pool_fields(self, step: GateStep | DenseStep) -> dict[str, int]:
        """Fields that GATE and DENSE share."""
        first, end = outputs_of(step)
        check_dense(step, self.config)
        return {
            "src_signed": self.plan.graph.values[step.pool.output].signed,
            "cin": layers_of(step)[0].weight.shape[1],
            "cout": end - first,
            "pool_base": self.allocation.pools[step.region] + step.region_first,
            "w_addr": self.allocation.gates[step.name],
        }

    def _list_fields(self, step: GateStep) -> dict[str, int]:
        """Where a list begins among the outputs; a later part continues it."""
        if step.list is None:
            return {}
        first, _ = outputs_of(step)
        before = step.list_from - first
        return {"list_from": max(before, 0), "src": max(-before, 0)}

    def _gate(self, step: GateStep) -> None:
        descriptor = Descriptor.make(
            Op.GATE,
            **self._pool_fields(step),
            gate_kind=step.gates[0].binary,
            out_list=self._list(step.list),
            **self._list_fields(step),
            variant=self._gate_variant(step),
            dst=self.plan.scores[step.gates[0].output] + outputs_of(step)[0],
        )
        counted = {"kind": step.kind, "macs_per_pair": 1}
        self.emit(descriptor, step.name, input=step.pool.input, **counted)

    def _gate_variant(self, step: GateStep) -> int:
        if step.gates[0].kind == GateKind.SIGMOID:
            return SIGMOID
        return STOPS if step.closes else 0

    def _dense(self, step: DenseStep) -> None:
        descriptor = Descriptor.make(
            Op.DENSE,
            **self._pool_fields(step),
            dst=self.address(step.dst, outputs_of(step)[0]),
            clamp_lo=step.dense.clamp[0],
            clamp_hi=step.dense.clamp[1],
        )
        names = {"input": step.pool.input, "output": step.dense.output}
        self.emit(descriptor, step.name, **names, kind=step.kind, macs_per_pair=1)

    def _copy(self, step: CopyStep) -> None:
        """A COPY; several where a Concat has more channels than one may have."""
        channels, height, width = step.value.shape
        dst_stride, phase_stride = plane_size(self.plan.buffers[step.dst], self.config)
        predicate = step.predicate
        for first in range(0, channels, self.config.max_channels):
            descriptor = Descriptor.make(
                Op.COPY,
                pred_en=predicate is not None,
                pred_slot=0 if predicate is None else self.plan.scores[predicate],
                variant=step.rows,
                cout=min(channels - first, self.config.max_channels),
                height=height,
                width=width,
                src=self.address(step.src, step.src_first + first, step.src_row),
                dst=self.address(step.dst, step.dst_first + first),
                src_stride=self.stride(step.src),
                dst_stride=dst_stride,
                phase_stride=phase_stride,
            )
            self.emit(descriptor, step.name, input=step.value.name, output=step.name)

    def _map_pool(self, step: PoolStep) -> None:
        pool, source = step.pool, self.plan.graph.values[step.pool.input]
        check_pool(step, source, self.config)
        channels, height, width = source.shape
        factor = 0
        if pool.average is not None:
            factor = int(pool.average.multiplier[0]) | int(pool.average.shift[0]) << 16
        descriptor = Descriptor.make(
            Op.POOL,
            src_signed=source.signed,
            average=pool.average is not None,
            stride2=pool.stride == 2,
            kernel=pool.kernel,
            pad=pool.pad,
            cout=channels,
            height=height,
            width=width,
            src=self.address(step.src, step.src_first, step.src_row),
            dst=self.address(step.dst, step.dst_first, step.dst_row),
            src_stride=self.stride(step.src),
            dst_stride=self.stride(step.dst),
            clamp_lo=pool.clamp[0],
            clamp_hi=pool.clamp[1],
            w_addr=factor,
        )
        info = {"kind": "copy", "macs_per_pair": 0} if is_map_copy(pool) else {}
        self.emit(descriptor, step.name, input=pool.input, output=pool.output, **info)

    def _move(self, step: MoveStep) -> None:
        """POOLs of 1x1 windows: what a descriptor has for channels is channels, or rows."""
        check_move(step, self.config)
        source = self.address(step.src, step.src_first, step.src_row)
        room = self.config.fmem_bytes - source
        for window in windows(step, self.plan.buffers, self.config, room):
            descriptor = Descriptor.make(
                Op.POOL,
                kernel=1,
                stride2=step.steps[1] == 2,
                cout=window.count,
                height=window.height,
                width=window.width,
                src=source + window.src,
                dst=self.address(step.dst, step.dst_first, step.dst_row) + window.dst,
                src_stride=window.src_stride,
                dst_stride=window.dst_stride,
                src_signed=self.plan.graph.values[step.input].signed,
            )
            names = {"input": step.input, "output": step.output}
            self.emit(descriptor, step.name, **names, kind="copy", macs_per_pair=0)

    def _exit(self, step: ExitStep) -> None:
        """EXIT_IF; `_end` fills in where it goes on."""
        leave: ExitMeta = {
            "name": step.logits.name,
            "descriptor": len(self.descriptors),
            "halt": 0,  # `_end` knows
            "threshold": step.threshold,
            "signed": step.logits.signed,
            "scale": step.logits.scale,
            "scores": step.scores,
        }
        if step.logits.zero_point:
            leave["zero_point"] = step.logits.zero_point
        self.exits.append(leave)
        descriptor = Descriptor.make(
            Op.EXIT_IF,
            src_signed=step.logits.signed,
            cin=step.logits.shape[0],
            src=self.address(step.src),
            src_stride=1,
            w_addr=self.allocation.gates[step.name],
            w_stride=exit_bound(step.threshold),
        )
        self.emit(descriptor, step.name, input=step.logits.name)

    def _store(self, step: StoreStep) -> None:
        result = COUNTER_BYTES + round_up(self.plan.n_scores, BEAT_BYTES)
        result += step.at + step.image * round_up(step.bytes, BEAT_BYTES)
        descriptor = Descriptor.make(
            Op.STORE,
            from_scores=step.src is None,
            src=0 if step.src is None else self.address(step.src, step.src_first),
            ddr=COUNTER_BYTES if step.src is None else result,
            length=step.bytes,
        )
        self.emit(descriptor, step.name)


def _out_pixels(height: int, width: int, stride: int) -> int:
    return -(-height // stride) * -(-width // stride)


def lower(plan: Plan, allocation: Allocation, config: HwConfig, *, reshape: bool = True) -> Package:
    """The Program of an allocated plan; `reshape`: split partial groups (docs/program.md).

    Raises:
        CompileError: a layer exceeds what the configuration can address.
    """
    lowering = _Lowering(plan=plan, allocation=allocation, config=config, reshape=reshape)
    lowering.run()
    blob = np.concatenate(lowering.blob) if lowering.blob else np.zeros(0, np.uint8)
    return Package(
        config_hash=config.hash,
        descriptors=b"".join(descriptor.encode() for descriptor in lowering.descriptors),
        weights=blob.tobytes(),
        meta=metadata(plan, allocation, config, lowering.exits, lowering.layers),
    )
