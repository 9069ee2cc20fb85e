"""Random legal networks: a recipe (data that prints and can be edited) and the graph it describes.

`recipe(random)` asks a `random.Random` alone, so that a seed gives a network, and hypothesis, which
hands out a `Random` of its own (`recipes`), shrinks one.  What a configuration has no room for is
left to the compiler to refuse (`tests/fuzz/case.py`).
"""

import dataclasses
import random as stdlib
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import strategies as st

from penstock.compiler.importer.graph.check_accumulators import check_accumulators
from penstock.compiler.importer.graph.prune import prune_graph
from penstock.compiler.ir import Conv, Dense, Fold, Gate, Graph, Node, Requantize
from penstock.compiler.numerics import ACCUMULATOR_LIMIT, MAX_SHIFT
from penstock.compiler.plan.schedule import SCHEDULES
from tests.compiler.back.graphs import GraphBuilder

#: Multiply-accumulates of an image at most: a case takes a second at any configuration.
MAC_BUDGET = 150_000
MAX_CHANNELS = 70
KERNELS = (1, 3, 5, 7)
Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """A gate on the pooled map `source`: 0 is the image, n the map of layer n - 1."""

    source: int
    outputs: int
    keep: float  # -16: all closed, 16: all open, between: the image decides
    binary: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution; `gate` is an index into the recipe's gates, `residual` a map."""

    input: int
    channels: int
    kernel: int
    stride: int = 1
    signed: bool = False
    clamp: tuple[int, int] | None = None
    gate: int | None = None
    residual: int | None = None
    saturate: bool = False
    groups: int = 1
    pad: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A maximum or average over windows."""

    input: int
    kernel: int
    stride: int
    pad: int
    average: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A Concat of maps of one size and type."""

    inputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The sum of two maps of one shape and type, each times a factor of its own."""

    inputs: tuple[int, int]
    signed: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Larger:
    """A map of about twice the sides: nearest neighbours, or planes of DepthToSpace."""

    input: int
    sides: tuple[int, int]
    channels: int
    channel: int
    phase: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Excite:
    """Squeeze-and-excite of a map."""

    input: int
    hidden: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network; `classes` 0 ends it with its last map instead of a dense layer."""

    weights: int  # seed of the weights
    shape: Shape
    signed: bool
    gates: tuple[GateSpec, ...]
    layers: tuple[Layer | Window | Join | Larger | Excite | Pair, ...]
    classes: int
    schedule: str
    exits: tuple[tuple[int, float], ...] = ()  # (map, threshold) of early exits
    extreme: bool = False  # multipliers, shifts and biases over the whole legal range
    images: int = 1  # of a run
    wide: tuple[bool, ...] = ()  # int16 logits: of each exit, then of the output


def build(recipe: Recipe) -> Graph:
    """The integer graph as an import leaves it: pruned, no accumulator can overflow."""
    builder = GraphBuilder(rng=np.random.default_rng(recipe.weights))
    maps = [builder.value("image", recipe.shape, recipe.signed)]
    pooled: dict[int, str] = {}
    scores: dict[int, str] = {}

    def pool(source: int) -> str:
        if source not in pooled:
            pooled[source] = builder.pool(maps[source])
        return pooled[source]

    for layer in recipe.layers:
        if isinstance(layer, Join):
            maps.append(builder.concat(*(maps[index] for index in layer.inputs)))
            continue
        if isinstance(layer, Window):
            window = (layer.kernel, layer.stride, layer.pad, layer.average)
            maps.append(builder.map_pool(maps[layer.input], *window))
            continue
        if isinstance(layer, Larger):
            places = (layer.sides, layer.channels, layer.channel, layer.phase)
            maps.append(builder.interleave(maps[layer.input], *places))
            continue
        if isinstance(layer, Excite):
            maps.append(builder.excite(maps[layer.input], layer.hidden))
            continue
        if isinstance(layer, Pair):
            maps.append(builder.pair(*(maps[index] for index in layer.inputs), layer.signed))
            continue
        fold = None
        if layer.gate is not None:
            spec = recipe.gates[layer.gate]
            if layer.gate not in scores:
                gate = builder.gate(pool(spec.source), spec.outputs, spec.keep, spec.binary)
                scores[layer.gate] = gate
            fold = Fold(scores=scores[layer.gate], per_channel=spec.outputs > 1)
        residual = None if layer.residual is None else maps[layer.residual]
        shape = (layer.channels, layer.kernel, layer.stride, layer.signed)
        extra = {"fold": fold, "residual": residual, "saturate_before_add": layer.saturate}
        source = builder.values[maps[layer.input]]
        extra |= {"groups": layer.groups}
        extra |= {"pad": layer.pad - 256 * (source.signed and layer.pad > 127)}
        maps.append(builder.conv(maps[layer.input], *shape, **extra))
        if layer.clamp is not None:
            builder.nodes[-1] = dataclasses.replace(builder.nodes[-1], clamp=layer.clamp)
    output = maps[-1]
    wide = recipe.wide or (False,) * (len(recipe.exits) + 1)
    for (source, threshold), each in zip(recipe.exits, wide[:-1], strict=True):
        builder.leave(pool(source), recipe.classes, threshold, wide=each)
    if recipe.classes:
        output = builder.dense(pool(len(maps) - 1), recipe.classes, wide=wide[-1])
    graph = prune_graph(builder.graph("image", output))
    return check_accumulators(_extreme(graph, builder.rng) if recipe.extreme else graph)


