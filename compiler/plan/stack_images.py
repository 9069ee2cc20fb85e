"""Pass Plan -> Plan: several images a run, whose small maps lie side by side in one.

A map of few pixels leaves most lanes of the array idle, and each of its weights is used but a few
times.  Where maps of N images *stack* - one above the other in one map of N times the rows, with
rows of zeros between them as far as a kernel reaches - one CONV makes them all: their pixels share
its lanes, and each weight is fetched once.  The core knows nothing of it.

All other steps run image by image, on rows of a stacked map where they meet one.  Before a kernel
larger than 1x1 reads a stacked map the rows between its images are cleared: what wrote the map
wrote there too.  Preserves every value.  Legal for networks without gates and exits: one
descriptor has one predicate, whatever its images would decide.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Conv, Requantize
from penstock.compiler.plan.limits import MAX_SIDE
from penstock.compiler.plan.steps import (
    Buffer,
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
    Span,
    Step,
    StoreStep,
    reads,
    writes,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Kind:
    """Convolutions that are stacked together or not at all: of maps of `pixels`."""

    pixels: int
    kernel: int
    depthwise: bool


def require_static(plan: Plan) -> None:
    """CompileError, naming the step, if what an image runs depends on the image."""
    for step in plan.steps:
        if isinstance(step, (GateStep, ExitStep)):
            what = "an early exit" if isinstance(step, ExitStep) else "a gate"
            raise CompileError(
                f"{what} decides for one image, a program for several runs the same for all",
                node=step.name,
                hint="compile a network with gates or exits for one image a run",
            )
    stored = [step for step in plan.steps if isinstance(step, StoreStep) and step.src is not None]
    if len(stored) > 1:
        raise CompileError(
            f"the network has {len(stored)} outputs, a program for several images stores one each",
            hint="compile a network with several outputs for one image a run",
        )


def kinds(plan: Plan) -> list[Kind]:
    """What can be stacked, the smallest maps first."""
    apart = _apart(plan)
    found = {_kind(step, plan) for step in plan.steps if _stackable(step, apart)}
    return sorted(kind for kind in found if kind is not None)


def _kind(step: Step, plan: Plan) -> Kind | None:
    if not isinstance(step, ConvStep):
        return None
    _, height, width = plan.buffers[step.dst].shape
    return Kind(
        pixels=height * width, kernel=step.conv.weight.shape[2], depthwise=step.conv.depthwise
    )


def _apart(plan: Plan) -> frozenset[str]:
    """Buffers that hold one image each: moved as one piece, vectors, and polyphase layouts."""
    moved = {
        name
        for step in plan.steps
        if isinstance(step, (LoadStep, StoreStep, DenseStep))
        for name in (getattr(step, "src", None), getattr(step, "dst", None))
    }
    moved |= {s.src for s in plan.steps if isinstance(s, ConvStep) and s.conv.pixels > 1}
    layouts = {name for name, buffer in plan.buffers.items() if buffer.polyphase}
    return frozenset(layouts | {name for name in moved if name})


def _stackable(step: Step, apart: frozenset[str]) -> bool:
    """A convolution whose maps may be stacked: stride 1, and no sums, which are an image's."""
    return (
        isinstance(step, ConvStep)
        and step.kind == "conv"
        and step.conv.stride == 1
        and step.conv.pixels == 1
        and step.pool is None
        and not apart & {step.src, step.dst}
    )


def stack_images(
    plan: Plan, images: int, stacked: frozenset[Kind], *, in_step: bool = False
) -> Plan:
    """The plan for `images` images a run, whose convolutions of these kinds run once for all.

    `in_step`: each other step runs for every image before the next one does, instead of all of them
    for one image first.  More maps are alive; weights that a layer waits for come while the layer
    before it runs for the other images.
    """
    return _Stacker(plan=plan, images=images, stacked=stacked, in_step=in_step).run()


