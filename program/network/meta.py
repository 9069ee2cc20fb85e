"""What a program's metadata holds (docs/program.md): the one schema of it.

`Package.meta` is a `ProgramMeta`: a type checker knows every key, and `check_metadata` holds a
file to the same annotations.  Keys of the `...Optional` parents may be missing.
"""

from typing import Any, TypedDict

#: A number that may be 0, unlike a scale; checked by itself.
Threshold = float | int


class InputOptional(TypedDict, total=False):
    """Of an input, where the network has it."""

    integer: bool  # the file takes int8 or uint8 images
    zero_point: int
    pixels: dict[str, Any]  # program/network/pixels.py


class InputMeta(InputOptional):
    """An image as the core reads it: `bytes` of it are loaded, real = scale (code - zero)."""

    name: str
    shape: list[int]  # C, H, W
    signed: bool
    scale: float
    bytes: int


class OutputOptional(TypedDict, total=False):
    """Of an output, where the network has it."""

    shape: list[int]
    zero_point: int
    class_names: list[str]


class OutputMeta(OutputOptional):
    """The logits, or the map, from `offset` of a record on."""

    name: str
    classes: int  # codes
    signed: bool
    scale: float
    offset: int


class NamedOptional(TypedDict, total=False):
    """Of one of several outputs, or of a map."""

    zero_point: int
    tail: dict[str, Any]  # program/network/ends.py


class NamedMeta(NamedOptional):
    """One of several outputs by its name in the file, `shape` there without the batch."""

    name: str
    classes: int  # codes
    shape: list[int]
    signed: bool
    scale: float
    offset: int


class GateOptional(TypedDict, total=False):
    """Of a gate, since this release."""

    within: str | None  # the block gate without which its scores are 0
    kind: str  # relu1, binary, sigmoid


class GateMeta(GateOptional):
    """`count` scores from `score` of the score memory on, and from `offset` of a record on."""

    name: str
    score: int
    count: int
    offset: int


class ExitOptional(TypedDict, total=False):
    """Of an exit, where its logits have it."""

    zero_point: int


class ExitMeta(ExitOptional):
    """An EXIT_IF at `descriptor`, whose images end at the HALT `halt`."""

    name: str
    descriptor: int
    halt: int
    threshold: Threshold
    signed: bool
    scale: float
    scores: int  # that are known there


class BlockOptional(TypedDict, total=False):
    """Of a block of memory, where it holds a part of a Concat."""

    row: str  # the Concat whose part it is


class BlockMeta(BlockOptional):
    """Feature memory that a buffer holds from its first step to its last."""

    name: str
    address: int
    bytes: int
    steps: list[int]


class LayerOptional(TypedDict, total=False):
    """Of a descriptor that computes."""

    kind: str
    input: str
    output: str
    macs_per_pair: int


class LayerMeta(LayerOptional):
    """A descriptor for people."""

    name: str


class ProgramOptional(TypedDict, total=False):
    """What the host does at either end (network/ends.py); a configuration of the user's own."""

    head: dict[str, Any]
    tails: list[dict[str, Any]]
    outputs: list[NamedMeta]
    hardware: dict[str, Any]  # HwConfig.fields


class ProgramMeta(ProgramOptional):
    """All of it."""

    network: str
    config: str
    schedule: str
    images: int  # a run
    input: InputMeta
    output: OutputMeta
    record_bytes: int
    gates: list[GateMeta]
    exits: list[ExitMeta]
    memory: list[BlockMeta]
    layers: list[LayerMeta]
