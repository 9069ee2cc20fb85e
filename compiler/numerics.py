"""The arithmetic of design section 4, vectorised over NumPy arrays.

These few functions are the definition of rounding, folding and saturation; both integer
interpreters call them.  All integers are exact: 16-bit multipliers times 32-bit accumulators
stay below 2^48, so int64 never overflows.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.core.config import EXIT_ENTRIES, EXIT_WIDE_SHIFT, MAX_SHIFT, MIN_SHIFT
from penstock.program.core.sigmoid import SIGMOID_TABLE
from penstock.program.network.exits import EXIT_ONE

IntArray = npt.NDArray[Any]

#: A score of exactly 1.0 (UQ1.7).
SCORE_ONE = 128
SCORE_SHIFT = 7
SCORE_SCALE = 1.0 / SCORE_ONE

MULTIPLIER_BITS = 16
#: The greatest number of int16 logits.
WIDE_MOST = (1 << 15) - 1
#: Accumulators are int32.
ACCUMULATOR_LIMIT = 1 << 31


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(m, r) with real ~ m / 2^r: m in [2^15, 2^16), fewer bits only where r would pass 47.

    Raises:
        ValueError: `real` is negative, not finite, or too large for r >= 1.
    """
    if not math.isfinite(real) or real < 0.0:
        raise ValueError(f"multiplier {real!r} is not a finite number >= 0")
    if real == 0.0:
        return 0, MAX_SHIFT
    fraction, exponent = math.frexp(real)  # real = fraction * 2^exponent, fraction in [0.5, 1)
    multiplier = round(math.ldexp(fraction, MULTIPLIER_BITS))
    shift = MULTIPLIER_BITS - exponent
    if multiplier == 1 << MULTIPLIER_BITS:
        multiplier, shift = multiplier >> 1, shift - 1
    if shift < MIN_SHIFT:
        limit = 1 << (MULTIPLIER_BITS - MIN_SHIFT)
        raise ValueError(f"multiplier {real:.6g} is too large, it must stay below {limit}")
    if shift > MAX_SHIFT:
        return round(math.ldexp(real, MAX_SHIFT)), MAX_SHIFT
    return multiplier, shift


def quantize_multipliers(real: npt.NDArray[np.float64]) -> tuple[IntArray, IntArray]:
    """`quantize_multiplier` for each element: (uint16, uint8) arrays of the same length."""
    pairs = [quantize_multiplier(float(value)) for value in real]
    multiplier = np.array([m for m, _ in pairs], dtype=np.uint16)
    shift = np.array([r for _, r in pairs], dtype=np.uint8)
    return multiplier, shift


def requantize(acc: IntArray, multiplier: IntArray, shift: IntArray) -> IntArray:
    """(acc * m + 2^(r-1)) >> r, arithmetic shift: round half up.  int64, not yet saturated.

    r is 0..47; r = 0 adds nothing.
    """
    wide_shift = np.asarray(shift, dtype=np.int64)
    half = (np.int64(1) << wide_shift) >> 1
    product = np.asarray(acc, dtype=np.int64) * np.asarray(multiplier, dtype=np.int64)
    return (product + half) >> wide_shift


def fold(multiplier: IntArray, score: IntArray) -> IntArray:
    """Gate fold m' = (m * s + 64) >> 7, s in 0..128: fold(m, 128) = m, fold(m, 0) = 0."""
    product = np.asarray(multiplier, dtype=np.int64) * np.asarray(score, dtype=np.int64)
    return (product + (SCORE_ONE >> 1)) >> SCORE_SHIFT


def sigmoid_scores(steps: IntArray) -> IntArray:
    """Scores of a SIGMOID gate: its layer's results in steps of 1/16, int64, saturated to int8."""
    table = np.array(SIGMOID_TABLE, np.int64)
    return np.asarray(table[np.clip(steps, -128, 127) & 0xFF])


def type_range(signed: bool) -> tuple[int, int]:
    """Least and greatest value of an 8-bit integer."""
    return (-128, 127) if signed else (0, 255)


def quantize(
    real: npt.NDArray[Any], scale: float, signed: bool, zero: int = 0, *, wide: bool = False
) -> IntArray:
    """Float to int8 / uint8 as ONNX QuantizeLinear does: float32, half to even, saturated; `wide`:
    to int16.

    Raises:
        ValueError: `real` holds a NaN.
    """
    steps = np.rint(np.asarray(real, dtype=np.float32) / np.float32(scale))
    if np.isnan(steps).any():
        raise ValueError("NaN cannot be quantised")
    low, high = (-WIDE_MOST - 1, WIDE_MOST) if wide else type_range(signed)
    kind = np.int16 if wide else np.int8 if signed else np.uint8
    return np.clip(steps + zero, low, high).astype(kind)


def codes_of_bytes(signed: bool) -> IntArray:
    """The code that each byte 0 .. 255 is: int64 (256,), what tables are indexed with."""
    codes = np.arange(256, dtype=np.uint8)
    return (codes.view(np.int8) if signed else codes).astype(np.int64)


def exp_table(scale: float, *, wide: bool = False) -> IntArray:
    """Table of an EXIT_IF: round(2^15 * exp(-step * d)), half up, for entries d = 0 .. 255.

    uint16 (256,); 2^15 stands for 1.  `scale` is that of the logits; `step` is it, and 64 times it
    where they are `wide` (int16).
    """
    step = scale * (1 << EXIT_WIDE_SHIFT if wide else 1)
    steps = np.exp(-step * np.arange(EXIT_ENTRIES, dtype=np.float64))
    return np.floor(EXIT_ONE * steps + 0.5).astype(np.uint16)


def exit_scale() -> float:
    """The least scale of int16 logits whose distances the table of an EXIT_IF reaches: its last
    entry, which stands for all beyond it too, is 0."""
    return math.log(2 * EXIT_ONE) / ((EXIT_ENTRIES - 1) << EXIT_WIDE_SHIFT) * (1 + 2.0**-20)


def exit_entries(logits: IntArray, *, wide: bool) -> IntArray:
    """The entry for each of the logits (..., n) int64: its distance from the largest; of `wide`
    ones in steps of 64, the nearest, at most the last."""
    distance = logits.max(axis=-1, keepdims=True) - logits
    if wide:
        half = 1 << EXIT_WIDE_SHIFT >> 1
        distance = np.minimum((distance + half) >> EXIT_WIDE_SHIFT, EXIT_ENTRIES - 1)
    return np.asarray(distance)


def confidence_sums(logits: IntArray, scale: float) -> IntArray:
    """What an EXIT_IF compares: (N, n) integer logits -> (N,) int64 sums of its table's entries.

    `logits`: int8, uint8 or int16, as the core has them.
    """
    wide = logits.dtype == np.int16
    entries = exit_entries(logits.astype(np.int64), wide=wide)
    return np.asarray(exp_table(scale, wide=wide)[entries].sum(axis=1, dtype=np.int64))
