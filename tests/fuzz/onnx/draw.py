"""The network of a seed: a walk over maps, then a classifier or a map as its result."""

import dataclasses
import random as stdlib
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from tests.fuzz.onnx import gates
from tests.fuzz.onnx.builder import Array, Builder, Impossible
from tests.fuzz.onnx.layers import (
    Map,
    Y,
    activate,
    conv,
    dense,
    doubled,
    limit,
    normalized,
    pooled_map,
    transposed,
)

#: Graphs drawn for a seed until one is valid ONNX.
ATTEMPTS = 200
#: Images a network is judged by.
IMAGES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """A network, images of its input's type, and what was drawn."""

    model: onnx.ModelProto
    images: Array
    quantized: bool
    features: tuple[str, ...]


def draw(seed: int, quantized: bool, units: float | None = None, *, ranges: bool = False) -> Drawn:
    """The network of a seed; QDQ and float networks are families of their own.

    `ranges`: one more, of QDQ networks whose tensors have scales and zero points of their own.
    `units`: every image times this, a power of two, and the first weights divided by it; another
    number makes the same network in other units.

    Raises:
        RuntimeError: none of many graphs is valid ONNX.
    """
    family = "ranges" if ranges else "qdq" if quantized else "float"
    random = stdlib.Random(f"onnx {family} {seed}")
    for _ in range(ATTEMPTS):
        try:
            walk = _Walk(stdlib.Random(random.getrandbits(64)), quantized, units)
            walk.b.ranges = ranges
            return walk.drawn()
        except Impossible:
            continue
    raise RuntimeError(f"seed {seed}: no valid graph")


