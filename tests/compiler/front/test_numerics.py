"""Properties of the integer arithmetic, over its whole range."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compiler import numerics

multipliers = st.integers(0, (1 << 16) - 1)
shifts = st.integers(numerics.MIN_SHIFT, numerics.MAX_SHIFT)
accumulators = st.integers(-(1 << 31), (1 << 31) - 1)
scores = st.integers(0, 128)


@given(acc=accumulators, m=multipliers, r=shifts)
def test_requantize_rounds_half_up(acc: int, m: int, r: int) -> None:
    exact = Fraction(acc * m, 1 << r)
    expected = math.floor(exact + Fraction(1, 2))
    assert int(numerics.requantize(np.int64(acc), np.int64(m), np.int64(r))) == expected


@given(m=multipliers)
def test_fold_identities(m: int) -> None:
    assert int(numerics.fold(np.uint16(m), np.uint8(128))) == m
    assert int(numerics.fold(np.uint16(m), np.uint8(0))) == 0


@given(m=multipliers, s=scores)
def test_fold_is_rounded_product(m: int, s: int) -> None:
    folded = int(numerics.fold(np.uint16(m), np.uint8(s)))
    assert abs(Fraction(folded) - Fraction(m * s, 128)) <= Fraction(1, 2)
    assert folded < 1 << 16


@given(acc=accumulators, r=shifts)
def test_score_0_writes_0(acc: int, r: int) -> None:
    folded = numerics.fold(np.uint16(65535), np.uint8(0))
    assert int(numerics.requantize(np.int64(acc), folded, np.int64(r))) == 0


@given(real=st.floats(2.0**-31, 2.0**14, exclude_max=True))
def test_multiplier_is_normalised_and_close(real: float) -> None:
    m, r = numerics.quantize_multiplier(real)
    assert 1 << 15 <= m < 1 << 16
    assert numerics.MIN_SHIFT <= r <= numerics.MAX_SHIFT
    error = abs(Fraction(m, 1 << r) / Fraction(real) - 1)
    assert error <= Fraction(1, 1 << 16)


@given(real=st.floats(0, 2.0**-32))
def test_tiny_multipliers_lose_bits_not_position(real: float) -> None:
    m, r = numerics.quantize_multiplier(real)
    assert r == numerics.MAX_SHIFT and 0 <= m < 1 << 16
    assert abs(Fraction(m, 1 << r) - Fraction(real)) <= Fraction(1, 1 << (r + 1))


@pytest.mark.parametrize("real", [2.0**15, 1e30, math.inf, math.nan, -1.0])
def test_impossible_multipliers(real: float) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        numerics.quantize_multiplier(real)


def test_multiplier_just_below_a_power_of_two() -> None:
    assert numerics.quantize_multiplier(math.nextafter(1.0, 0.0)) == (1 << 15, 15)
    assert numerics.quantize_multiplier(32767.5) == (65535, 1)


@given(values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1), signed=st.booleans())
def test_quantize_is_half_to_even_and_saturates(values: list[float], signed: bool) -> None:
    low, high = numerics.type_range(signed)
    got = numerics.quantize(np.array(values), 0.5, signed)
    assert got.tolist() == [min(max(round(value * 2), low), high) for value in values]


def test_quantize_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        numerics.quantize(np.array([0.0, np.nan]), 0.1, signed=True)


def test_quantize_saturates_infinities() -> None:
    got = numerics.quantize(np.array([-np.inf, np.inf]), 0.1, signed=True)
    assert got.tolist() == [-128, 127]
