"""Programs in which everything meets: few addresses, any order of operations, any of them skipped.

A compiler gives each value a place of its own while it lives.  Here a few hundred bytes of feature
memory, some scores, sums and lists are all there is, so that each operation reads or destroys what
one before it has made, while that may still be at work.  Programs are legal, and defined: all
memory is written before it is read, no operation's destination is its own source.
"""

import dataclasses

import numpy as np

from penstock.compiler.ir import Dense, IntArray, Requantize
from penstock.compiler.numerics import exp_table
from penstock.compiler.plan.weights import dense_bytes, pack_dense, pack_interleaved, pack_rows
from penstock.program.core.config import ALL_CHANNELS, TABLE_BYTES, HwConfig
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import (
    DENSE_WIDE,
    DEPTHWISE,
    EXIT_WIDE,
    GLOAD_TABLE,
    INTERLEAVE,
    SIGMOID,
    STOPS,
    Descriptor,
    Op,
)
from penstock.program.network.package import Package

#: Bytes of feature memory, scores and sums that are used; an image is as long as the first.
SPAN, SCORES, SUMS = 384, 32, 24
#: Channels that a list may name; of a map that is read or written by a list there are as many.
LISTED = 4
#: A score that is 0 and one that is not, whatever the image.
NEVER, ALWAYS = SCORES, SCORES + 1
#: (inputs, outputs) of the dense layers in the gate memory; the first decides NEVER and ALWAYS.
LAYERS = ((1, 2), (3, 6), (20, 5), (7, 9), (5, 24))

#: What an operation is, for the tests of pairs.
KINDS = (
    *("conv", "conv with sums", "residual", "conv without inputs", "depthwise", "listed conv"),
    *("copy", "pool", "average", "dense", "gate", "listed gate", "load", "gload", "store", "exit"),
    *("conv by table", "table", "wide dense", "wide exit", "interleave"),
)


