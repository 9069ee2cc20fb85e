"""Hand-built integer graphs: single convolutions and LC-Net-like networks of any size."""

import dataclasses
from typing import Any

import numpy as np

from penstock.compiler import numerics
from penstock.compiler.ir import (
    Concat,
    Conv,
    Dense,
    Exit,
    Fold,
    Gate,
    Graph,
    IntArray,
    Interleave,
    MapPool,
    Node,
    Pool,
    Requantize,
    Value,
)
from penstock.program.core.descriptor import GateKind
from penstock.program.network.package import Package


@dataclasses.dataclass(kw_only=True)
class GraphBuilder:
    """Adds nodes with random weights; every method returns the name of the new value."""

    rng: np.random.Generator
    values: dict[str, Value] = dataclasses.field(default_factory=dict)
    nodes: list[Node] = dataclasses.field(default_factory=list)
    exits: list[Exit] = dataclasses.field(default_factory=list)

    def value(self, name: str, shape: tuple[int, ...], signed: bool, scale: float = 1.0) -> str:
        self.values[name] = Value(name=name, shape=shape, signed=signed, scale=scale)
        return name

    def requantize(self, count: int, terms: int) -> Requantize:
        """Multipliers that bring sums of `terms` random products to about 8 bits."""
        real = self.rng.uniform(0.5, 1.5, count) / (64 * np.sqrt(max(terms, 1)))
        shift = np.clip(15 - np.ceil(np.log2(real)), 1, 47).astype(int)
        multiplier = np.minimum(np.round(real * 2.0**shift), 65535).astype(np.uint16)
        return Requantize(multiplier=multiplier, shift=shift.astype(np.uint8))

    def conv(
        self,
        source: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        signed: bool = False,
        **extra: Any,
    ) -> str:
        """A convolution; uint8 with ReLU unless `signed`."""
        inputs, height, width = self.values[source].shape
        inputs //= extra.get("groups", 1)
        name = f"conv{len(self.nodes)}"
        shape = (channels, -(-height // stride), -(-width // stride))
        self.nodes.append(
            Conv(
                name=name,
                input=source,
                output=self.value(f"{name}.y", shape, signed),
                weight=self.rng.integers(
                    -127, 128, (channels, inputs, kernel, kernel), dtype=np.int8
                ),
                bias=self.rng.integers(-20000, 20000, channels, dtype=np.int32),
                requantize=self.requantize(channels, inputs * kernel * kernel),
                stride=stride,
                clamp=(-128, 127) if signed else (0, 255),
                **extra,
            )
        )
        return f"{name}.y"

    def concat(self, *sources: str) -> str:
        """Maps of one size and type, one after the other."""
        tensors = [self.values[source] for source in sources]
        name = f"concat{len(self.nodes)}"
        self.nodes.append(Concat(name=name, inputs=sources, output=f"{name}.y"))
        shape = (sum(tensor.shape[0] for tensor in tensors), *tensors[0].shape[1:])
        return self.value(f"{name}.y", shape, tensors[0].signed)

    def pair(self, left: str, right: str, signed: bool) -> str:
        """The sum of two maps of one size and type at scales of their own."""
        channels = self.values[left].shape[0]
        order = np.arange(2 * channels).reshape(2, channels).T.reshape(-1)
        both = self.concat(left, right)
        extra = {"groups": channels, "order": tuple(order.tolist())}
        return self.conv(both, channels, 1, signed=signed, **extra)

    def map_pool(
        self, source: str, kernel: int, stride: int, pad: int = 0, average: bool = False
    ) -> str:
        """Maximum, or about the average, over windows."""
        tensor = self.values[source]
        channels, height, width = tensor.shape
        name = f"mappool{len(self.nodes)}"
        low, high = (-128, 127) if tensor.signed else (0, 255)
        factor = Requantize(
            multiplier=np.array([round(0.9 * (1 << 16) / kernel**2)], np.uint16),
            shift=np.array([16], np.uint8),
        )
        node = MapPool(
            name=name,
            input=source,
            output=f"{name}.y",
            kernel=kernel,
            stride=stride,
            pad=pad,
            clamp=(low, high),
            average=factor if average else None,
        )
        self.nodes.append(node)
        return self.value(node.output, (channels, *node.out_size(height, width)), tensor.signed)

    def interleave(
        self, source: str, sides: tuple[int, int], channels: int, channel: int, phase: int
    ) -> str:
        """Four planes as one map (ir.Interleave)."""
        name = f"interleave{len(self.nodes)}"
        node = Interleave(
            name=name,
            input=source,
            output=f"{name}.y",
            channels=channels,
            height=sides[0],
            width=sides[1],
            channel=channel,
            phase=phase,
        )
        self.nodes.append(node)
        return self.value(node.output, (channels, *sides), self.values[source].signed)

    def pool(self, source: str, shrink: float = 0.9) -> str:
        """Global average pool, times `shrink`."""
        channels, height, width = self.values[source].shape
        name = f"pool{len(self.nodes)}"
        shift = 20 if height * width > 16 else 15
        self.nodes.append(
            Pool(
                name=name,
                input=source,
                output=self.value(f"{name}.y", (channels,), self.values[source].signed),
                multiplier=round((1 << shift) / (height * width) * shrink),
                shift=shift,
            )
        )
        return f"{name}.y"

    def _dense_parts(self, source: str, outputs: int) -> tuple[IntArray, IntArray]:
        inputs = self.values[source].shape[0]
        weight = self.rng.integers(-127, 128, (outputs, inputs), dtype=np.int8)
        return weight, self.rng.integers(-2000, 2000, outputs, dtype=np.int32)

    def gate(self, pooled: str, outputs: int, keep: float = 0.0, binary: bool = False) -> str:
        """A gate whose scores lean open (`keep` > 0) or closed; at 0 the image decides."""
        weight, bias = self._dense_parts(pooled, outputs)
        spread = 127 * 64 * np.sqrt(weight.shape[1])
        pivot = weight @ self.rng.integers(0, 80, weight.shape[1])
        bias = (bias + keep * spread - pivot).astype(np.int32)
        shift = 30
        multiplier = max(1, round(2.0**shift * 96 / spread))
        while multiplier > 65535:
            multiplier, shift = multiplier >> 1, shift - 1
        name = f"gate{len(self.nodes)}"
        self.nodes.append(
            Gate(
                name=name,
                input=pooled,
                output=self.value(f"{name}.s", (outputs,), False, 1 / 128),
                weight=weight,
                bias=bias,
                requantize=Requantize(
                    multiplier=np.full(outputs, multiplier, np.uint16),
                    shift=np.full(outputs, shift, np.uint8),
                ),
                kind=GateKind.BINARY if binary else GateKind.RELU1,
            )
        )
        return f"{name}.s"

    def excite(self, x: str, hidden: int, spread: int = 0) -> str:
        """Squeeze-and-excite: a map times a sigmoid of two dense layers on its average.

        `spread`: scores are those of 2^spread times the usual, so more are 0 and 1.0.
        """
        channels = self.values[x].shape[0]
        squeezed = self.dense(self.pool(x), hidden)
        weight, bias = self._dense_parts(squeezed, channels)
        usual = self.requantize(channels, hidden)
        name = f"gate{len(self.nodes)}"
        self.nodes.append(
            Gate(
                name=name,
                input=squeezed,
                output=self.value(f"{name}.s", (channels,), False, 1 / 128),
                weight=weight,
                bias=bias,
                requantize=dataclasses.replace(usual, shift=usual.shift - np.uint8(spread)),
                kind=GateKind.SIGMOID,
            )
        )
        factors = Requantize(
            multiplier=np.full(channels, 1 << 15, np.uint16), shift=np.full(channels, 15, np.uint8)
        )
        fold = Fold(scores=f"{name}.s", per_channel=True)
        y = self.conv(x, channels, 1, signed=self.values[x].signed, groups=channels, fold=fold)
        made = self.nodes[-1]
        assert isinstance(made, Conv)
        self.nodes[-1] = dataclasses.replace(
            made,
            weight=np.ones_like(made.weight),
            bias=np.zeros_like(made.bias),
            requantize=factors,
        )
        return y

    def dense(self, pooled: str, outputs: int, *, wide: bool = False) -> str:
        """The classifier; int8 logits, or int16 in steps of a 256th."""
        weight, bias = self._dense_parts(pooled, outputs)
        name = f"dense{len(self.nodes)}"
        factors, most = self.requantize(outputs, weight.shape[1]), 128
        scale = 0.1
        if wide:
            shift = np.maximum(factors.shift.astype(int) - 8, 1).astype(np.uint8)
            factors, most = dataclasses.replace(factors, shift=shift), 1 << 15
            scale /= 256
        self.nodes.append(
            Dense(
                name=name,
                input=pooled,
                output=self.value(f"{name}.y", (outputs,), True, scale),
                weight=weight,
                bias=bias,
                requantize=factors,
                clamp=(-most, most - 1),
            )
        )
        value = self.values[f"{name}.y"]
        self.values[value.name] = dataclasses.replace(value, wide=wide)
        return f"{name}.y"

    def leave(
        self,
        pooled: str,
        outputs: int,
        threshold: float,
        scale: float = 0.02,
        *,
        wide: bool = False,
    ) -> None:
        """An early exit behind a global average; `scale`: of int8 logits."""
        logits = self.dense(pooled, outputs, wide=wide)
        scale = max(scale / 256, numerics.exit_scale()) if wide else scale
        self.values[logits] = dataclasses.replace(self.values[logits], scale=scale)
        self.exits.append(Exit(logits=logits, threshold=threshold))

    def block(self, x: str, channels: int, stride: int, keep: float, binary: bool = False) -> str:
        """An LC-Net basic block: block gate, channel gate, projection where the shape changes."""
        pooled = self.pool(x)
        block = self.gate(pooled, 1, keep, binary)
        channel = self.gate(pooled, channels, keep / 2, binary)
        hidden = self.conv(x, channels, stride=stride, fold=Fold(scores=channel, per_channel=True))
        residual = x
        if stride == 2 or self.values[x].shape[0] != channels:
            residual = self.conv(x, channels, kernel=1, stride=stride, signed=True)
        fold = Fold(scores=block, per_channel=False)
        return self.conv(
            hidden,
            channels,
            fold=fold,
            residual=residual,
            saturate_before_add=bool(self.rng.integers(2)),
        )

    def bottleneck(self, x: str, width: int, channels: int, stride: int, keep: float) -> str:
        """An LC-Net bottleneck: 1x1, 3x3 (with the stride), 1x1; both inner maps gated."""
        pooled = self.pool(x)
        block = self.gate(pooled, 1, keep)
        first, second = (self.gate(pooled, width, keep / 2) for _ in range(2))
        y = self.conv(x, width, 1, fold=Fold(scores=first, per_channel=True))
        y = self.conv(y, width, 3, stride, fold=Fold(scores=second, per_channel=True))
        residual = x
        if stride == 2 or self.values[x].shape[0] != channels:
            residual = self.conv(x, channels, 1, stride, signed=True)
        fold = Fold(scores=block, per_channel=False)
        return self.conv(y, channels, 1, fold=fold, residual=residual)

    def inverted(
        self, x: str, width: int, channels: int, stride: int = 1, keep: float | None = None
    ) -> str:
        """An inverted residual: 1x1, depthwise 3x3 (with the stride), 1x1 without ReLU.

        With `keep` the width is gated behind the depthwise convolution, the block if it is added.
        """
        added = stride == 1 and self.values[x].shape[0] == channels
        gate = block = None
        if keep is not None:
            pooled = self.pool(x)
            score = self.gate(pooled, 1, keep) if added else None
            block = None if score is None else Fold(scores=score, per_channel=False)
            gate = Fold(scores=self.gate(pooled, width, keep / 2), per_channel=True)
        y = self.conv(x, width, 1)
        y = self.conv(y, width, 3, stride, groups=width, fold=gate)
        return self.conv(y, channels, 1, signed=True, fold=block, residual=x if added else None)

    def graph(self, source: str, output: str, name: str = "test") -> Graph:
        return Graph(
            name=name,
            input=source,
            output=output,
            values=self.values,
            nodes=tuple(self.nodes),
            metadata={},
            exits=tuple(self.exits),
        )


def single_conv(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    channels: int,
    kernel: int = 3,
    stride: int = 1,
    residual: bool = False,
    signed_input: bool = False,
) -> Graph:
    """LOAD, (COPY,) CONV, STORE; `residual`: a 1x1 convolution's output is added in place."""
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed_input)
    extra: dict[str, Any] = {}
    if residual:
        extra["residual"] = build.conv(x, channels, kernel=1, stride=stride, signed=True)
    return build.graph(x, build.conv(x, channels, kernel, stride, **extra))


def depthwise(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kernel: int = 3,
    stride: int = 1,
    residual: bool = False,
    signed_input: bool = False,
) -> Graph:
    """`single_conv` with as many groups as channels."""
    build = GraphBuilder(rng=rng)
    x, channels = build.value("x", shape, signed_input), shape[0]
    extra: dict[str, Any] = {"groups": channels}
    if residual:
        extra["residual"] = build.conv(x, channels, kernel=1, stride=stride, signed=True)
    return build.graph(x, build.conv(x, channels, kernel, stride, **extra))


def zero_points(rng: np.random.Generator, shape: tuple[int, int, int], signed: bool) -> Graph:
    """Bytes other than 0 off the maps, a sum at three scales, an average from a zero point."""
    build = GraphBuilder(rng=rng)
    x, channels = build.value("x", shape, signed), 9
    pads = (-77, 120) if signed else (140, 255)
    y = build.conv(x, channels, 3, signed=True, pad=pads[0])
    y = build.pair(build.conv(y, channels, 5, signed=True, pad=-128), y, signed=True)
    strided = build.conv(x, channels, 3, stride=2, signed=True, pad=pads[1])
    y = build.pair(build.conv(y, channels, 3, stride=2, signed=True, pad=19), strided, signed=True)
    z = build.conv(y, channels, 1, groups=channels, signed=True)
    made = build.nodes[-1]
    assert isinstance(made, Conv)
    wide = (-(1 << 15), (1 << 15) - 1)
    factor = Requantize(
        multiplier=np.full(channels, 1 << 15, np.uint16), shift=np.full(channels, 15, np.uint8)
    )
    build.nodes[-1] = dataclasses.replace(made, clamp=wide, requantize=factor)
    build.values[z] = dataclasses.replace(build.values[z], wide=True)
    return build.graph("x", build.dense(build.pool(z, 0.01), 4))


def grouped(
    rng: np.random.Generator, shape: tuple[int, int, int], channels: int, groups: int
) -> Graph:
    """A grouped 3x3, then the same added to its input."""
    build = GraphBuilder(rng=rng)
    x = build.conv(build.value("x", shape, False), channels, 1)
    y = build.conv(x, channels, groups=groups)
    return build.graph("x", build.conv(y, channels, groups=groups, signed=True, residual=y))


def mobilenet(
    rng: np.random.Generator, shape: tuple[int, int, int], keep: float | None = None
) -> Graph:
    """Inverted residuals of three resolutions, gated with `keep`, and a classifier."""
    build = GraphBuilder(rng=rng)
    y = build.conv(build.value("x", shape, True), 6, signed=True)
    for width, channels, stride in ((9, 6, 1), (20, 10, 2), (21, 10, 1), (33, 12, 2)):
        y = build.inverted(y, width, channels, stride, keep)
    return build.graph("x", build.dense(build.pool(y), 7))


def lcnet(
    rng: np.random.Generator,
    shape: tuple[int, int, int] = (1, 8, 8),
    widths: tuple[int, ...] = (16, 32, 64),
    blocks: int = 1,
    classes: int = 10,
    keep: float = 0.0,
    binary: bool = False,
) -> Graph:
    """A ResNet of depth 6 * blocks + 2 for three widths, every block gated."""
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed=True)
    y = build.conv(x, widths[0])
    for stage, width in enumerate(widths):
        for index in range(blocks):
            y = build.block(y, width, 2 if stage and not index else 1, keep, binary)
    return build.graph(x, build.dense(build.pool(y), classes))


