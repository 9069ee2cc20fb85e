"""Thresholds as integers, changed in a program; which exit a record took; its logits."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compiler.numerics import confidence_sums, exit_scale, exp_table
from penstock.program.base.errors import PenstockError
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.network.exits import (
    EXIT_ALWAYS,
    EXIT_ONE,
    clear_unreached,
    decode_logits,
    exit_bound,
    exits_taken,
    with_thresholds,
)
from penstock.program.network.package import Package

EXIT = {"name": "head", "threshold": 0.5, "signed": True, "scale": 0.25, "scores": 1}
META = {
    "images": 1,
    "output": {"offset": 72, "classes": 3, "signed": False, "scale": 0.5},
    "gates": [{"name": "g", "score": 0, "count": 3, "offset": 64}],
    "exits": [EXIT | {"descriptor": 1, "halt": 4}, EXIT | {"descriptor": 2, "halt": 6}],
}


@given(st.floats(min_value=0.001, max_value=1.0))
def test_bounds_are_exact(threshold: float) -> None:
    bound = exit_bound(threshold)
    assert bound * Fraction(threshold) <= EXIT_ONE < (bound + 1) * Fraction(threshold)


def test_bounds_at_the_ends() -> None:
    assert exit_bound(0) == exit_bound(1e-12) == EXIT_ALWAYS
    assert exit_bound(1.0) == EXIT_ONE  # no other entry may be above 0
    assert exit_bound(1.001) < EXIT_ONE  # the largest logit alone is more
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(PenstockError, match="is not a number >= 0"):
            exit_bound(bad)


@given(st.floats(min_value=1e-4, max_value=2.0))
def test_the_table(scale: float) -> None:
    table = exp_table(scale).astype(np.int64)
    assert table.shape == (256,) and table[0] == EXIT_ONE
    assert (np.diff(table) <= 0).all()
    assert np.abs(table - EXIT_ONE * np.exp(-scale * np.arange(256))).max() <= 0.5 + 1e-6


@given(
    st.lists(st.integers(-128, 127), min_size=2, max_size=12),
    st.floats(min_value=0.005, max_value=0.5),
    st.floats(min_value=0.2, max_value=0.95),
)
def test_the_test_is_softmax_up_to_rounding(
    logits: list[int], scale: float, threshold: float
) -> None:
    """Each entry is within half of 2^-15, so the confidence is within n / 2^16 of its own."""
    values = np.array(logits) * scale
    confidence = 1 / np.exp(values - values.max()).sum()
    exits = confidence_sums(np.array([logits], np.int8), scale)[0] <= exit_bound(threshold)
    if abs(confidence - threshold) > len(logits) / 2**15:
        assert exits == (confidence >= threshold)


def records() -> np.ndarray:
    data = np.zeros((3, 80), np.uint8)
    data[:, 60] = [6, 9, 4]  # the counter `exit`
    data[:, 64:67] = 128
    data[:, 72:75] = [1, 255, 3]
    return data


def test_exits_of_records() -> None:
    assert exits_taken(records(), META).tolist() == [1, 2, 0]
    assert exits_taken(records(), META | {"exits": []}).tolist() == [0, 0, 0]


def test_logits_at_the_scale_of_the_exit() -> None:
    early, late = [0.25, -0.25, 0.75], [0.5, 127.5, 1.5]
    assert decode_logits(records(), META).tolist() == [early, late, early]
    assert decode_logits(records(), META | {"exits": []}).tolist() == [late] * 3


def test_logits_of_sixteen_bits() -> None:
    """Of the output, of an exit, of both: the lower byte first, at a scale of its own."""
    data = np.zeros((2, 80), np.uint8)
    data[:, 60] = [6, 4]
    numbers = np.array([300, -2, -32768], "<i2")
    data[:, 72:78] = numbers.view(np.uint8)
    wide, signed = {"bits": 16}, {"signed": True}
    late = META | {"output": META["output"] | wide | signed}
    low = numbers.view(np.int8)[:3]
    assert decode_logits(data[1:], late).tolist() == [(low * 0.25).tolist()]
    assert decode_logits(data, late | {"exits": []}).tolist() == [(numbers * 0.5).tolist()] * 2
    both = late | {"exits": [leave | wide for leave in META["exits"]]}
    assert decode_logits(data, both).tolist() == [(numbers * 0.25).tolist()] * 2
    early = META | {"exits": both["exits"]}
    assert decode_logits(data[1:], early).tolist() == [(numbers * 0.25).tolist()]


@given(
    st.lists(st.integers(-32768, 32767), min_size=2, max_size=12),
    st.floats(min_value=exit_scale(), max_value=0.01),
    st.floats(min_value=0.2, max_value=0.95),
)
def test_the_test_of_sixteen_bits_is_softmax_up_to_an_entry(
    logits: list[int], scale: float, threshold: float
) -> None:
    """A distance is off by half an entry, 32 steps: each exponential by exp(32 s)."""
    values = np.array(logits) * scale
    terms = np.exp(values - values.max())
    slack = len(logits) / 2**15
    least, most = (np.maximum(1, terms.sum() * np.exp(off * 32 * scale)) for off in (-1, 1))
    exits = confidence_sums(np.array([logits], np.int16), scale)[0] <= exit_bound(threshold)
    if most + slack < 1 / threshold:
        assert exits
    if least - slack > 1 / threshold:
        assert not exits


def test_the_table_of_sixteen_bits_ends_at_zero() -> None:
    table = exp_table(exit_scale(), wide=True)
    assert table[0] == EXIT_ONE and table[254] == 1 and table[255] == 0


def test_scores_that_an_exit_came_before() -> None:
    data = records()
    clear_unreached(data, META)
    assert data[:, 64:67].tolist() == [[128, 0, 0], [128] * 3, [128, 0, 0]]
    assert (data[:, 72:75] == [1, 255, 3]).all()


def package() -> Package:
    code = [Descriptor.make(Op.LOAD), *(Descriptor.make(Op.EXIT_IF, cin=n) for n in (3, 4))]
    data = b"".join(d.encode() for d in code)
    return Package(config_hash=0, descriptors=data, weights=b"", meta=META)


def test_other_thresholds() -> None:
    changed = with_thresholds(package(), [0.25, 2])
    data = changed.descriptors
    code = [Descriptor.decode(data[at : at + 64]) for at in range(0, 3 * DESCRIPTOR_BYTES, 64)]
    assert [d.w_stride for d in code] == [0, 4 * EXIT_ONE, EXIT_ONE // 2]
    assert [d.cin for d in code] == [0, 3, 4]
    assert [leave["threshold"] for leave in changed.meta["exits"]] == [0.25, 2.0]
    assert META["exits"][0]["threshold"] == 0.5  # the first program is as it was
    with pytest.raises(PenstockError, match="1 exit thresholds, the network has 2 early exits"):
        with_thresholds(package(), [0.5])


def test_logits_of_several_images_in_one_record() -> None:
    """Results follow each other in whole beats."""
    meta = META | {"exits": [], "gates": [], "images": 2}
    data = np.zeros((2, 88), np.uint8)
    data[0, 72:75], data[0, 80:83] = [1, 2, 3], [4, 5, 6]
    data[1, 72:75], data[1, 80:83] = [7, 8, 9], [10, 11, 12]
    wanted = np.arange(1, 13).reshape(4, 3) * 0.5
    assert decode_logits(data, meta).tolist() == wanted.tolist()
