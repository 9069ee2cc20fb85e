"""Hardware configurations: the one place where the size of a core is decided."""

import dataclasses
import json
import zlib
from collections.abc import Iterator
from typing import Any

from penstock.program.base.arith import round_up
from penstock.program.base.errors import PenstockError

#: Bumped whenever a descriptor, register or record changes meaning; part of every hash.
ISA_VERSION = 9

#: Bytes of one beat of the AXI4 master (design section 8: 64 bit).
BEAT_BYTES = 8

#: Bytes that one LOAD, GLOAD or STORE moves at most: the masters count beats in 16 bits.
MAX_LENGTH = 65535 * BEAT_BYTES

#: Right shift of a requantisation.
MIN_SHIFT, MAX_SHIFT = 1, 47

#: Bytes of one word of the gate memory; rows of a GATE or DENSE are whole words.
GATE_WORD_BYTES = 16

#: Table of an EXIT_IF: a uint16 for each distance of a logit from the largest.
EXIT_ENTRIES = 256
EXIT_TABLE_BYTES = 2 * EXIT_ENTRIES

#: Table of activations: a byte for each byte that a CONV makes.
TABLE_BYTES = 256

#: `in_list` / `out_list` value that means "every channel".
ALL_CHANNELS = 0xFF


class ConfigError(PenstockError, ValueError):
    """Sizes that no core can have, or a description of a core that is not one."""


