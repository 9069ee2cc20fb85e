"""The descriptor: 64 bytes, sixteen little-endian 32-bit words, one layout for every operation.

A field an operation does not use must be zero.  docs/program.md gives each operation as
pseudo-code; rtl/ps_pkg.sv is generated from FIELDS.
"""

import dataclasses
import enum
from typing import TYPE_CHECKING

from penstock.program.core.descriptor_fields import DescriptorFields

DESCRIPTOR_BYTES = 64
DESCRIPTOR_WORDS = DESCRIPTOR_BYTES // 4

#: `variant` of a GLOAD that loads the table of activations.
GLOAD_TABLE = 1

#: `variant` of a CONV whose output channels read the input channel of their own number alone.
DEPTHWISE = 1

#: `variant` of a GATE: outputs from `list_from` on are 0 if all before them are.
STOPS = 1
#: `variant` of a GATE whose scores come from a table (program/core/sigmoid.py).
SIGMOID = 2

#: `variant` of a COPY of every second row: 0, 2, 4 .., or 1, 3, 5 ...
EVEN_ROWS, ODD_ROWS = 1, 2

#: What `variant` may say, as the cores' sources spell it: name -> value.
VARIANTS = {
    "GLOAD_TABLE": GLOAD_TABLE,
    "CONV_DEPTHWISE": DEPTHWISE,
    "GATE_STOPS": STOPS,
    "GATE_SIGMOID": SIGMOID,
    "COPY_EVEN": EVEN_ROWS,
    "COPY_ODD": ODD_ROWS,
}


class Op(enum.IntEnum):
    """Operations of the instruction set (design section 6)."""

    LOAD = 1  # input image -> feature memory
    GLOAD = 2  # weight blob -> resident gate memory, or the table of activations
    CONV = 3  # convolution with lists, gate fold, residual, pooled sums
    GATE = 4  # pooled sums -> dense -> scores and survivor list
    DENSE = 5  # pooled sums -> dense -> bytes in feature memory
    COPY = 6  # linear -> polyphase layout
    STORE = 7  # feature memory or scores -> output record
    HALT = 8  # end of image: counters out, next image or stop
    POOL = 9  # maximum or average of windows of a linear map
    EXIT_IF = 10  # goes on at a later descriptor if a classifier head is confident


class GateKind(enum.IntEnum):
    """How a GATE turns its accumulator into a score: `gate_kind`, or `variant` = SIGMOID."""

    RELU1 = 0
    BINARY = 1
    SIGMOID = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One bit field: `word` 0..15, `lsb` within it, `width` bits, two's complement if signed."""

    name: str
    word: int
    lsb: int
    width: int
    doc: str
    signed: bool = False


FIELDS: tuple[Field, ...] = (
    Field("op", 0, 0, 8, "operation"),
    Field("pred_en", 0, 8, 1, "predicated: scores[pred_slot] == 0 means skip"),
    Field("pred_empty", 0, 9, 1, "CONV: when skipped, still run with an empty input list"),
    Field("src_signed", 0, 10, 1, "source bytes are int8 (else uint8)"),
    Field("res_en", 0, 11, 1, "add the destination's old bytes (residual, in place)"),
    Field("res_signed", 0, 12, 1, "the old bytes are int8 (else uint8)"),
    Field("res_sat8", 0, 13, 1, "saturate to int8 before the residual is added"),
    Field("pool_en", 0, 14, 1, "accumulate each channel's sum into pool[pool_base + oc]"),
    Field("fold_en", 0, 15, 1, "fold gate scores into the multipliers"),
    Field("fold_channel", 0, 16, 1, "score of channel oc at fold_slot + oc (else fold_slot)"),
    Field("w_rows", 0, 17, 1, "weights in row layout (else interleaved)"),
    Field("polyphase", 0, 18, 1, "stride 2: the source is in polyphase layout"),
    Field("gate_kind", 0, 19, 1, "GATE: 0 ReLU-1, 1 binary"),
    Field("from_scores", 0, 20, 1, "STORE: source is the score memory"),
    Field("average", 0, 21, 1, "POOL: 0 maximum, 1 average"),
    Field("stride2", 0, 22, 1, "POOL: stride 2 (else 1)"),
    Field("pred_not", 0, 23, 1, "predicated the other way round: a score other than 0 means skip"),
    Field("kernel", 0, 24, 4, "kernel size K: CONV 1, 3, 5, 7, padding K // 2; POOL 1 .. 7"),
    Field("pad", 0, 28, 2, "POOL: rows and columns of padding on every side, 2 * pad < K"),
    Field(
        "variant",
        0,
        30,
        2,
        "GLOAD: 1 table; CONV: 1 depthwise; COPY: 0 every row, 1 even, 2 odd rows; "
        "GATE: 1 may stop, 2 sigmoid",
    ),
    Field("pred_slot", 1, 0, 16, "score address of the predicate"),
    Field("fold_slot", 1, 16, 16, "score address of the fold"),
    Field("in_list", 2, 0, 8, "input-channel list, 0xFF = all"),
    Field("out_list", 2, 8, 8, "output-channel list, 0xFF = all; GATE: list to write"),
    Field("list_from", 2, 16, 16, "GATE: first output that belongs to the list: channel src of it"),
    Field("cin", 3, 0, 16, "input channels (GATE, DENSE: inputs; EXIT_IF: logits)"),
    Field("cout", 3, 16, 16, "output channels (GATE, DENSE: outputs; COPY, POOL: channels)"),
    Field("height", 4, 0, 16, "rows of the source map"),
    Field("width", 4, 16, 16, "columns of the source map"),
    Field(
        "src",
        5,
        0,
        32,
        "byte address of the source in feature memory (STORE: or scores; GATE: see list_from)",
    ),
    Field("dst", 6, 0, 32, "byte address of the destination (GATE: score, GLOAD: gate memory)"),
    Field("src_stride", 7, 0, 32, "bytes from one source channel to the next"),
    Field("dst_stride", 8, 0, 32, "bytes from one destination channel to the next"),
    Field("phase_stride", 9, 0, 24, "bytes from one polyphase plane to the next"),
    Field("pad_value", 9, 24, 8, "CONV: the byte off the map, the zero point of the source"),
    Field("clamp_lo", 10, 0, 16, "lower bound of the result", signed=True),
    Field("clamp_hi", 10, 16, 16, "upper bound of the result", signed=True),
    Field(
        "w_addr",
        11,
        0,
        32,
        "offset in the weight blob (GATE, DENSE, EXIT_IF: in gate memory; POOL: m, r << 16)",
    ),
    Field(
        "w_stride",
        12,
        0,
        32,
        "bytes from one group (rows: output channel) to the next (EXIT_IF: largest sum that exits)",
    ),
    Field("split", 13, 0, 16, "CONV: rows of the passes of a partial group (docs/program.md)"),
    Field("pool_base", 13, 16, 16, "first pooled sum"),
    Field("ddr", 14, 0, 32, "LOAD, STORE: byte offset in the image's input / output record"),
    Field(
        "length",
        15,
        0,
        32,
        "LOAD, GLOAD, STORE: bytes; CONV: bytes of its table, 0 without; HALT: descriptor to loop "
        "to; EXIT_IF: to go on at, later",
    ),
)