@dataclasses.dataclass(kw_only=True)
class Tangle:
    """A program that grows: `add` appends an operation of a kind with addresses by chance."""

    config: HwConfig
    rng: np.random.Generator
    program: list[Descriptor] = dataclasses.field(default_factory=list)
    blob: list[IntArray] = dataclasses.field(default_factory=list)
    record: int = COUNTER_BYTES
    loop: int = 0  # descriptor to which HALT goes back
    last: tuple[int, int] = (0, SPAN)  # what was written last: its first byte, and the one behind

    def __post_init__(self) -> None:
        """Resident weights; then, for each image, all of memory, sums, scores, lists."""
        sizes = [dense_bytes(*shape) for shape in LAYERS]
        self.slots = np.cumsum([0, *(-(-size // 16) * 16 for size in sizes)]).tolist()
        for layer in range(len(LAYERS)):
            self.gload(layer)
        self.table = self.slots[-1]
        entries = exp_table(0.1).astype("<u2").view(np.uint8)
        self._op(Op.GLOAD, w_addr=self._weights(entries), dst=self.table, length=len(entries))
        self.activations()
        self.loop = len(self.program)
        self._op(Op.LOAD, length=SPAN)
        self._map("conv with sums", cin=3, cout=SUMS, side=(2, 3), kernel=1, pool_base=0)
        self._op(Op.GATE, **self._dense(0), dst=NEVER, gate_kind=1)
        for which in range(2):
            self.gate(3, dst=9 * which, which=which)
        for first in range(18, SCORES, 5):
            self.gate(2, dst=min(first, SCORES - 5))
        self._op(Op.LOAD, length=SPAN)

    # -- operations ------------------------------------------------------------------------------

    def add(self, kind: str, **guard: int) -> None:
        """One operation; `guard`: fields of its predicate."""
        match kind:
            case "copy" | "pool" | "average":
                self._window(kind, **guard)
            case "interleave":
                self._interleave(**guard)
            case "dense" | "wide dense":
                self.dense(wide=kind == "wide dense", **guard)
            case "gate":
                shape = self._int(1, len(LAYERS))
                self.gate(shape, dst=self._int(0, SCORES - LAYERS[shape][1] + 1), **guard)
            case "listed gate":
                shape = self._int(1, len(LAYERS) - 1)
                dst = self._int(0, SCORES - LAYERS[shape][1] + 1)
                self.gate(shape, dst=dst, which=self._int(0, 2), **guard)
            case "load":
                length = self._int(1, 65)
                values = {"ddr": 8 * self._int(0, 40), "length": length}
                self._op(Op.LOAD, **values, dst=self._place(length), **guard)
            case "gload":
                self.gload(self._int(1, len(LAYERS)), **guard)
            case "table":
                self.activations(**guard)
            case "store":
                self.store(**guard)
            case "exit" | "wide exit":
                at = len(self.program)
                values = {"cin": self._int(1, 9), "src_stride": self._int(1, 17)}
                values["variant"] = EXIT_WIDE if kind == "wide exit" else 0
                bound = self._int(0, 1 << 17)
                values |= {"w_addr": self.table, "w_stride": bound, "length": at + self._int(1, 4)}
                self._op(Op.EXIT_IF, **values, src=self._int(0, SPAN - 8 * 16), **guard)
            case _:
                self._map(kind, **guard)

    def dense(self, *, wide: bool, **guard: int) -> None:
        """A DENSE of bytes or of int16."""
        shape = self._int(1, len(LAYERS))
        dst = self._place(LAYERS[shape][1] * (2 if wide else 1))
        values = {"clamp_hi": 255}
        if wide:
            values = {"clamp_lo": -(1 << 15), "clamp_hi": (1 << 15) - 1, "variant": DENSE_WIDE}
        self._op(Op.DENSE, **self._dense(shape), dst=dst, **values, **guard)

    def gate(self, shape: int, *, dst: int, which: int = ALL_CHANNELS, **guard: int) -> None:
        """A GATE of any variant; with a list of LISTED channels, its last outputs."""
        first = LAYERS[shape][1] - LISTED if which != ALL_CHANNELS else 1
        variant = int(self.rng.choice([0, STOPS, SIGMOID]))
        kind = 0 if variant == SIGMOID else self._int(0, 2)
        listed = {"out_list": which, "list_from": first, "variant": variant, "gate_kind": kind}
        self._op(Op.GATE, **self._dense(shape) | listed, dst=dst, **guard)

    def gload(self, layer: int, **guard: int) -> None:
        """New weights of a dense layer."""
        inputs, outputs = LAYERS[layer]
        bias = self.rng.integers(-1 << 14, 1 << 14, outputs)
        weight = self.rng.integers(-127, 128, (outputs, inputs), dtype=np.int8)
        if layer == 0:
            bias, weight = np.array([-1 << 20, 1 << 20]), np.zeros_like(weight)
        factors = self._factors(outputs)
        dense = Dense(
            name="", input="", output="", weight=weight, bias=bias.astype(np.int32),
            requantize=factors, clamp=(0, 255),
        )  # fmt: skip
        image = pack_dense([dense], 1 << 15, 19, (0, outputs))
        self._op(
            Op.GLOAD, w_addr=self._weights(image), dst=self.slots[layer], length=len(image), **guard
        )

    def activations(self, **guard: int) -> None:
        """Another table of activations."""
        entries = self.rng.integers(0, 256, TABLE_BYTES, dtype=np.uint8)
        values = {"variant": GLOAD_TABLE, "length": TABLE_BYTES, "w_addr": self._weights(entries)}
        self._op(Op.GLOAD, **values, **guard)

    def store(self, everything: bool = False, **guard: int) -> None:
        """Part of feature memory or of the scores, or all of both."""
        for scores, size in ((0, SPAN), (1, SCORES)):
            if not everything and self._int(0, 2) != scores:
                continue
            src = 0 if everything else 8 * self._int(0, size // 8)
            length = size - src if everything else self._int(1, size - src + 1)
            values = {"from_scores": scores, "src": src, "length": length, "ddr": self.record}
            self._op(Op.STORE, **values, **guard)
            self.record += -(-length // 8) * 8

    def package(self) -> Package:
        """The program, with all that it has made in the record, and HALT."""
        self.store(everything=True)
        self._op(Op.HALT, length=self.loop)
        return Package(
            config_hash=self.config.hash,
            descriptors=b"".join(d.encode() for d in self.program),
            weights=np.concatenate(self.blob).tobytes(),
            meta={
                "record_bytes": self.record,
                "gates": [],
                "exits": [],
                "hardware": self.config.fields(),
            },
        )

    # -- parts -----------------------------------------------------------------------------------

    def _map(
        self,
        kind: str,
        *,
        cin: int | None = None,
        cout: int | None = None,
        side: tuple[int, int] | None = None,
        kernel: int | None = None,
        pool_base: int | None = None,
        **guard: int,
    ) -> None:
        """A CONV of a kind; what is not given is by chance."""
        rng, depthwise = self.rng, kind == "depthwise"
        least = LISTED if kind == "listed conv" else 1
        cin, cout = cin or self._int(least, 7), cout or self._int(least, 7)
        cin = cout if depthwise else cin
        height, width = side or (self._int(1, 5), self._int(1, 7))
        kernel = kernel or int(rng.choice([1, 1, 3]))
        halved = side is None and rng.random() < 0.2
        rows, columns = (-(-height // 2), -(-width // 2)) if halved else (height, width)
        phase = self._phase(rows * columns)
        plane = 3 * phase + rows * columns if halved else height * width
        while cin * plane + cout * rows * columns > SPAN:  # a map of fewer pixels in such planes
            cin, cout = (max(cin // 2, 1),) * 2 if depthwise else (max(cin // 2, 1), cout)
        src, dst = self._apart(cin * plane, cout * rows * columns)
        weight = rng.integers(-127, 128, (cout, 1 if depthwise else cin, kernel, kernel))
        bias = rng.integers(-1 << 14, 1 << 14, cout)
        by_rows = kind == "listed conv" or rng.random() < 0.4
        factors = self._factors(cout)
        if by_rows:
            image, stride = pack_rows(weight, bias, factors)
        else:
            image, stride = pack_interleaved(weight.astype(np.int8), bias, factors, self.config)
        values = self._clamp() | {
            "kernel": kernel, "cin": cin, "cout": cout, "height": height, "width": width,
            "src": src, "dst": dst, "src_stride": plane, "dst_stride": rows * columns,
            "w_addr": self._weights(image), "w_stride": stride, "w_rows": int(by_rows),
            "in_list": ALL_CHANNELS, "out_list": ALL_CHANNELS, "split": self._int(0, 1 << 16),
            "variant": DEPTHWISE if depthwise else 0, "polyphase": int(halved),
            "phase_stride": phase if halved else 0, "src_signed": self._int(0, 2),
            "pad_value": self._int(0, 256) * self._int(0, 2),
        }  # fmt: skip
        if pool_base is None and rng.random() < 0.3:  # the first has no scores yet
            per_channel = self._int(0, 2)
            slot = self._int(0, SCORES - cout + 1)
            values |= {"fold_en": 1, "fold_channel": per_channel, "fold_slot": slot}
        if kind == "listed conv" and cin >= LISTED:  # halved planes may have left it too few
            values |= {"in_list": self._int(0, 2)}
        if kind == "listed conv" and cout >= LISTED and rng.random() < 0.7:
            values |= {"out_list": self._int(0, 2)}
        if kind == "residual" or (kind == "conv without inputs" and rng.random() < 0.5):
            values |= {"res_en": 1, "res_signed": self._int(0, 2), "res_sat8": self._int(0, 2)}
        if kind == "conv with sums" or (kind != "conv" and rng.random() < 0.2):
            base = self._int(0, SUMS - cout + 1) if pool_base is None else pool_base
            values |= {"pool_en": 1, "pool_base": base}
        if kind == "conv by table" or (pool_base is None and rng.random() < 0.3):
            values |= {"length": TABLE_BYTES}
        if kind == "conv without inputs":
            guard = {"pred_en": 1, "pred_slot": NEVER, "pred_empty": 1}
        self._op(Op.CONV, **values, **guard)

    def _window(self, kind: str, **guard: int) -> None:
        """A COPY or POOL."""
        channels, height, width = self._int(1, 6), self._int(2, 6), self._int(2, 6)
        values = {"cout": channels, "height": height, "width": width, "src_stride": height * width}
        if kind == "copy":
            rows, columns = -(-height // 2), -(-width // 2)
            phase = self._phase(rows * columns)
            size = 3 * phase + rows * columns
            channels = min(channels, SPAN // (2 * size) or 1)
            values |= {"phase_stride": phase, "variant": self._int(0, 3), "cout": channels}
        else:
            kernel, stride = self._int(2, 3 if min(height, width) < 3 else 4), self._int(1, 3)
            pad = self._int(0, (kernel - 1) // 2 + 1)
            rows, columns = ((n + 2 * pad - kernel) // stride + 1 for n in (height, width))
            size = rows * columns
            values |= {"kernel": kernel, "stride2": stride - 1, "pad": pad} | self._clamp()
            values |= {"src_signed": self._int(0, 2)}
            if kind == "average":
                values |= {"average": 1, "w_addr": 19 << 16 | (1 << 17) // kernel**2}
        src, dst = self._apart(channels * height * width, channels * size)
        op = Op.COPY if kind == "copy" else Op.POOL
        self._op(op, **values, src=src, dst=dst, dst_stride=size, **guard)

    def _interleave(self, **guard: int) -> None:
        """A COPY of planes to a map: one for all four, a channel's together, or all first ones."""
        channels, height, width = self._int(1, 4), self._int(1, 6), self._int(1, 9)
        plane = -(-height // 2) * -(-width // 2)
        channels = min(channels, SPAN // (8 * plane))
        phase = int(self.rng.choice([0, plane, channels * plane]))
        stride = 4 * plane if phase == plane else plane
        read = (channels - 1) * stride + 3 * phase + plane
        src, dst = self._apart(read, channels * height * width)
        values = {"cout": channels, "height": height, "width": width, "phase_stride": phase}
        values |= {"src": src, "dst": dst, "src_stride": stride, "dst_stride": height * width}
        self._op(Op.COPY, **values, variant=INTERLEAVE, **guard)

    def _dense(self, shape: int) -> dict[str, int]:
        cin, cout = LAYERS[shape]
        base = self._int(0, SUMS - cin + 1)
        values = {"cin": cin, "cout": cout, "w_addr": self.slots[shape], "pool_base": base}
        return values | {"src_signed": self._int(0, 2), "out_list": ALL_CHANNELS}

    def _factors(self, count: int) -> Requantize:
        return Requantize(
            multiplier=self.rng.integers(1 << 15, 1 << 16, count).astype(np.uint16),
            shift=self.rng.integers(23, 26, count).astype(np.uint8),
        )

    def _clamp(self) -> dict[str, int]:
        low = self._int(0, 2) * -128
        return {"clamp_lo": low, "clamp_hi": 127 if low else 255}

    def _phase(self, pixels: int) -> int:
        """The least stride between planes of so many pixels."""
        banks = self.config.fmem_banks
        return -(-max(pixels - banks // 2, 0) // banks) * banks + banks // 2

    def _apart(self, source: int, target: int) -> tuple[int, int]:
        """Addresses of two regions that share no byte; one often meets what was written last."""
        meets = self._int(0, 3)  # neither, the source, the target
        for _ in range(20):
            gap = self._int(0, SPAN - source - target + 1)
            place = self._int(0, SPAN - source - target - gap + 1)
            src, dst = place, place + source + gap
            if self._int(0, 2):
                src, dst = place + target + gap, place
            at, size = (src, source) if meets == 1 else (dst, target)
            if meets == 0 or (at < self.last[1] <= at + size):
                break
        self.last = dst, dst + target
        return src, dst

    def _place(self, size: int) -> int:
        """An address for so many bytes: mostly where the last ones were written, at their end."""
        low = max(self.last[1] - size - 8, 0) if self._int(0, 4) else 0
        high = min(self.last[1] if low else SPAN, SPAN - size + 1)
        at = self._int(min(low, high - 1), high)
        self.last = at, at + size
        return at

    def _int(self, low: int, end: int) -> int:
        return int(self.rng.integers(low, end))

    def _weights(self, image: IntArray) -> int:
        at = sum(len(part) for part in self.blob)
        self.blob.append(np.pad(image, (0, -len(image) % 16)))
        return at

    def _op(self, op: Op, **values: int) -> None:
        self.program.append(Descriptor.make(op, **values))


def pair(config: HwConfig, first: str, second: str, rng: np.random.Generator) -> Package:
    """Several times: one kind, operations that are skipped, the other kind, all that there is."""
    tangle = Tangle(config=config, rng=rng)
    for _ in range(4):
        tangle.add(first)
        for _ in range(int(rng.integers(1, 3))):
            tangle.add(str(rng.choice(SKIPPED)), pred_en=1, pred_slot=NEVER)
        tangle.add(second)
        tangle.store(everything=True)
    return tangle.package()


#: What a predicate can leave out.
SKIPPED = tuple(kind for kind in KINDS if kind != "conv without inputs")


def tangled(config: HwConfig, rng: np.random.Generator) -> Package:
    """A program of any operations, half of them decided by some score."""
    tangle = Tangle(config=config, rng=rng)
    weights = np.array(
        [
            1 if kind in ("store", "load", "gload", "table", "exit", "wide exit") else 3
            for kind in KINDS
        ]
    )
    for kind in rng.choice(KINDS, int(rng.integers(5, 40)), p=weights / weights.sum()):
        guard = {"pred_en": 1, "pred_slot": int(rng.integers(SCORES + 2))}
        guard |= {"pred_not": int(rng.integers(2))}
        tangle.add(str(kind), **guard if rng.random() < 0.5 else {})
    tangle.store(everything=True)
    return tangle.package()


def inputs(images: int, rng: np.random.Generator) -> IntArray:
    """uint8 (images, bytes) for these programs."""
    return rng.integers(0, 256, (images, SPAN), dtype=np.uint8)