def multi_exit(
    rng: np.random.Generator,
    shape: tuple[int, int, int] = (1, 8, 8),
    widths: tuple[int, ...] = (16, 32, 64),
    thresholds: tuple[float, ...] = (0.5, 0.5),
    classes: int = 10,
    keep: float = 0.0,
) -> Graph:
    """An LC-Net with an exit behind each stage but the last."""
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed=True)
    y = build.conv(x, widths[0])
    for stage, width in enumerate(widths):
        y = build.block(y, width, 2 if stage else 1, keep)
        if stage < len(thresholds):
            build.leave(build.pool(y), classes, thresholds[stage])
    return build.graph(x, build.dense(build.pool(y), classes))


def staged(
    rng: np.random.Generator,
    shape: tuple[int, int, int] = (1, 8, 8),
    widths: tuple[tuple[int, ...], ...] = ((4, 3, 5), (6, 5, 7)),
    reuse: tuple[tuple[int, ...], ...] = ((), (0,), (0, 1)),
    thresholds: tuple[float, ...] = (0.5, 0.5),
    classes: int = 10,
) -> Graph:
    """As S2DNAS makes of a ResNet: stages with an exit each that read what others made.

    widths: [resolution][stage] channels; reuse: [stage] the earlier stages whose maps its
    convolutions read beside their own.  A block a resolution, behind a projection but for the first
    one; the classifier of a stage reads the last maps of all stages so far.
    """
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed=True)
    made: dict[str, list[str]] = {}  # layer -> its map of each stage
    for stage, earlier in enumerate(reuse):

        def read(layer: str, stages: tuple[int, ...] = (*earlier, stage)) -> str:
            parts = [made[layer][index] for index in stages]
            return build.concat(*parts) if len(parts) > 1 else parts[0]

        made.setdefault("stem", []).append(build.conv(x, widths[0][stage]))
        last = "stem"
        for level, channels in enumerate(widths):
            stride, layer = 2 if level else 1, f"level{level}"
            source = read(last)
            made.setdefault(f"{layer}.hidden", []).append(
                build.conv(source, channels[stage], stride=stride)
            )
            shortcut = made[last][stage]
            if level:
                shortcut = build.conv(source, channels[stage], 1, stride, signed=True)
            y = build.conv(read(f"{layer}.hidden"), channels[stage], residual=shortcut)
            made.setdefault(layer, []).append(y)
            last = layer
        head = build.pool(read(last, tuple(range(stage + 1))))
        if stage < len(thresholds):
            build.leave(head, classes, thresholds[stage])
    return build.graph(x, build.dense(head, classes))