FIELD_BY_NAME = {field.name: field for field in FIELDS}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor(DescriptorFields):
    """One decoded descriptor.  `values` maps every field name to its integer value."""

    values: dict[str, int]

    @classmethod
    def make(cls, op: Op, **values: int) -> "Descriptor":
        """A descriptor of `op`; unnamed fields are zero, lists of every channel by default.

        Raises:
            KeyError: a name is not a field.  ValueError: a value does not fit its field.
        """
        full = dict.fromkeys(FIELD_BY_NAME, 0) | {"op": int(op)}
        for name, value in values.items():
            field = FIELD_BY_NAME[name]
            low = -(1 << (field.width - 1)) if field.signed else 0
            high = low + (1 << field.width)
            if not low <= int(value) < high:
                raise ValueError(f"{op.name}.{name} = {value} does not fit {field.width} bits")
            full[name] = int(value)
        return cls(values=full)

    if not TYPE_CHECKING:  # a type checker knows the names of DescriptorFields, and no others

        def __getattr__(self, name: str) -> int:
            try:
                return self.values[name]
            except KeyError:
                raise AttributeError(name) from None

    @property
    def depthwise(self) -> bool:
        """A CONV whose output channel oc reads input channel oc alone."""
        return bool(self.op == Op.CONV and self.variant == DEPTHWISE)

    @property
    def loads_table(self) -> bool:
        """A GLOAD of the table of activations."""
        return bool(self.op == Op.GLOAD and self.variant == GLOAD_TABLE)

    @property
    def has_table(self) -> bool:
        """A CONV whose results go through the table of activations."""
        return bool(self.op == Op.CONV and self.length)

    @property
    def score_kind(self) -> GateKind:
        """GATE: what its scores are."""
        return GateKind.SIGMOID if self.variant == SIGMOID else GateKind(self.gate_kind)

    @property
    def stops(self) -> bool:
        """A GATE whose first outputs may make the others 0."""
        return bool(self.op == Op.GATE and self.variant == STOPS)

    @property
    def row_inputs(self) -> int:
        """CONV: input channels that an output channel has weights for."""
        return 1 if self.depthwise else int(self.cin)

    def encode(self) -> bytes:
        """The 64 bytes of the descriptor."""
        words = [0] * DESCRIPTOR_WORDS
        for field in FIELDS:
            words[field.word] |= (self.values[field.name] & ((1 << field.width) - 1)) << field.lsb
        return b"".join(word.to_bytes(4, "little") for word in words)

    @classmethod
    def decode(cls, data: bytes) -> "Descriptor":
        """The descriptor in `data` (64 bytes); an unknown operation is kept as its number."""
        words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, DESCRIPTOR_BYTES, 4)]
        values = {}
        for field in FIELDS:
            value = (words[field.word] >> field.lsb) & ((1 << field.width) - 1)
            if field.signed and value >> (field.width - 1):
                value -= 1 << field.width
            values[field.name] = value
        return cls(values=values)
