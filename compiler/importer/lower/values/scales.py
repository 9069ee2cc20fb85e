"""Reading the scale, zero point and type of QuantizeLinear / DequantizeLinear."""

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.numerics import type_range

#: Codes of a type and zero point that are those of another type with zero point 0, moved.
MOVED = {("int8", 0): True, ("uint8", 0): False, ("int8", -128): False, ("uint8", 128): True}


def read_scale(builder: Builder, node: OpNode) -> Array:
    """The scale(s) as float64, () or (n,), checked to be positive."""
    scale = builder.constant(node, 1, "scale")
    if scale is None or scale.ndim > 1 or node.attrs.get("block_size", 0):
        raise node.error("its scale is not one number or one number a channel")
    wide: Array = scale.astype(np.float64)
    if not np.isfinite(wide).all() or (wide <= 0).any():
        raise node.error("its scale is not a positive number")
    return wide.reshape(()) if wide.size == 1 else wide


def activation_scale(builder: Builder, node: OpNode) -> float:
    """The one scale of an activation quantiser."""
    scale = read_scale(builder, node)
    if scale.ndim:
        raise node.error("an activation has one scale per channel", "use one per tensor")
    return float(scale)


def quantized_codes(builder: Builder, node: OpNode) -> tuple[bool, int]:
    """`codes_of` what QuantizeLinear gives: uint8 without a zero point."""
    kind = builder.net.types.get(node.output, "unknown")
    if kind not in ("int8", "uint8"):
        raise node.error(f"quantises to {kind}", "activations are int8 or uint8")
    return codes_of(builder, node, kind)


def codes_of(builder: Builder, node: OpNode, kind: str) -> tuple[bool, int]:
    """(whether they are int8, zero point) of codes of type `kind` with the zero point of `node`.

    int8 with zero point -128 is uint8 with 0, and uint8 with 128 is int8 with 0: the same numbers
    under other codes.  Any other zero point stays.

    Raises:
        CompileError: there are several zero points.
    """
    zero = builder.constant(node, 2, "zero point")
    points = {0} if zero is None else set(zero.reshape(-1).tolist())
    point = int(next(iter(points), 0))
    if len(points) > 1:
        raise zero_point_error(node, max(points, key=abs))
    if (kind, point) in MOVED:
        return MOVED[kind, point], 0
    return kind == "int8", point


def zero_point_error(node: OpNode, point: int) -> CompileError:
    """The error for a zero point that the core would have to add."""
    return node.error(
        f"its zero point is {point}, not 0",
        "quantise symmetrically (int8, or uint8 after a ReLU, zero point 0), or the average of "
        "windows at the scale and zero point of what it reads, without padding",
    )


def code_zero(kind: str, signed: bool) -> int:
    """The zero point of codes of type `kind` that are int8 (`signed`) or uint8 with 0, moved."""
    if kind == "int8":
        return 0 if signed else -128
    return 128 if signed else 0


def integer_bounds(
    low: float, high: float, scale: float, signed: bool, zero: int = 0
) -> tuple[int, int]:
    """Bounds of quantize(clip(x, low, high)): rounding is monotone, so clipping commutes."""
    least, greatest = type_range(signed)
    steps = np.rint(np.array([low, high], dtype=np.float32) / np.float32(scale)) + zero
    first, last = np.clip(steps, least, greatest)
    return int(first), int(last)


def scale_text(scale: float) -> str:
    """A scale as users wrote it: the shortest decimal of the float32."""
    return str(np.float32(scale))


def unequal_scales(
    builder: Builder, node: OpNode, value: str, scale: float, hint: str
) -> CompileError:
    """The error for a value that `node` needs at another scale than it has."""
    known, origin = builder.values[value].scale, builder.origin[value].label
    return node.error(
        f"scales that cannot be unified: '{value}' has scale {scale_text(known)} "
        f"(node '{origin}'), this node needs {scale_text(scale)}",
        hint,
    )
