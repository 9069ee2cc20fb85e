"""Pass Plan + Allocation -> Package: descriptors, weight blob and metadata."""

import dataclasses

import numpy as np

from penstock.compiler.emit.convolution import emit_conv
from penstock.compiler.emit.gate_unit import emit_dense, emit_exit, emit_gate, gate_image
from penstock.compiler.emit.metadata import metadata
from penstock.compiler.emit.moves import (
    emit_copy,
    emit_interleave,
    emit_load,
    emit_move,
    emit_pool,
    emit_store,
)
from penstock.compiler.emit.writer import Writer
from penstock.compiler.plan.allocate import Allocation
from penstock.compiler.plan.limits import MAX_LOAD_BYTES
from penstock.compiler.plan.steps import (
    ConvStep,
    CopyStep,
    DenseStep,
    ExitStep,
    GateStep,
    InterleaveStep,
    LoadStep,
    MoveStep,
    Plan,
    PoolStep,
    Step,
    StoreStep,
)
from penstock.compiler.plan.weights import Bytes, join_images
from penstock.program.core.config import HwConfig
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package


@dataclasses.dataclass(kw_only=True, eq=False)
class _Lowering:
    """Writes the steps of a plan in order."""

    out: Writer

    def run(self) -> None:
        """Prologue, the steps of an image, HALT; then for each exit its results and HALT."""
        layers = [s for s in self.out.plan.steps if isinstance(s, (GateStep, DenseStep, ExitStep))]
        # By name: a layer that runs once for each of several images has its weights once.
        resident = {step.name: step for step in layers if step.name not in self.out.plan.streamed}
        if resident:
            first = self.out.allocation.gates[next(iter(resident))]
            images = [gate_image(step) for step in resident.values()]
            self._load_gates(images, first, "gate weights")
        loop = len(self.out.descriptors)
        for step in self.out.plan.steps:
            self.out.starts.append(len(self.out.descriptors) - loop)
            self.step(step)
        self.out.starts.append(len(self.out.descriptors) - loop)
        self.out.emit(Descriptor.make(Op.HALT, length=loop), "halt")
        for step in self.out.plan.steps:
            if isinstance(step, ExitStep):
                self._end(step, loop)

    def _end(self, step: ExitStep, loop: int) -> None:
        """What an exit goes on at."""
        leave = next(leave for leave in self.out.exits if leave["name"] == step.logits.name)
        at, target = leave["descriptor"], {"length": len(self.out.descriptors)}
        self.out.descriptors[at] = Descriptor(values=self.out.descriptors[at].values | target)
        if step.scores:
            emit_store(
                self.out, StoreStep(name=f"{step.name}: scores", src=None, bytes=step.scores)
            )
        size = step.logits.size
        emit_store(self.out, StoreStep(name=f"{step.name}: result", src=step.src, bytes=size))
        leave["halt"] = len(self.out.descriptors)
        self.out.emit(Descriptor.make(Op.HALT, length=loop), f"{step.name}: halt")

    def _load_gates(self, images: list[Bytes], at: int, name: str) -> None:
        """GLOADs of images that lie one after the other in gate memory."""
        for image in join_images(images, MAX_LOAD_BYTES):
            for part in np.split(image, range(MAX_LOAD_BYTES, len(image), MAX_LOAD_BYTES)):
                address = self.out.append(part)
                load = Descriptor.make(Op.GLOAD, dst=at, w_addr=address, length=len(part))
                self.out.emit(load, name)
                at += len(part)

    def step(self, step: Step) -> None:
        """Emit one step, after the weights it needs for this image alone."""
        if isinstance(step, (GateStep, DenseStep)) and step.name in self.out.plan.streamed:
            self._load_gates([gate_image(step)], 0, f"{step.name} weights")
        match step:
            case LoadStep():
                emit_load(self.out, step)
            case ConvStep():
                emit_conv(self.out, step)
            case GateStep():
                emit_gate(self.out, step)
            case DenseStep():
                emit_dense(self.out, step)
            case CopyStep():
                emit_copy(self.out, step)
            case PoolStep():
                emit_pool(self.out, step)
            case MoveStep():
                emit_move(self.out, step)
            case InterleaveStep():
                emit_interleave(self.out, step)
            case ExitStep():
                emit_exit(self.out, step)
            case StoreStep():
                emit_store(self.out, step)


def lower(plan: Plan, allocation: Allocation, config: HwConfig, *, reshape: bool = True) -> Package:
    """The Program of an allocated plan; `reshape`: split partial groups (docs/program.md).

    Raises:
        CompileError: a layer exceeds what the configuration can address.
    """
    out = Writer(plan=plan, allocation=allocation, config=config, reshape=reshape)
    _Lowering(out=out).run()
    blob = np.concatenate(out.blob) if out.blob else np.zeros(0, np.uint8)
    return Package(
        config_hash=config.hash,
        descriptors=b"".join(descriptor.encode() for descriptor in out.descriptors),
        weights=blob.tobytes(),
        meta=metadata(out),
    )
