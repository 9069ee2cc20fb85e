"""What the HLS core takes of a device, counted from its arrays and operators before anything runs.

Estimates: a synthesiser may share an operator, or put a small memory into registers.
The fabric (LUT, FF) is not counted; `docs/hls.md` says which constant decides what.
"""

import dataclasses
from collections import Counter

from penstock.hls.multiplications import SOURCE_MULTIPLICATIONS
from penstock.hls.sources import HlsError
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import BEAT_BYTES, GATE_WORD_BYTES, HwConfig
from penstock.program.core.descriptor import DESCRIPTOR_BYTES

#: Width and depth of the shapes of a RAMB18 with one read and one write port, and of an UltraRAM.
BRAM18_SHAPES = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
URAM_SHAPES = ((72, 4096),)

#: Bits of a multiplier's operands in one DSP slice, signed.
DSP_A, DSP_B = 25, 18

#: Descriptors kept on chip (hls/src/ps_descriptors.h: BLOCK x CACHED).
DESCRIPTORS = 256

#: Averages of a POOL leave in so many parts (hls/src/ps_pool.cpp: PARTS).
POOL_PARTS = 4

#: A memory of this many bits and more may be UltraRAM.
URAM_BITS = 1 << 21

#: What a core may take too much of -> the fields of its configuration that decide how much.
FIELDS = {
    "products": "p_oc x p_px",
    "epilogue": "p_px",
    "fmem": "fmem_bytes",
    "wbuf": "wbuf_bytes",
    "gmem": "gate_mem_bytes",
    "fetch_lists": "n_lists x max_channels",
    "array_lists": "n_lists x max_channels",
    "runs": "n_lists x max_channels",
    "pool": "pool_depth",
}

#: Rows of a byte-wide bank that lie in one word of an UltraRAM, written byte by byte.
URAM_ROWS = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """An array of the source: `banks` memories of `words` x `bits`.  `packed` words, neighbours in
    its first index, share one of an UltraRAM."""

    name: str
    banks: int
    words: int
    bits: int
    packed: int = 1

    @property
    def bram18(self) -> int:
        """RAMB18 that all banks take."""
        return self.banks * _blocks(self.words, self.bits, BRAM18_SHAPES)

    @property
    def uram(self) -> int:
        """UltraRAMs that all banks take."""
        return self.banks * _blocks(
            ceil_div(self.words, self.packed), self.bits * self.packed, URAM_SHAPES
        )

    @property
    def total_bits(self) -> int:
        """Bits of all banks together."""
        return self.banks * self.words * self.bits