def densenet(
    rng: np.random.Generator,
    shape: tuple[int, int, int] = (1, 8, 8),
    stem: int = 6,
    growth: int = 4,
    layers: tuple[int, ...] = (3, 2),
    classes: int = 10,
    keep: float | None = None,
) -> Graph:
    """A DenseNet: affine, 3x3 of all maps so far; 1x1 and an average pool between blocks.

    With `keep` a gate on the last map masks the channels that a layer adds.
    """
    build = GraphBuilder(rng=rng)
    maps = [build.conv(build.value("x", shape, signed=True), stem, signed=True)]
    for block, count in enumerate(layers):
        if block:
            y = affine(build, build.concat(*maps))
            y = build.conv(y, build.values[y].shape[0] // 2, 1, signed=True)
            maps = [build.map_pool(y, 2, 2, average=True)]
        for _ in range(count):
            y = affine(build, build.concat(*maps) if len(maps) > 1 else maps[0])
            fold = None
            if keep is not None:
                scores = build.gate(build.pool(maps[-1]), growth, keep)
                fold = Fold(scores=scores, per_channel=True)
            maps.append(build.conv(y, growth, signed=True, fold=fold))
    return build.graph("x", build.dense(build.pool(affine(build, build.concat(*maps))), classes))


def affine(build: GraphBuilder, x: str) -> str:
    """A factor and an offset a channel, and ReLU."""
    channels = build.values[x].shape[0]
    return build.conv(x, channels, 1, groups=channels)


def bottleneck(rng: np.random.Generator, stride: int) -> Graph:
    """1x1 -> 3x3 -> 1x1, both inner maps gated by channel, the block by a score."""
    build = GraphBuilder(rng=rng)
    x = build.conv(build.value("x", (3, 8, 10), True), 12)
    pooled = build.pool(x)
    block, first, second = (build.gate(pooled, n) for n in (1, 6, 5))
    y = build.conv(x, 6, 1, fold=Fold(scores=first, per_channel=True))
    y = build.conv(y, 5, 3, stride, fold=Fold(scores=second, per_channel=True))
    shortcut = build.conv(x, 12, 1, stride, signed=True) if stride == 2 else x
    fold = Fold(scores=block, per_channel=False)
    y = build.conv(y, 12, 1, fold=fold, residual=shortcut)
    return build.graph("x", build.dense(build.pool(y), 4))


def single_pool(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kernel: int,
    stride: int,
    pad: int = 0,
    average: bool = False,
    signed: bool = False,
) -> Graph:
    """LOAD, POOL, STORE."""
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed)
    return build.graph(x, build.map_pool(x, kernel, stride, pad, average))


def imagenet_form(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    classes: int = 10,
    keep: float = 0.3,
    expansion: int = 4,
) -> Graph:
    """As for ImageNet: 7x7 stride-2 stem, max-pool 3x3 stride 2, bottlenecks, classifier."""
    build = GraphBuilder(rng=rng)
    x = build.value("x", shape, signed=True)
    y = build.map_pool(build.conv(x, widths[0], 7, 2), 3, 2, 1)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for index in range(count):
            stride = 2 if stage and not index else 1
            y = build.bottleneck(y, width, expansion * width, stride, keep)
    return build.graph(x, build.dense(build.pool(y), classes))


def random_inputs(
    package: Package, images: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """(bytes as the core reads them, the same as images) of very different brightness.

    `images`: runs, where a run takes several images.
    """
    image = package.meta["input"]
    shape, runs = image["shape"], images
    size = int(np.prod(shape))
    images = runs * package.meta["images"]
    data = np.zeros((images, image["bytes"]), np.uint8)
    data[:, :size] = rng.integers(0, 256, (images, size)) >> rng.integers(0, 8, (images, 1))
    codes = data[:, :size].reshape(images, *shape)
    data = data.reshape(runs, -1)
    return data, codes.view(np.int8) if image["signed"] else codes