def gate_row_bytes(inputs: int) -> int:
    """Gate memory bytes of one output of a GATE or DENSE: a word of parameters, then weights."""
    return GATE_WORD_BYTES + round_up(inputs, GATE_WORD_BYTES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HwConfig:
    """Sizes of one core.

    Attributes:
        name: the configuration's name, as used on the command line.
        p_oc: rows of the PE array (output channels computed together).
        p_px: lanes of the PE array (neighbouring pixels computed together).
        min_rows: fewest rows the array reshapes to (P_oc x P_px, P_oc/2 x 2 P_px, ...).
        fmem_bytes: on-chip feature memory.
        wbuf_bytes: weight buffer bytes per row and per half (it is double buffered).
        gate_mem_bytes: resident weights of gates and classifiers.
        score_depth: gate scores kept on chip (one byte each).
        max_channels: channels of one tensor; depth of a survivor list.
        n_lists: survivor lists alive at once.
        pool_depth: pooled sums kept on chip (one int32 each).
        max_outstanding: AXI read bursts in flight.
        macs_per_dsp: int8 products of one DSP slice; 2 packs the weights of two rows.
    """

    name: str
    p_oc: int
    p_px: int
    min_rows: int
    fmem_bytes: int
    wbuf_bytes: int
    gate_mem_bytes: int
    score_depth: int
    max_channels: int
    n_lists: int
    pool_depth: int
    max_outstanding: int
    macs_per_dsp: int = 1

    def __post_init__(self) -> None:
        if faults := [f"{self.name}.{fault}" for fault in self._faults()]:
            raise ConfigError(", ".join(faults))

    def _faults(self) -> Iterator[str]:
        for field in dataclasses.fields(self)[1:]:  # all but the name
            value = getattr(self, field.name)
            if field.name == "wbuf_bytes":
                if value < 1 or value % BEAT_BYTES:
                    yield f"{field.name} = {value}: not a multiple of {BEAT_BYTES}"
            elif value < 1 or value & (value - 1):
                yield f"{field.name} = {value}: not a power of two"
        if self.p_px < 2:
            yield f"p_px = {self.p_px}: at least 2"
        if self.min_rows > self.p_oc:
            yield f"min_rows = {self.min_rows}: more than p_oc = {self.p_oc}"
        if self.macs_per_dsp > min(self.min_rows, 2):
            # Two products share an activation: two rows must see the same pixels in every shape.
            yield f"macs_per_dsp = {self.macs_per_dsp}: needs min_rows 2"

    def fields(self) -> dict[str, Any]:
        """Name and sizes as plain data, for a Program."""
        return dataclasses.asdict(self)

    @property
    def is_own(self) -> bool:
        """A configuration of the user's, none of CONFIGS."""
        return CONFIGS.get(self.name) != self

    @property
    def fmem_banks(self) -> int:
        """Bytes that one write-back, copy or load moves (`FB` of docs/program.md)."""
        return max(self.p_px, BEAT_BYTES)

    @property
    def window_bytes(self) -> int:
        """Byte-wide banks of the feature memory: the widest window the array reads."""
        return max(self.p_oc * self.p_px // self.min_rows, BEAT_BYTES)

    def pool_lanes(self, stride: int) -> int:
        """Pixels of a row that a POOL makes of one window: stride 2 uses every other byte of it."""
        return self.fmem_banks if stride == 1 else min(self.fmem_banks, self.window_bytes // 2)

    @property
    def modes(self) -> int:
        """Shapes of the array: mode k has p_oc >> k rows and p_px << k lanes."""
        return (self.p_oc // self.min_rows).bit_length()

    @property
    def taps_per_beat(self) -> int:
        """Taps of all rows that one beat carries in the interleaved weight layout; at least 1."""
        return max(BEAT_BYTES // self.p_oc, 1)

    @property
    def beats_per_tap(self) -> int:
        """Beats that a tap of all rows takes there: beat h carries rows 8 h .. 8 h + 7."""
        return max(self.p_oc // BEAT_BYTES, 1)

    def row_taps(self, kernel: int, w_rows: bool) -> int:
        """T: taps of one input channel in the weight buffer (docs/program.md, "Layouts")."""
        taps = kernel * kernel
        return taps if w_rows else round_up(taps, self.taps_per_beat)

    def chunk_bytes(self, kernel: int) -> int:
        """Bytes of one input channel of an interleaved weight group."""
        return self.row_taps(kernel, False) * self.p_oc

    @property
    def hash(self) -> int:
        """32-bit fingerprint of the configuration and of the instruction set version."""
        fields = self.fields() | {"isa": ISA_VERSION}
        return zlib.crc32(json.dumps(fields, sort_keys=True).encode())


_Z7020 = HwConfig(
    name="z7020",
    p_oc=8,
    p_px=16,
    min_rows=1,
    fmem_bytes=256 << 10,
    wbuf_bytes=4608,
    gate_mem_bytes=32 << 10,
    score_depth=4096,
    max_channels=2048,
    n_lists=4,
    pool_depth=2048,
    max_outstanding=8,
)

CONFIGS: dict[str, HwConfig] = {
    config.name: config
    for config in (
        HwConfig(
            name="tiny",
            p_oc=2,
            p_px=4,
            min_rows=1,
            fmem_bytes=16 << 10,
            wbuf_bytes=1024,
            gate_mem_bytes=16 << 10,
            score_depth=512,
            max_channels=128,
            n_lists=2,
            pool_depth=256,
            max_outstanding=4,
        ),
        _Z7020,
        # 256 MACs a cycle on the multipliers of the z7020 core: two products a DSP slice.
        dataclasses.replace(
            _Z7020, name="z7020x2", p_oc=16, min_rows=2, wbuf_bytes=2304, macs_per_dsp=2
        ),
        # The z7020 core with room for gates between 512 channels: 546 KB for those of ResNet-18.
        dataclasses.replace(_Z7020, name="zu5ev", gate_mem_bytes=1 << 20),
        # ResNet-50 at 224 x 224 on an XCZU7EV.  Two shapes, 16 x 32 and 8 x 64: then the feature
        # memory has 64 banks of 32 KiB, an UltraRAM each; 16 more hold the gate memory.
        HwConfig(
            name="zcu104",
            p_oc=16,
            p_px=32,
            min_rows=8,
            fmem_bytes=2 << 20,
            wbuf_bytes=4608,
            gate_mem_bytes=512 << 10,
            score_depth=8192,
            max_channels=2048,
            n_lists=4,
            pool_depth=4096,
            max_outstanding=16,
        ),
    )
}


def get_config(name: str) -> HwConfig:
    """The named configuration; KeyError with the known names otherwise."""
    try:
        return CONFIGS[name]
    except KeyError:
        raise KeyError(f"unknown configuration '{name}': one of {', '.join(CONFIGS)}") from None