class _Walk:
    """One network."""

    def __init__(self, random: stdlib.Random, quantized: bool, units: float | None) -> None:
        self.b = Builder(
            random,
            opset=random.randint(13, 21),
            quantized=quantized,
            oddness=random.choice((0.0, 0.5, 1.0, 1.0, 2.5)),
            names=random.choice(("plain", "generated")),
        )
        self.features: list[str] = []
        side = random.choice((4, 4, 4, 4, 4, 5, 6, 8))
        self.shape = (1, 4 if random.random() < 0.8 else random.choice((1, 3, 5)), side, side)
        self.kind = TensorProto.FLOAT
        if quantized and random.random() < 0.15:
            self.kind = random.choice((TensorProto.INT8, TensorProto.UINT8))
        #: Images this far from 1; the first weights make up for it.
        self.spread = random.choice((1e-9, 1e-4, 1e3, 1e9)) if self.b.odd(0.08) else 1.0
        if self.kind != TensorProto.FLOAT:
            self.spread = 1.0
        self.fixed = units is not None
        self.spread = self.spread if units is None else units
        self.maps: list[Map] = []
        self.exits: list[str] = []
        self.classes = random.choice((4, 4, 5, 3))
        self.b.qonnx = quantized and random.random() < 0.1

    def drawn(self) -> Drawn:
        b = self.b
        image = b.input(b.pick("image", "x", "input"), self.kind, self.shape)
        x = self._stem(image)
        self.maps.append(x)
        steps: list[Callable[[Map], Map]] = [
            *[self.convolution] * 8,
            *[self.residual] * 6,
            *[self.gated] * 8,
            *[self.pool] * 4,
            *[self.concat] * 3,
            *[self.excite] * 2,
            *[self.shuffle] * 2,
            *[self.upsampled] * 3,
            self.rearranged,
            self.limited,
        ]
        for _ in range(b.pick(1, 1, 2, 2, 3, 4)):
            step = b.random.choice(steps)
            self.features.append(step.__name__)
            x = step(x)
            self.maps.append(x)
            if b.chance(0.05):
                self.exits.append(self._classifier(x, self.classes))
        output = self._end(x)
        outputs = [*self.exits, output]
        if b.chance(0.15):
            outputs += [self._other() for _ in range(b.pick(1, 1, 2))]
        if len(outputs) > 1 and (len(outputs) - len(self.exits) > 1 or b.chance(0.3)):
            self.features.append("outputs")
            b.random.shuffle(outputs)
        elif self.exits:
            self.features.append("exits")
            b.metadata = {
                "penstock.exits": ",".join(outputs),
                "penstock.thresholds": ",".join(["0.5"] * len(self.exits)),
            }
        model = b.model(image, outputs, batch=b.chance(0.3))
        return Drawn(model, self._images(), b.quantized, tuple(self.features))

    def _images(self) -> Array:
        shape = (IMAGES, *self.shape[1:])
        if self.kind == TensorProto.INT8:
            return self.b.rng.integers(-128, 128, shape, dtype=np.int8)
        if self.kind == TensorProto.UINT8:
            return self.b.rng.integers(0, 256, shape, dtype=np.uint8)
        images = self.b.rng.normal(0, 1.5, shape)
        if not self.signed_image:
            images = np.abs(images)
        return (images * self.spread).astype(np.float32)

    def _stem(self, image: str) -> Map:
        """The quantised image, and a convolution of it unless it is read as it is."""
        b = self.b
        self.signed_image = b.chance(0.7) if self.kind == TensorProto.FLOAT else True
        scale = 0.05 * self.spread
        if self.kind == TensorProto.FLOAT:
            x, scale = b.coded(image, scale, self.signed_image)
        else:
            self.signed_image = self.kind == TensorProto.INT8
            x = b.dequantize(image, scale, np.int8 if self.signed_image else np.uint8)
        if not self.fixed and self.spread == 1.0 and b.chance(0.3):
            return Map(x, scale, self.signed_image)
        gain = 0.7 / self.spread
        return self._quantized(conv(b, x, 4, b.pick(1, 3), gain=gain))

    def _quantized(self, y: str, scale: float = 0.0, signed: bool | None = None) -> Map:
        """An activation, then a quantiser."""
        y, negative = activate(self.b, y)
        scale = scale or (Y if self.b.chance(0.8) else self.b.pick(0.03, 0.0625, 0.05))
        signed = (negative or self.b.chance(0.1)) if signed is None else signed
        return Map(*self.b.coded(y, scale, signed), signed)

    # ---- one step from map to map

    def convolution(self, x: Map) -> Map:
        outputs = self.b.pick(4, 4, 4, 8, 3)
        kernel, stride = self.b.pick(1, 3, 3, 5), self.b.pick(1, 1, 1, 2)
        return self._quantized(conv(self.b, x.name, outputs, kernel, stride))

    def residual(self, x: Map) -> Map:
        """A convolution plus a map, which may be an earlier one, or a projection of this one."""
        b = self.b
        shortcut, stride = x, 1
        channels = b.shape(x.name)[1]
        if b.chance(0.2):
            stride, channels = 2, 8
            shortcut = Map(*b.coded(conv(b, x.name, 8, 1, 2), Y), True)
        elif b.chance(0.2):
            same = [m for m in self.maps if b.shape(m.name) == b.shape(x.name)]
            shortcut = b.random.choice(same) if same else x
        y = conv(b, x.name, channels, b.pick(1, 3), stride, gain=0.7)
        if b.chance(0.3):
            y = b.node("Mul", *b.random.sample([y, gates.score(b, self._earlier(x), 1)], 2))
        if b.chance(0.8 if b.ranges else 0.15):
            y, _ = b.coded(y, shortcut.scale)
        y = b.node(b.random.choice(("Add", "Add", "Sum")), *b.random.sample([y, shortcut.name], 2))
        return self._quantized(y, shortcut.scale)

    def gated(self, x: Map) -> Map:
        """A convolution with a score a channel, or one; two convolutions with one policy."""
        b = self.b
        if b.chance(0.2):
            first, second = gates.two_scores(b, x, 4, b.pick(4, 4, 1))
            x = self._scored(x, first, 4)
            return self._scored(x, second, 4)
        n = b.pick(4, 4, 8)
        return self._scored(x, gates.score(b, self._earlier(x), b.pick(n, n, n, 1)), n)

    def _scored(self, x: Map, score: str, outputs: int) -> Map:
        b = self.b
        y = conv(b, x.name, outputs, b.pick(1, 3))
        if b.chance(0.5):
            y = b.node("Relu", y)
        return self._quantized(b.node("Mul", *b.random.sample([y, score], 2)))

    def _earlier(self, x: Map) -> Map:
        return self.b.random.choice([x, x, *self.maps])

    def excite(self, x: Map) -> Map:
        """Squeeze-and-excite: the map itself times the scores of a sigmoid."""
        b = self.b
        channels = b.shape(x.name)[1]
        z, _ = gates.logits(b, x, channels)
        y = b.node("Mul", *b.random.sample([x.name, gates.finish(b, z, "sigmoid")], 2))
        return Map(b.qdq(y, x.scale, x.signed), x.scale, x.signed)

    def pool(self, x: Map) -> Map:
        return pooled_map(self.b, x)

    def concat(self, x: Map) -> Map:
        """Maps side by side, quantised before or behind it."""
        b = self.b
        axis = b.pick(2, 3, -1, -2, 0) if b.odd(0.1) else b.pick(1, 1, -3)
        before = b.chance(0.6)
        parts = []
        for _ in range(2):
            y = b.node("Relu", conv(b, x.name, 4, b.pick(1, 3)))
            parts.append(b.coded(y, Y, False)[0] if before else y)
        if not x.signed and x.scale == Y and len(self.maps) > 1 and b.chance(0.5):
            parts[b.pick(0, 1)] = x.name
        if b.odd(0.2):
            parts.append(parts[0])
        y = b.node("Concat", *parts, axis=axis)
        if b.ranges or not before:
            return Map(*b.coded(y, Y, False), False)
        return Map(y, Y, False)

    def shuffle(self, x: Map) -> Map:
        """The channels in another order."""
        b = self.b
        if b.chance(0.3):
            return self.convolution(Map(self._reshaped(x.name), x.scale, x.signed))
        axis = b.pick(-1, -2, 2, 3, 0) if b.odd(0.3) else b.pick(1, 1, -3)
        count = b.shape(x.name)[axis]
        order = b.random.sample(range(count), count)
        if b.odd(0.1):
            order = [b.pick(index, index - count) for index in order]
        if b.odd(0.05):
            order = b.random.choices(range(count), k=count)
        y = b.node("Gather", x.name, b.const(order, np.int64), axis=axis)
        return self.convolution(Map(y, x.scale, x.signed))

    def _reshaped(self, x: str) -> str:
        """A channel shuffle as exporters write it."""
        b = self.b
        batch, channels, *sides = b.shape(x)
        groups = b.pick(2, 4, channels)
        if channels % groups:
            groups = 1
        wide, back = [batch, groups, channels // groups, *sides], [batch, channels, *sides]
        if b.odd(0.2):
            wide, back = [batch, groups, channels // groups, -1], [batch, -1, *sides]
        perm = [0, 2, 1, *range(3, len(wide))]
        y = b.node("Reshape", x, b.const(wide, np.int64))
        y = b.node("Transpose", y, perm=perm)
        return str(b.node("Reshape", y, b.const(back, np.int64)))

    def upsampled(self, x: Map) -> Map:
        """A larger map, joined with nothing; a map that would be large stays."""
        b = self.b
        if max(b.shape(x.name)[2:]) > 12:
            return self.convolution(x)
        if b.chance(0.5):
            x = self._quantized(conv(b, x.name, 16, 1)) if b.chance(0.4) else x
            larger = Map(doubled(b, x.name), x.scale, x.signed)
            return self.convolution(larger) if b.chance(0.7) else larger
        return self._quantized(transposed(b, x.name, 4))

    def rearranged(self, x: Map) -> Map:
        """Transposed, reshaped, cut or flipped: as it was, or something that is refused."""
        b = self.b
        shape = b.shape(x.name)
        kind = b.random.random()
        if not b.quantized and b.chance(0.3):
            y = normalized(b, x.name)
        elif kind < 0.3:
            perm = b.pick([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 3, 2, 1])
            y = b.node("Transpose", x.name, perm=perm)
        elif kind < 0.6:
            target = b.pick([0, 0, 0, 0], list(shape), [-1, *shape[1:]], [0, -1, *shape[2:]])
            if b.odd(0.3):
                target = b.pick([1, shape[2], shape[1], shape[3]], [1, -1, 2, 2], [1, 1, 4, -1])
            y = b.node("Reshape", x.name, b.const(target, np.int64))
        elif kind < 0.8:
            axis = b.pick(1, 2, 3, -1, -3)
            start, end, step = b.pick(
                (0, 1 << 40, 1), (-1, -(1 << 40), -1), (0, 1 << 40, 2), (1, -1, 1), (0, 2, 1)
            )
            numbers = [b.const([n], np.int64) for n in (start, end, axis, step)]
            y = b.node("Slice", x.name, *numbers)
        else:
            axis = b.pick(1, 1, -3, 2, -1)
            sizes = b.const([2, shape[axis] - 2], np.int64)
            parts = b.node("Split", x.name, sizes, outputs=2, axis=axis)
            y = b.node("Concat", *b.pick(parts, parts[::-1]), axis=axis)
        return Map(y, x.scale, x.signed)

    def limited(self, x: Map) -> Map:
        """A limit behind the quantiser; then another quantiser, or none."""
        b = self.b
        y = limit(b, x.name) if b.odd(0.4) else b.node("Relu", x.name)
        signed = x.signed and b.chance(0.7)
        if b.chance(0.5):
            return Map(*b.coded(y, x.scale, signed), signed)
        return Map(y, x.scale, x.signed)

    # ---- the end

    def _classifier(self, x: Map, classes: int) -> str:
        b = self.b
        v = gates.pooled(b, x)
        for _ in range(b.pick(0, 0, 0, 1, 2)):
            y, negative = activate(b, dense(b, v, b.pick(4, 4, 6)))
            v = b.qdq(y, 0.03, negative)
        y = dense(b, v, classes)
        if b.odd(0.1):
            y = limit(b, y)
        if b.chance(0.12):
            self.features.append("unquantized logits")
            return y
        return b.qdq(y, 0.03)

    def _other(self) -> str:
        """One more output: a map of any size, of a convolution or as it is, or a classifier."""
        x = self.b.random.choice(self.maps)
        kind = self.b.random.random()
        if kind < 0.3:
            return self._classifier(x, self.b.pick(2, 5))
        return self._quantized(conv(self.b, x.name, 4, 1)).name if kind < 0.8 else x.name

    def _end(self, x: Map) -> str:
        b = self.b
        if not self.exits and b.chance(0.25):
            y = self._quantized(conv(b, x.name, b.pick(2, 4, 5), b.pick(1, 3))).name
        else:
            y = self._classifier(x, self.classes)
        if b.odd(0.04):
            y = limit(b, y)
        if b.odd(0.06):
            size = int(np.prod(b.shape(y)))
            target = b.pick([size, 1], [1, 1, size], [1, size], [-1])
            y = b.node("Reshape", y, b.const(target, np.int64))
        return y
