"""What a float tensor of the ONNX network means in integers, while it is being lowered.

Lowering walks the network once in topological order and keeps one term for every tensor.  A
quantiser turns the term before it into a node of the integer graph.  Terms that hold arrays, or
other terms, compare by identity; `keys.frozen` compares what they hold.
"""

import dataclasses
import math

from penstock.compiler.importer.net import Array, OpNode

INF = math.inf


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The network input before its quantiser (or dequantiser, if it is integer)."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Const:
    """A constant float array."""

    array: Array


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantConst:
    """A dequantised constant: `integers` * scale, one scale or one for each index of `axis`."""

    integers: Array
    scale: Array  # () or (n,), float64
    axis: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An integer value of the graph as it is: nothing is left to be done to it."""

    value: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An integer value of which something is still to be made: a class of its own, so that a
    reader that asks for `Stored` cannot forget it (`lower/stored.py` reads both).

    Its channel (or element) i is channel order[i] of the value, clipped to [low, high] (real).
    """

    value: str
    low: float = -INF
    high: float = INF
    order: tuple[int, ...] = ()  # empty: as they are


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mean:
    """The average over the map of an integer value."""

    node: OpNode
    value: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolWindows:
    """Windows of a pool as the core has them: of the map, or of it with the `border`; `part` of
    what the core makes, None for all.  `outside`: a window leaves the map; `beyond`: its padding
    too."""

    kernel: int
    stride: int
    pad: int
    border: "Part | None"
    part: "Part | None"
    outside: bool
    beyond: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The average over K x K windows of an integer map; padding counts as zeros."""

    node: OpNode
    value: str
    windows: "PoolWindows"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a map, or a map with a border: the spatial fields of an `ir.Frame`."""

    top: int
    left: int
    height: int
    width: int
    steps: tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """An accumulator, not yet requantised: clip(((bias + sum(weight * input)) * scale + offset)
    * score).

    The bias is split so that neither part is rounded before it is known what a step of the result
    is worth (`lower/bias.py`): `bias` counts steps of `scale`, `offset` is real.
    """

    node: OpNode
    dense: bool  # on a pooled vector: (O, I) weights, else a convolution: (O, I / groups, K, K)
    input: str
    weight: Array  # int8
    bias: Array  # (O,) int64
    offset: Array  # (O,) float64
    scale: Array  # (O,) float64: s_in * s_w
    stride: int = 1
    groups: int = 1
    order: tuple[int, ...] = ()
    score: str | None = None
    per_channel: bool = False
    low: float = -INF
    high: float = INF
    pixels: int = 1  # of the map, each read as a channel (ir.Conv)
    part: Part | None = None  # the result, of the map that the core makes; None: all of it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum:
    """clip(left + right): an accumulator and a residual, or two integer values."""

    node: OpNode
    left: "Linear | Stored"
    right: "Linear | Stored"
    low: float = -INF
    high: float = INF


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """Maps side by side, not all quantised yet: the operands' names and terms."""

    node: OpNode
    parts: tuple[tuple[str, "Term"], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """A function of each element of an integer value: `real` numbers (256,) float64, one for each
    byte that an element can be."""

    node: OpNode
    value: str
    real: Array


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loose:
    """A function of each element of `source`, which nothing quantises: that of tensor `name`."""

    node: OpNode
    source: "Linear | Sum"
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logistic:
    """sigmoid of a dense accumulator; `rounded`: of its int8 in the steps of a SIGMOID gate."""

    linear: Linear
    rounded: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binary:
    """1 where the dense accumulator (threshold already in its bias) is above 0, else 0.

    `tie`: 1/2 where it is 0.
    """

    linear: Linear
    tie: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signum:
    """factor * sign + offset of a dense accumulator; a score where both are 1/2."""

    binary: Binary
    factor: float = 1.0
    offset: float = 0.0


Term = (
    Image
    | Const
    | QuantConst
    | Stored
    | Pending
    | Mean
    | Window
    | Linear
    | Sum
    | Joined
    | Function
    | Loose
    | Logistic
    | Binary
    | Signum
)