@dataclasses.dataclass(kw_only=True, eq=False)
class _Stacker:
    """Repeats the steps of a plan image by image, or makes them work on stacked maps."""

    plan: Plan
    images: int
    stacked: frozenset[Kind]
    in_step: bool
    apart: frozenset[str] = dataclasses.field(init=False)
    gaps: dict[str, int] = dataclasses.field(init=False)  # stacked buffer -> rows between images
    cleared: list[Span] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.apart = _apart(self.plan)
        self.gaps = self._gaps()

    def run(self) -> Plan:
        """Runs of steps that are not stacked are one image's after another's, or in step."""
        steps: list[Step] = []
        waiting: list[Step] = []
        for step in self.plan.steps:
            if isinstance(step, ConvStep) and self._together(step):
                steps += self._image_by_image(waiting)
                waiting = []
                steps += self._clears(step)
                steps.append(self._stack(step))
            else:
                waiting.append(step)
        steps += self._image_by_image(waiting)
        pools = {
            f"{region}{_suffix(image)}": channels
            for region, channels in self.plan.pools.items()
            for image in range(self.images)
        }
        return dataclasses.replace(
            self.plan,
            steps=tuple(steps),
            buffers=dict(self._buffers()),
            pools=pools,
            images=self.images,
        )

    # -- maps ----------------------------------------------------------------------------------

    def _together(self, step: Step) -> bool:
        return _stackable(step, self.apart) and _kind(step, self.plan) in self.stacked

    def _gaps(self) -> dict[str, int]:
        """One gap for all maps that stacked convolutions connect: the largest kernel's reach."""
        steps = [s for s in self.plan.steps if isinstance(s, ConvStep) and self._together(s)]
        groups: list[tuple[set[str], int]] = []
        for step in steps:
            names, gap = {step.src, step.dst}, step.conv.weight.shape[2] // 2
            met = [group for group in groups if group[0] & names]
            groups = [group for group in groups if group not in met]
            for others, reach in met:
                names, gap = names | others, max(gap, reach)
            groups.append((names, gap))
        return {name: gap for names, gap in groups for name in names}

    def _pitch(self, buffer: str) -> int:
        """Rows from image to image of a stacked buffer."""
        return self.plan.buffers[buffer].shape[1] + self.gaps[buffer]

    def _rows(self, buffer: str) -> int:
        """Rows of a stacked buffer: there is none behind the last image's."""
        return self.images * self._pitch(buffer) - self.gaps[buffer]

    def _buffers(self) -> Iterator[tuple[str, Buffer]]:
        for name, buffer in self.plan.buffers.items():
            if name in self.gaps:
                channels, _, width = buffer.shape
                shape = (channels, self._rows(name), width)
                yield name, dataclasses.replace(buffer, shape=shape)
                continue
            for end in map(_suffix, range(self.images)):
                parts = tuple((f"{part}{end}", first) for part, first in buffer.parts)
                own = f"{name}{end}"
                yield own, dataclasses.replace(buffer, name=own, parts=parts)

    # -- steps ---------------------------------------------------------------------------------

    def _stack(self, step: ConvStep) -> ConvStep:
        """One step for the maps of all images."""
        written = writes(step)
        assert written is not None
        self.cleared = [span for span in self.cleared if not _meet(span, written)]
        return dataclasses.replace(step, rows=self._rows(step.src), images=self.images)

    def _clears(self, step: ConvStep) -> Iterator[ConvStep]:
        """What is off the map, zeros as a rule, in the rows between the images of what a step
        reads, where that is needed."""
        if step.conv.weight.shape[2] == 1:
            return
        span = reads(step)[0]
        if any(_within(span, other) for other in self.cleared):
            return
        self.cleared.append(span)
        buffer, first, end = span
        conv = _constant(end - first, step.conv.input, step.conv.pad)
        height = self.plan.buffers[buffer].shape[1]
        for image in range(self.images - 1):
            yield ConvStep(
                name=f"{step.name}.clear",
                conv=conv,
                src=buffer,
                dst=buffer,
                kind="clear",
                src_first=first,
                dst_first=first,
                dst_row=image * self._pitch(buffer) + height,
                rows=self.gaps[buffer],
            )

    def _image_by_image(self, steps: list[Step]) -> Iterator[Step]:
        for part in [[step] for step in steps] if self.in_step else [steps]:
            for image in range(self.images):
                for step in part:
                    yield self._of_image(step, image)

    def _of_image(self, step: Step, image: int) -> Step:
        """The step for one image.  Names stay: by them weights are shared."""
        match step:
            case ConvStep():
                src, src_row = self._lies(step.src, image)
                dst, dst_row = self._lies(step.dst, image)
                pool = None if step.pool is None else f"{step.pool}{_suffix(image)}"
                return dataclasses.replace(
                    step, src=src, dst=dst, src_row=src_row, dst_row=dst_row, pool=pool
                )
            case PoolStep() | MoveStep() | InterleaveStep():
                src, src_row = self._lies(step.src, image)
                dst, dst_row = self._lies(step.dst, image)
                return dataclasses.replace(step, src=src, dst=dst, src_row=src_row, dst_row=dst_row)
            case CopyStep():
                src, src_row = self._lies(step.src, image)
                return dataclasses.replace(
                    step, src=src, src_row=src_row, dst=f"{step.dst}{_suffix(image)}"
                )
            case LoadStep():
                return dataclasses.replace(step, dst=f"{step.dst}{_suffix(image)}", image=image)
            case DenseStep():
                end = _suffix(image)
                return dataclasses.replace(
                    step, region=f"{step.region}{end}", dst=f"{step.dst}{end}"
                )
            case StoreStep():
                return dataclasses.replace(step, src=f"{step.src}{_suffix(image)}", image=image)
        raise AssertionError(f"{step.name}: a program for several images has no gate and no exit")

    def _lies(self, buffer: str, image: int) -> tuple[str, int]:
        """(buffer, first row) of an image's map."""
        if buffer in self.gaps:
            return buffer, image * self._pitch(buffer)
        return f"{buffer}{_suffix(image)}", 0


def _suffix(image: int) -> str:
    return f"#{image}"


def _meet(a: Span, b: Span) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def _within(a: Span, b: Span) -> bool:
    return a[0] == b[0] and b[1] <= a[1] and a[2] <= b[2]


def _constant(channels: int, value: str, code: int) -> Conv:
    """A convolution without inputs that writes one code; all of one size share their parameters."""
    return Conv(
        name=f"{channels} channels of {code or 'zeros'}",
        input=value,
        output=value,
        weight=np.zeros((channels, 0, 1, 1), np.int8),
        bias=np.zeros(channels, np.int32),
        requantize=Requantize(
            multiplier=np.zeros(channels, np.uint16), shift=np.ones(channels, np.uint8)
        ),
        stride=1,
        clamp=(code, code),
    )


def too_high(plan: Plan) -> bool:
    """A stacked map has more rows than a descriptor can name."""
    return any(isinstance(step, ConvStep) and step.rows > MAX_SIDE for step in plan.steps)
