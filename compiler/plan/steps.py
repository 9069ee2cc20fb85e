"""The plan: what `schedule` makes of a graph and `allocate` and `lower` turn into a Program.

A step is one descriptor with every address still a name: buffers (feature memory), pools
(regions of the pool memory) and lists.  Scores are numbered at once: they live to the image's end.
"""

import dataclasses
import itertools
from collections.abc import Mapping

from penstock.compiler.ir import Conv, Dense, Gate, Graph, Interleave, MapPool, Pool, Value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A region of feature memory: a map (linear or polyphase) or a vector.

    `paired`: the channels of its two halves lie in turn (compiler/plan/pairs.py).  `code_bytes`: of
    a number of a vector.
    """

    name: str
    shape: tuple[int, ...]
    polyphase: bool = False
    parts: tuple[tuple[str, int], ...] = ()  # maps that lie in it, and their first channels
    paired: bool = False
    code_bytes: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Channels of a buffer from `first` on: where a value lies."""

    buffer: str
    first: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadStep:
    """LOAD: the input image; of several, number `image`."""

    name: str
    value: Value
    dst: str
    dst_first: int = 0
    image: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvStep:
    """CONV.  `kind` is "conv", "gate" in a gate's own network, "scale" for a map times scores, or
    "pool", "copy" or "clear" for work that the network does not have.

    Of a convolution in parts (compiler/plan/parts.py) each is a step: `conv` is the part's, `first`
    the number of its first output channel, for scores and sums; its channels in the buffers begin
    at `src_first` and `dst_first`, as those of a Concat and of its parts do; it reads every
    `src_step`-th.  The sums of the map begin at `pool_first` of its region.  `bundle` groups share
    its weights.

    Where maps of several images lie in one buffer (compiler/plan/stack_images.py) a step works on
    the rows from `src_row` and `dst_row` on: one image's, or `rows` of all `images` and what lies
    between them.

    `first_mode`: weights in rows though there is no list, so that the first group has few of them
    (compiler/estimate/first_groups.py).
    """

    name: str
    conv: Conv
    src: str
    dst: str
    kind: str = "conv"
    in_list: str | None = None  # name of the gate whose survivors are walked
    out_list: str | None = None
    predicate: str | None = None  # name of the gate whose score 0 skips it
    pred_empty: bool = False
    pred_not: bool = False  # skipped where the predicate's block runs
    pool: str | None = None
    pool_first: int = 0
    first: int = 0
    src_first: int = 0
    src_step: int = 1
    dst_first: int = 0
    bundle: int = 1
    src_row: int = 0
    dst_row: int = 0
    rows: int = 0  # 0: those of the map
    images: int = 1
    first_mode: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GateStep:
    """GATE: gates of one kind that read one pool; block gates first, then at most one list.

    `part`: the outputs (first, end) this descriptor makes, of all gates' in a row; None: all.
    `kind` is "conv" for a sigmoid of the network itself, else "gate".
    """

    name: str
    gates: tuple[Gate, ...]
    pool: Pool
    region: str
    region_first: int = 0
    list: str | None = None  # the last gate's survivors
    within: str | None = None  # block gate of these whose score 0 makes the last gate's zero
    part: tuple[int, int] | None = None
    kind: str = "gate"

    @property
    def closes(self) -> bool:
        """The descriptor has the block gate and every channel that it closes."""
        return self.within is not None and self.part is None

    @property
    def list_from(self) -> int:
        """Outputs before the gate that makes the list."""
        return sum(len(gate.bias) for gate in self.gates[:-1])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseStep:
    """DENSE.  `part` as in GateStep; `kind` is "gate" in a gate's own network, else "conv"."""

    name: str
    dense: Dense
    pool: Pool
    region: str
    dst: str
    region_first: int = 0
    part: tuple[int, int] | None = None
    kind: str = "conv"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CopyStep:
    """COPY: a linear map to polyphase layout; `rows`: 0 all, 1 the even ones, 2 the odd ones."""

    name: str
    value: Value
    src: str
    dst: str
    src_first: int = 0
    dst_first: int = 0
    rows: int = 0
    predicate: str | None = None
    src_row: int = 0  # as in ConvStep


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolStep:
    """POOL: the windows of a linear map."""

    name: str
    pool: MapPool
    channels: int
    src: str
    dst: str
    src_first: int = 0
    dst_first: int = 0
    src_row: int = 0  # as in ConvStep
    dst_row: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoveStep:
    """POOLs of 1x1 windows that move `rows` x `columns` pixels of some channels of a map to a place
    in another one: every `src_step`-th channel, and every steps[0]-th row and steps[1]-th column.
    """

    name: str
    input: str
    output: str
    channels: int
    rows: int
    columns: int
    src: str
    dst: str
    src_first: int
    dst_first: int
    src_at: tuple[int, int]  # row and column
    dst_at: tuple[int, int]
    src_step: int = 1
    steps: tuple[int, int] = (1, 1)
    src_row: int = 0  # as in ConvStep
    dst_row: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InterleaveStep:
    """COPYs of planes to a linear map."""

    name: str
    interleave: Interleave
    src: str
    dst: str
    src_first: int = 0
    dst_first: int = 0
    src_row: int = 0  # as in ConvStep
    dst_row: int = 0

    @property
    def channels(self) -> int:
        """Channels that it makes."""
        return self.interleave.channels


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExitStep:
    """EXIT_IF: the image ends here with these logits if they are confident enough."""

    name: str
    logits: Value
    src: str
    threshold: float
    scores: int  # gate scores that are decided by then: the first ones


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreStep:
    """STORE of one of the network's outputs, or of every score (`src` is None)."""

    name: str
    src: str | None
    bytes: int
    src_first: int = 0
    channels: int = 0
    image: int = 0
    at: int = 0  # bytes behind the first result