def _extreme(graph: Graph, rng: np.random.Generator) -> Graph:
    """The network with accumulators that reach the ends of int32, and any multiplier and shift."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, (Conv, Gate, Dense)):
            count = len(node.bias)
            largest = 128 if graph.values[node.input].signed else 255
            sums = np.abs(node.weight.astype(np.int64)).reshape(count, -1).sum(axis=1) * largest
            room = ACCUMULATOR_LIMIT - 1 - sums
            bias = np.where(rng.random(count) < 0.3, rng.integers(-room, room + 1), node.bias)
            bias = np.where(rng.random(count) < 0.1, rng.choice([-1, 1], count) * room, bias)
            factor = Requantize(
                multiplier=rng.integers(1 << 15, 1 << 16, count).astype(np.uint16),
                shift=rng.integers(14, MAX_SHIFT + 1, count).astype(np.uint8),
            )
            node = dataclasses.replace(node, bias=bias.astype(np.int32), requantize=factor)
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


class Composer:
    """Draws layers one after the other; `maps` are the shapes so far, the image first."""

    def __init__(self, random: stdlib.Random, shape: Shape) -> None:
        self.random = random
        self.maps = [shape]
        self.layers: list[Layer | Window | Join | Larger | Excite | Pair] = []
        self.gates: list[GateSpec] = []
        self.macs = 0
        self.signed = False  # the image
        self.grouped = False  # some convolutions have groups, or as many as channels
        self.keep = random.choice((-16.0, 0.0, 0.0, 0.0, 16.0))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def channels(self) -> int:
        """1 to 70: few as often as not, and the sizes around the array's rows."""
        if self.chance(0.4):
            return self.random.choice((1, 2, 3, 7, 8, 9, 16, 17, 32, 33, 64, MAX_CHANNELS))
        return self.random.randint(1, self.random.choice((4, 9, 17, 33, MAX_CHANNELS)))

    def gate(self, source: int, outputs: int) -> int:
        """A gate on map `source`; its index."""
        keep = self.keep if self.chance(0.7) else self.random.choice((-16.0, -0.5, 0.5, 16.0))
        binary = self.chance(0.3)
        self.gates.append(GateSpec(source=source, outputs=outputs, keep=keep, binary=binary))
        return len(self.gates) - 1

    def convolve(self, layer: Layer) -> int:
        """Add a convolution, with a 1x1 kernel where a larger one exceeds the budget."""
        inputs, height, width = self.maps[layer.input]
        rows, columns = -(-height // layer.stride), -(-width // layer.stride)
        work = inputs * layer.channels * rows * columns // layer.groups
        if self.macs + work * layer.kernel**2 > MAC_BUDGET:
            layer = dataclasses.replace(layer, kernel=1)
        self.macs += work * layer.kernel**2
        self.layers.append(layer)
        self.maps.append((layer.channels, rows, columns))
        return len(self.maps) - 1

    def clamp(self, signed: bool) -> tuple[int, int] | None:
        """Seldom the bounds of a Clip; they need not hold 0."""
        if not self.chance(0.1):
            return None
        low = self.random.randint(-100 if signed else 0, 40)
        return low, self.random.randint(low, 127)

    # -- what a network consists of -------------------------------------------------------------

    def plain(self) -> None:
        """A convolution of any earlier map, often the last; any gate, perhaps a residual."""
        source = self.pick_map()
        stride = 2 if self.chance(0.25) else 1
        channels, signed = self.channels(), self.chance(0.4)
        groups = 1
        if self.grouped and self.chance(0.5):
            inputs = self.maps[source][0]
            groups = channels = inputs
            if self.chance(0.6):
                divisors = [g for g in range(1, inputs + 1) if inputs % g == 0]
                groups = self.random.choice(divisors[1:] or divisors)
                channels = groups * self.random.randint(1, max(MAX_CHANNELS // groups, 1))
        sides = [-(-side // stride) for side in self.maps[source][1:]]
        fits = [i for i, m in enumerate(self.maps) if i and list(m[1:]) == sides]
        residual = self.random.choice(fits) if fits and self.chance(0.3) else None
        if residual is not None:
            channels = self.maps[residual][0]
            groups = groups if channels % groups == 0 else 1
        self.convolve(
            Layer(
                input=source,
                channels=channels,
                kernel=self.random.choice(KERNELS),
                stride=stride,
                signed=signed,
                clamp=self.clamp(signed),
                gate=self.any_gate(channels),
                residual=residual,
                saturate=residual is not None and self.chance(0.5),
                groups=groups,
            )
        )

    def any_gate(self, channels: int) -> int | None:
        """No gate, a new one on any map, or one that a layer has already."""
        if self.chance(0.5):
            return None
        known = [i for i, gate in enumerate(self.gates) if gate.outputs in (1, channels)]
        if known and self.chance(0.3):
            return self.random.choice(known)
        outputs = 1 if self.chance(0.3) else channels
        return self.gate(self.pick_map(), outputs)

    def pick_map(self) -> int:
        last = len(self.maps) - 1
        return last if self.chance(0.7) else self.random.randint(0, last)

    def window(self) -> None:
        """A pool of the last map that its sides allow."""
        source = len(self.maps) - 1
        kernel = self.random.randint(1, 7)
        pad = self.random.randint(0, (kernel - 1) // 2)
        if kernel > min(self.maps[source][1:]) + 2 * pad:
            return self.plain()
        stride = self.random.randint(1, 2)
        average = kernel > 1 and self.chance(0.5)
        layer = Window(input=source, kernel=kernel, stride=stride, pad=pad, average=average)
        self.layers.append(layer)
        channels, *sides = self.maps[source]
        rows, columns = ((side - kernel + 2 * pad) // stride + 1 for side in sides)
        self.maps.append((channels, rows, columns))
        return None

    def block(self) -> None:
        """A residual block of two or three convolutions, gated by block, channels, both or none."""
        source = len(self.maps) - 1
        inputs = self.maps[source][0]
        bottleneck = self.chance(0.3)
        stride = 2 if self.chance(0.3) else 1
        channels = inputs if self.chance(0.6) else self.channels()
        width = self.channels() if bottleneck else channels
        gated = self.random.choice(("block", "channels", "both", "both", "none"))
        score = self.gate(source, 1) if gated in ("block", "both") else None
        x = source
        for index in range(2 if bottleneck else 1):
            last = index == (1 if bottleneck else 0)
            gate = self.gate(source, width) if gated in ("channels", "both") else None
            kernel = self.random.choice((3, 3, 5)) if last else 1
            step = stride if last else 1
            x = self.convolve(Layer(input=x, channels=width, kernel=kernel, stride=step, gate=gate))
        residual = source
        if stride == 2 or channels != inputs:
            residual = self.convolve(
                Layer(input=source, channels=channels, kernel=1, stride=stride, signed=True)
            )
        self.convolve(
            Layer(
                input=x,
                channels=channels,
                kernel=1 if bottleneck else 3,
                signed=self.chance(0.2),
                gate=score,
                residual=residual,
                saturate=self.chance(0.3),
            )
        )

    def inverted(self) -> None:
        """An inverted residual: 1x1 to more channels, depthwise, 1x1; gates behind either or both.

        A gate behind the depthwise convolution alone skips the channels of both before it.
        """
        source = len(self.maps) - 1
        inputs = self.maps[source][0]
        width = self.channels()
        stride = 2 if self.chance(0.3) else 1
        channels = inputs if self.chance(0.6) else self.channels()
        gate = self.gate(source, width) if self.chance(0.7) else None
        first = gate if self.chance(0.3) else None
        x = self.convolve(Layer(input=source, channels=width, kernel=1, gate=first))
        kernel = self.random.choice((3, 3, 5, 7, 1))
        x = self.convolve(
            Layer(input=x, channels=width, kernel=kernel, stride=stride, gate=gate, groups=width)
        )
        same = stride == 1 and channels == inputs
        score = self.gate(source, 1) if same and self.chance(0.4) else None
        self.convolve(
            Layer(
                input=x,
                channels=channels,
                kernel=1,
                signed=self.chance(0.5),
                gate=score,
                residual=source if same else None,
            )
        )

    def join(self) -> None:
        """A Concat of two to four maps, often of those of an earlier one and a new one."""
        kinds = self.kinds()
        source = self.pick_map()
        alike = [index for index, kind in enumerate(kinds) if kind == kinds[source]]
        if self.chance(0.8):  # the image has an address of its own: it is copied
            source, alike = source or alike[-1], [index for index in alike if index] or alike
        parts = [self.random.choice(alike) for _ in range(self.random.randint(1, 3))]
        earlier = [x for x in self.layers if isinstance(x, Join) and set(x.inputs) & {*alike}]
        if earlier and self.chance(0.6):
            parts = list(self.random.choice(earlier).inputs)
        parts.insert(self.random.choice((0, len(parts), len(parts))), source)
        if not self.chance(0.1):
            parts = list(dict.fromkeys(parts))
        channels = sum(self.maps[index][0] for index in parts)
        if len(parts) < 2 or len(parts) > 6 or channels > 2 * MAX_CHANNELS:
            return self.plain()
        self.layers.append(Join(inputs=tuple(parts)))
        self.maps.append((channels, *self.maps[source][1:]))
        return None

    def larger(self) -> None:
        """A map of twice the sides, or of one row or column less."""
        source = self.pick_map()
        inputs, *sides = self.maps[source]
        if max(sides) > 25:
            return self.plain()
        made = [2 * side - (side > 1 and self.chance(0.2)) for side in sides]
        channels, channel, phase = inputs, 1, 0
        if inputs > 3 and self.chance(0.6):
            channels = inputs // 4
            channel, phase = self.random.choice(((1, channels), (4, 1)))
        layer = Larger(
            input=source,
            sides=(made[0], made[1]),
            channels=channels,
            channel=channel,
            phase=phase,
        )
        self.layers.append(layer)
        self.maps.append((channels, made[0], made[1]))
        return None

    def excite(self) -> None:
        """A map times a sigmoid of its average."""
        source = self.pick_map()
        self.layers.append(Excite(input=source, hidden=self.random.choice((1, 2, 5, 16, 33))))
        self.maps.append(self.maps[source])

    def pair(self) -> None:
        """The sum of the last map and another of its shape and type, itself if need be, or of two
        convolutions of it; where there is a gate, often of a block of its own."""
        kinds, last = self.kinds(), len(self.maps) - 1
        alike = [
            index
            for index, kind in enumerate(kinds)
            if (self.maps[index], kind) == (self.maps[last], kinds[last])
        ]
        if self.chance(0.7):
            channels, signed = self.maps[last][0], kinds[last][2]
            made = Layer(input=last, channels=channels, kernel=self.random.choice((1, 3)))
            gate = self.any_gate(channels)
            alike.append(self.convolve(dataclasses.replace(made, signed=signed, gate=gate)))
        inputs = (last, alike[-1] if self.chance(0.7) else self.random.choice(alike))
        self.layers.append(Pair(inputs=inputs, signed=self.chance(0.4)))
        self.maps.append(self.maps[last])

    def kinds(self) -> list[tuple[int, int, bool]]:
        """(rows, columns, signed) of every map."""
        signs = [self.signed]
        for layer in self.layers:
            match layer:
                case Layer() | Pair():
                    signs.append(layer.signed)
                case Window() | Excite() | Larger():
                    signs.append(signs[layer.input])
                case Join():
                    signs.append(signs[layer.inputs[0]])
        return [(*shape[1:], sign) for shape, sign in zip(self.maps, signs, strict=True)]


def joined(random: stdlib.Random) -> Recipe:
    """A random network with Concats: a family of its own, so that no other seed changes."""
    return recipe(random, joins=True)


def excited(random: stdlib.Random) -> Recipe:
    """A random network with squeeze-and-excite, and sometimes Concats: one more family."""
    return recipe(random, joins=random.random() < 0.3, excites=True)


def enlarged(random: stdlib.Random) -> Recipe:
    """A random network with larger maps behind small ones, and Concats; at times for several
    images."""
    chosen = recipe(random, joins=random.random() < 0.5, larger=True)
    return _several(chosen, random) if random.random() < 0.25 else chosen


def coded(random: stdlib.Random) -> Recipe:
    """A random network with zero points, so that other bytes than 0 are read off the maps, and
    sums of maps at scales of their own; at times for several images."""
    chosen = recipe(random, joins=random.random() < 0.2, pairs=True)
    if random.random() < 0.35:
        chosen = _several(chosen, random)
    layers = [
        dataclasses.replace(layer, pad=random.randint(-128, 127) & 255)
        if isinstance(layer, Layer) and random.random() < 0.6
        else layer
        for layer in chosen.layers
    ]
    return dataclasses.replace(chosen, layers=tuple(layers))


def recipe(
    random: stdlib.Random,
    joins: bool = False,
    excites: bool = False,
    pairs: bool = False,
    larger: bool = False,
) -> Recipe:
    """A random network; equal generators give equal ones."""
    channels = random.choice((1, 3, 4, 9, 40))
    sides = [random.randint(1, random.choice((3, 7, 12, 19, 45))) for _ in range(2)]
    compose = Composer(random, (random.randint(1, channels), sides[0], sides[1]))
    weights, signed = random.getrandbits(32), compose.chance(0.5)
    parts: Sequence[str] = ("plain", "plain", "block", "block", "block", "window")
    # Not a draw: the networks of other seeds stay what they were before there were groups.
    compose.grouped = weights % 5 < 2
    if compose.grouped:
        parts = (*parts, "inverted", "inverted", "inverted")
    compose.signed = signed
    if joins:
        parts = (*parts, *["join"] * len(parts))
    if excites:
        parts = (*parts, *["excite"] * len(parts))
    if larger:
        parts = (*parts, *["larger"] * (len(parts) // 2))
    if pairs:
        parts = (*parts, *["pair"] * (len(parts) // 2))
    for _ in range(random.randint(3, 9) if joins or excites else random.randint(1, 6)):
        getattr(compose, random.choice(parts))()
        if compose.macs > MAC_BUDGET:
            break
    if isinstance(compose.layers[-1], Join):  # a Concat is no output
        compose.plain()
    chosen = Recipe(
        weights=weights,
        shape=compose.maps[0],
        signed=signed,
        gates=tuple(compose.gates),
        layers=tuple(compose.layers),
        classes=random.randint(1, 20) if compose.chance(0.7) else 0,
        schedule=random.choice(SCHEDULES),
        extreme=compose.chance(0.25),
    )
    return with_exits(chosen)


def with_exits(chosen: Recipe) -> Recipe:
    """A third of the networks that end with a dense layer have early exits as well."""
    if not chosen.classes:
        return chosen
    exits = _exits(chosen)
    return dataclasses.replace(chosen, exits=exits, wide=_wide(chosen, len(exits) + 1))


def _wide(chosen: Recipe, ends: int) -> tuple[bool, ...]:
    """int16 logits at four of ten ends, from a generator of its own as well."""
    random = stdlib.Random(chosen.weights + 1)
    return tuple(random.random() < 0.4 for _ in range(ends))


def _exits(chosen: Recipe) -> tuple[tuple[int, float], ...]:
    """Early exits of a third of the networks: from a generator of its own, so that the others stay
    what their seeds made before there were exits."""
    random = stdlib.Random(chosen.weights)
    if random.random() > 0.33:
        return ()
    maps = random.sample(range(len(chosen.layers) + 1), min(2, len(chosen.layers) + 1))
    return tuple((index, random.choice((0.0, 0.2, 0.4, 0.7, 2.0))) for index in sorted(maps))


def several(random: stdlib.Random) -> Recipe:
    """A network without gates and exits, for several images a run."""
    return _several(recipe(random, joins=random.random() < 0.3), random)


def _several(chosen: Recipe, random: stdlib.Random) -> Recipe:
    layers = [
        dataclasses.replace(layer, gate=None) if isinstance(layer, Layer) else layer
        for layer in chosen.layers
    ]
    return dataclasses.replace(
        chosen,
        gates=(),
        exits=(),
        wide=chosen.wide[-1:],
        layers=tuple(layers),
        images=random.randint(2, 4),
    )


def recipes(family: Callable[[stdlib.Random], Recipe] = recipe) -> st.SearchStrategy[Recipe]:
    """Hypothesis's view of a family: shrinks towards few, small, plain layers."""
    return st.randoms(use_true_random=False).map(family)