def _blocks(words: int, bits: int, shapes: tuple[tuple[int, int], ...]) -> int:
    """Blocks of the cheapest shape that a memory of `words` x `bits` takes."""
    return min(ceil_div(bits, width) * ceil_div(words, depth) for width, depth in shapes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Slices and blocks of a core on one device, and what its pragmas say there.

    Attributes:
        dsp, bram18, uram: taken, at most.
        storage: memory of the source -> "bram" or "uram".
        words: memory -> elements of one of its words, where they are several.
        operators: product of the source -> "dsp" or "fabric".
    """

    dsp: int
    bram18: int
    uram: int
    storage: dict[str, str]
    words: dict[str, int]
    operators: dict[str, str]


def memories(config: HwConfig) -> tuple[Memory, ...]:
    """The arrays of the source that are memories, named as there."""
    words = config.wbuf_bytes // BEAT_BYTES
    wbuf_words = 2 * (1 << (words - 1).bit_length())  # a power of two a half: no index is divided
    gate_beats = GATE_WORD_BYTES // BEAT_BYTES
    listed = config.n_lists * config.max_channels
    banks = config.window_bytes
    return (
        Memory(
            name="fmem",
            banks=banks,
            words=config.fmem_bytes // banks,
            bits=8,
            packed=min(URAM_ROWS, config.fmem_bytes // banks),
        ),
        Memory(name="wbuf", banks=config.p_oc, words=wbuf_words, bits=64),
        Memory(
            name="gmem", banks=gate_beats, words=config.gate_mem_bytes // GATE_WORD_BYTES, bits=64
        ),
        Memory(name="scores", banks=8, words=config.score_depth // 8, bits=8),
        Memory(name="pool", banks=1, words=config.pool_depth, bits=32),
        Memory(name="fetch_lists", banks=1, words=listed, bits=16),
        Memory(name="array_lists", banks=1, words=listed, bits=16),
        Memory(name="runs", banks=1, words=listed, bits=32),
        Memory(name="dense", banks=1, words=2 * config.max_channels, bits=8),
        Memory(name="cache.beats", banks=DESCRIPTOR_BYTES // 8, words=DESCRIPTORS, bits=64),
    )


def multipliers(config: HwConfig, gate: str = "fabric") -> dict[str, int]:
    """DSP slices by what they are for, at most: as if no two calls of a function shared one.

    `gate`: where the gate unit's products are, "dsp" or "fabric".
    """
    requantiser = ceil_div(32, DSP_A)  # a 32-bit sum times 17 bits: two slices
    outputs = SOURCE_MULTIPLICATIONS["make_outputs"].calls
    return {
        "products": config.p_oc * config.p_px // config.macs_per_dsp,
        "epilogue": config.p_px * requantiser,
        "gate unit": (1 + outputs) * requantiser,
        "gate products": outputs * GATE_WORD_BYTES if gate == "dsp" else 0,
        "fold": 2,  # of convolve and fetch_ahead
        "average pool": config.fmem_banks // POOL_PARTS * requantiser,
        "addresses, checks": sum(m.calls * m.small for m in SOURCE_MULTIPLICATIONS.values()),
    }


def place(config: HwConfig, bram18: int, uram: int) -> dict[str, str]:
    """Memory -> "bram" or "uram" on a device with so many blocks: the largest in UltraRAM, of those
    that fill it, until the others take no more than half of the block RAM."""
    storage = {memory.name: "bram" for memory in memories(config)}
    needed = sum(memory.bram18 for memory in memories(config))
    for memory in sorted(memories(config), key=lambda memory: memory.total_bits, reverse=True):
        fills = memory.total_bits >= URAM_BITS and memory.uram < memory.bram18 // 4
        if fills and needed > bram18 // 2 and memory.uram <= uram:
            storage[memory.name] = "uram"
            needed -= memory.bram18
            uram -= memory.uram
    return storage


def estimate(config: HwConfig, resources: dict[str, int]) -> Estimate:
    """DSP slices and memory blocks of `config`'s core on a device with these (boards/*.yaml)."""
    storage = place(config, 2 * resources["bram36"], resources["uram"])
    # The array's products first: they are what the slices are for.
    gate = "dsp" if sum(multipliers(config, "dsp").values()) <= resources["dsp"] else "fabric"
    urams = [memory for memory in memories(config) if storage[memory.name] == "uram"]
    brams = [memory for memory in memories(config) if storage[memory.name] == "bram"]
    return Estimate(
        dsp=sum(multipliers(config, gate).values()),
        bram18=sum(memory.bram18 for memory in brams),
        uram=sum(memory.uram for memory in urams),
        storage=storage,
        words={memory.name: memory.packed for memory in urams if memory.packed > 1},
        operators={"array_product": "dsp", "pair_product": "dsp", "gate_product": gate},
    )


def require_fit(config: HwConfig, board: str, resources: dict[str, int]) -> Estimate:
    """The estimate of `config`'s core on a board with these resources (boards/*.yaml).

    Raises:
        HlsError: its memories or multipliers do not fit the board's device.
    """
    found = estimate(config, resources)
    brams = {m.name: m.bram18 for m in memories(config) if found.storage[m.name] == "bram"}
    slices = multipliers(config, found.operators["gate_product"])
    for kind, need, have, parts in (
        ("DSP", found.dsp, resources["dsp"], slices),
        ("BRAM18", found.bram18, 2 * resources["bram36"], brams),
    ):
        if need > have:
            fields: Counter[str] = Counter()
            for name, count in parts.items():
                fields[FIELDS.get(name, name)] += count
            most, count = fields.most_common(1)[0]
            raise HlsError(
                f"the HLS core of {config.name} takes about {need:,} {kind} (estimate), "
                f"{board} has {have:,}",
                hint=f"compile for a smaller --config: {most} makes {count:,} of them",
            )
    return found