Step = (
    LoadStep
    | ConvStep
    | GateStep
    | DenseStep
    | CopyStep
    | PoolStep
    | MoveStep
    | InterleaveStep
    | ExitStep
    | StoreStep
)

#: Steps with something in gate memory.
Resident = GateStep | DenseStep | ExitStep


def layers_of(step: GateStep | DenseStep) -> tuple[Gate, ...] | tuple[Dense]:
    """The dense layers of a step, in the order of its outputs."""
    return step.gates if isinstance(step, GateStep) else (step.dense,)


def outputs_of(step: GateStep | DenseStep) -> tuple[int, int]:
    """(first, end) of the outputs that a step makes."""
    return step.part or (0, sum(len(layer.bias) for layer in layers_of(step)))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The steps of one image in order, or of `images` that the core takes for one.

    `scores`: gate output -> first score address.  `shared_scores`: outputs whose scores lie in the
    same memory one after the other, up to `score_end` (0: none do), and are in no record.
    """

    graph: Graph
    schedule: str
    steps: tuple[Step, ...]
    buffers: dict[str, Buffer]
    pools: dict[str, int]  # region -> channels
    scores: dict[str, int]
    streamed: frozenset[str] = frozenset()  # GATEs and DENSEs whose weights are loaded every image
    images: int = 1
    shared_scores: frozenset[str] = frozenset()
    score_end: int = 0

    def with_first_groups(self, modes: Mapping[int, int]) -> "Plan":
        """The plan with `first_mode` of some convolutions, by their number among them."""
        number = itertools.count()
        steps = tuple(
            dataclasses.replace(step, first_mode=modes.get(next(number)))
            if isinstance(step, ConvStep)
            else step
            for step in self.steps
        )
        return dataclasses.replace(self, steps=steps)

    @property
    def n_scores(self) -> int:
        """Scores of all gates, but for those that share memory: what a record has."""
        kept = (name for name in self.scores if name not in self.shared_scores)
        return sum(self.graph.values[name].shape[0] for name in kept)


#: Channels of a buffer that a step reads or writes: (buffer, first, end).
Span = tuple[str, int, int]


def reads(step: Step) -> tuple[Span, ...]:
    """What a step reads of the feature memory (an in-place residual counts)."""
    match step:
        case ConvStep():
            inputs = step.conv.weight.shape[1] * step.conv.groups // step.conv.pixels
            last = max(inputs - 1, 0) * step.src_step
            read = (step.src, step.src_first, step.src_first + (last + 1 if inputs else 0))
            written = writes(step)
            return (read, written) if step.conv.residual and written else (read,)
        case CopyStep():
            return ((step.src, step.src_first, step.src_first + step.value.shape[0]),)
        case PoolStep():
            return ((step.src, step.src_first, step.src_first + step.channels),)
        case MoveStep():
            last = step.src_first + (step.channels - 1) * step.src_step
            return ((step.src, step.src_first, last + 1),)
        case InterleaveStep():
            return ((step.src, step.src_first, step.src_first + step.interleave.last + 1),)
        case ExitStep():
            return ((step.src, 0, step.logits.shape[0]),)
        case StoreStep(src=str(source)):
            return ((source, step.src_first, step.src_first + step.channels),)
        case _:
            return ()


def writes(step: Step) -> Span | None:
    """What a step writes there."""
    match step:
        case ConvStep():
            return step.dst, step.dst_first, step.dst_first + len(step.conv.bias)
        case CopyStep() | LoadStep():
            return step.dst, step.dst_first, step.dst_first + step.value.shape[0]
        case PoolStep() | MoveStep() | InterleaveStep():
            return step.dst, step.dst_first, step.dst_first + step.channels
        case DenseStep():
            return step.dst, *outputs_of(step)
        case _:
            return None
