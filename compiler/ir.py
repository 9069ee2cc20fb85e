"""The integer graph: what the importer produces and every pass maps to itself.

All numbers are integers with zero point 0 (design section 4).  Values are named; a node writes
the values its `outputs` lists.  Semantics here are *without* skipping: every channel is computed
and multiplied by its score.  The Program built from a graph must give the same bytes.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from penstock.program.core.descriptor import GateKind
from penstock.program.network.ends import HostPart

IntArray = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor: `shape` (C, H, W) for maps, (n,) for vectors.

    Its real numbers are (integer - zero_point) * scale.  What reads it has the zero point in its
    bias, and off the map in its `pad`.  A `wide` map has 16 bits in its sums, which alone are read;
    a `wide` vector, logits, is int16 in feature memory and in the record, which nothing but an exit
    reads.
    """

    name: str
    shape: tuple[int, ...]
    signed: bool
    scale: float
    zero_point: int = 0
    wide: bool = False

    @property
    def code_bytes(self) -> int:
        """Bytes of a number in memory."""
        return 2 if self.wide and len(self.shape) == 1 else 1

    @property
    def size(self) -> int:
        """Bytes of all of it, as a record has it."""
        return math.prod(self.shape) * self.code_bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requantize:
    """y = (acc * multiplier + 2^(shift-1)) >> shift, per output channel, before the clamp."""

    multiplier: IntArray  # (n,) uint16
    shift: IntArray  # (n,) uint8, 1..47


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Scores folded into a convolution's multipliers: m' = (m * s + 64) >> 7."""

    scores: str  # value written by a Gate
    per_channel: bool  # score of channel oc, else the single score 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conv:
    """acc = bias + sum(w * x); y = clamp(sat?(requantize(acc)) + residual, lo, hi).

    Square odd kernel K, padding K // 2, stride 1 or 2.  Output map: ceil(H / stride) x
    ceil(W / stride).  Of G groups the g-th has outputs and inputs g * O / G .. and g * I / G ..
    With an `order` input i of the convolution is channel order[i] of the map (a channel shuffle).
    With `pixels` above 1 the map C x H x W is read as one of C * H * W channels of one pixel.
    Off the map there is `pad`, the zero point of what it reads.  With weights of no input channel
    it reads nothing, and its input only says how large the map is.  A 1x1 kernel with stride 2 on
    a map of even sides may begin a row down (`plane` & 2) and a column on (`plane` & 1).  With a
    `table` (of 256 codes, as in `Lookup`) the result is table[low byte of y] of every y; it is int8
    exactly where lo is below 0.
    """

    name: str
    input: str
    output: str
    weight: IntArray  # (O, I / groups, K, K) int8
    bias: IntArray  # (O,) int32
    requantize: Requantize
    stride: int
    clamp: tuple[int, int]
    fold: Fold | None = None
    residual: str | None = None
    saturate_before_add: bool = False  # clamp to int8 before the residual is added
    groups: int = 1
    order: tuple[int, ...] = ()  # of a grouped convolution; empty: as they are
    pixels: int = 1  # H * W where each pixel of the map is a channel: a dense layer of it, K = 1
    pad: int = 0
    plane: int = 0
    table: IntArray | None = None

    @property
    def depthwise(self) -> bool:
        """Output channel oc reads input channel oc alone, and so for every channel."""
        return self.groups > 1 and self.weight.shape[:2] == (self.groups, 1) and not self.order


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Global average: per channel y = clamp((sum(x) * m + half) >> r) to the output's type."""

    name: str
    input: str
    output: str  # (C,) 8 bit
    multiplier: int
    shift: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPool:
    """Maximum or average over K x K windows of a map, at its scale (maximum) or a new one.

    Padding on every side (2 * pad < K) takes no part in a maximum and counts as 0 in an average:
    y = clamp((sum(x) * m + half) >> r).  Output: (side + 2 * pad - K) // stride + 1 a side.
    """

    name: str
    input: str
    output: str
    kernel: int
    stride: int
    pad: int
    clamp: tuple[int, int]
    average: Requantize | None = None  # one multiplier and shift; None: the maximum

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of the output."""
        lost = self.kernel - 2 * self.pad
        return (height - lost) // self.stride + 1, (width - lost) // self.stride + 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Some channels and pixels of a map, moved: y[k, r, c] is pixel (top + r * steps[0],
    left + c * steps[1]) of channel channels[k], and `fill` where that is off the map.

    No arithmetic.  `top` and `left` may be negative: a border.  Without `channels` all of them.
    """

    name: str
    input: str
    output: str
    top: int
    left: int
    height: int
    width: int
    fill: int = 0
    channels: tuple[int, ...] = ()
    steps: tuple[int, int] = (1, 1)

    def seen(self, sides: tuple[int, int]) -> tuple[range, range]:
        """Rows and columns of the result that lie on a map of `sides`."""
        rows, columns = (
            range(max(0, -(first // step)), min(count, (side - 1 - first) // step + 1))
            for first, step, count, side in zip(
                (self.top, self.left), self.steps, (self.height, self.width), sides, strict=True
            )
        )
        return rows, columns

    def whole(self, sides: tuple[int, int]) -> bool:
        """Whether every pixel of the result is one of a map of `sides`."""
        rows, columns = self.seen(sides)
        return len(rows) == self.height and len(columns) == self.width


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interleave:
    """Four planes of a quarter of the pixels as one map of `height` x `width`: y[k, r, c] is pixel
    (r // 2, c // 2) of channel k * channel + (2 * (r % 2) + c % 2) * phase.

    No arithmetic.  With `phase` 0 every pixel is there four times.  Of odd sides the last row or
    column has one pixel of two.
    """

    name: str
    input: str
    output: str
    channels: int
    height: int
    width: int
    channel: int = 1
    phase: int = 0

    @property
    def last(self) -> int:
        """The last channel that it reads."""
        return (self.channels - 1) * self.channel + 3 * self.phase


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """A function of each element: y = entries[low byte of x], a code of the output's type for every
    code of the input's.  Both are int8 or both uint8.
    """

    name: str
    input: str
    output: str
    entries: IntArray  # (256,) int16, within the output's type


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """acc = bias + w @ x (x a Pool's or a Dense's output); score 0..128.

    RELU1: s = clamp((acc * m + half) >> r, 0, 128).  BINARY: s = 128 if acc > 0 else 0 (the
    importer moves the threshold into the bias).  SIGMOID: s = round(128 sigmoid(z / 16)) with
    z = clamp((acc * m + half) >> r, -128, 127); it scales and decides nothing.
    """

    name: str
    input: str
    output: str  # (n,) uint8, scale 1/128 as a rule
    weight: IntArray  # (n, C) int8
    bias: IntArray  # (n,) int32
    requantize: Requantize
    kind: GateKind = GateKind.RELU1

    @property
    def binary(self) -> bool:
        """Whether its scores are 0 and 1.0 alone."""
        return self.kind == GateKind.BINARY

    @property
    def decides(self) -> bool:
        """Whether a score of 0 is there to be skipped: a sigmoid's hardly ever is."""
        return self.kind != GateKind.SIGMOID


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """y = clamp(requantize(bias + w @ x)), x a Pool's or a Dense's output."""

    name: str
    input: str
    output: str  # (n,)
    weight: IntArray  # (n, C) int8
    bias: IntArray  # (n,) int32
    requantize: Requantize
    clamp: tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """An early exit: an image for which max softmax(logits) >= threshold ends there.

    In integers: with the table E of `numerics.exp_table`, sum_j E[max l - l_j] <= exit_bound.
    """

    logits: str  # a Dense's output, of as many classes as the graph's output
    threshold: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """The channels of two or more maps of one size, scale and type, in order: no arithmetic."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BiasRounding:
    """What making integers of a layer's biases costs."""

    layer: str
    error: float  # at most, in steps of the layer's result
    finer_channels: int  # whose accumulator has finer steps than s_in * s_w


Node = Conv | Pool | MapPool | Frame | Interleave | Lookup | Gate | Dense | Concat


def inputs_of(node: Node) -> tuple[str, ...]:
    """Every value a node needs, scores included."""
    if isinstance(node, Concat):
        return node.inputs
    names = [node.input]
    if isinstance(node, Conv):
        names += [node.residual] if node.residual else []
        names += [node.fold.scores] if node.fold else []
    return tuple(names)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """Nodes in execution order; `input` is the one image value, `output` the logits, `others`
    values that leave the network beside them.

    `exits` in execution order: the first whose test holds ends the image with its logits.
    `rounding`: of the biases of each layer that the importer made.
    `head`, `tails`: what the host computes of the image before it is `input`, and of the logits of
    each exit in order and of `output`; none, or one each.  `other_tails`: of `others`, the same.
    `output_names`, `output_shapes`: of `stored`, what the file has, shapes without the batch.
    `renamed`: values whose names the importer changed -> the file's tensors.
    `mirrored`: rows and columns of every map are those of the file from the last to the first.
    `adjacent`: rows of values that lie one after the other in memory, so that every Concat is a
    range of one of them (the back end's pass `place_concats` fills it in).
    """

    name: str
    input: str
    output: str
    values: dict[str, Value]
    nodes: tuple[Node, ...]
    metadata: dict[str, str]  # the ONNX file's `penstock.*` properties
    exits: tuple[Exit, ...] = ()
    adjacent: tuple[tuple[str, ...], ...] = ()
    rounding: tuple[BiasRounding, ...] = ()
    integer_input: bool = False  # the file takes int8 or uint8 images: codes, not real values
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    head: HostPart | None = None
    tails: tuple[HostPart, ...] = ()
    others: tuple[str, ...] = ()
    other_tails: tuple[HostPart, ...] = ()
    output_names: tuple[str, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    mirrored: tuple[bool, bool] = (False, False)

    @property
    def stored(self) -> tuple[str, ...]:
        """What every image's record holds: the output and the others."""
        return (self.output, *self.others)

    @property
    def results(self) -> tuple[str, ...]:
        """What leaves the network: the exits' logits, the output, the others."""
        return (*(leave.logits for leave in self.exits), *self.stored)

    def tensor(self, value: str) -> str:
        """The file's name for a value, if the file has it."""
        return self.renamed.get(value, value)
