"""The split of a partial group into passes: every row once, never more tiles than one pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compiler.estimate.array_shape import best_split, first_rows, group_rows, passes, tiles
from penstock.program.config import CONFIGS, get_config

CONFIG_NAMES = sorted(CONFIGS)


@given(
    name=st.sampled_from(CONFIG_NAMES),
    pixels=st.integers(1, 2000),
    rows=st.integers(1, 16),
    split=st.integers(0, 0xFFFF),
)
def test_any_split_covers_every_row_once(name: str, pixels: int, rows: int, split: int) -> None:
    config = get_config(name)
    rows = min(rows, config.p_oc)
    parts = passes(rows, split, config)
    assert sum(taken for _, taken in parts) == rows
    assert all(0 < taken <= config.p_oc >> mode for mode, taken in parts)
    assert all(0 <= mode < config.modes for mode, _ in parts)


@given(name=st.sampled_from(CONFIG_NAMES), pixels=st.integers(1, 2000), rows=st.integers(1, 16))
def test_best_split_is_no_worse_than_any_single_shape(name: str, pixels: int, rows: int) -> None:
    config = get_config(name)
    rows = min(rows, config.p_oc)
    parts = passes(rows, best_split(pixels, config), config)
    best = sum(tiles(pixels, mode, config) for mode, _ in parts)
    for mode in range(config.modes):
        alone = -(-rows // (config.p_oc >> mode)) * tiles(pixels, mode, config)
        assert best <= alone


@pytest.mark.parametrize(
    "pixels, rows, expected",
    [
        (256, 3, [(2, 2), (3, 1)]),  # 16x16: 4 tiles + 2, where 8x16 takes 16
        (256, 1, [(3, 1)]),
        (16, 3, [(0, 3)]),  # 4x4 fills one tile of the base shape
        (64, 5, [(1, 4), (2, 1)]),  # 8x8: 2 + 1 tiles; one row alone would take as many
    ],
)
def test_known_splits(pixels: int, rows: int, expected: list[tuple[int, int]]) -> None:
    config = get_config("z7020")
    assert passes(rows, best_split(pixels, config), config) == expected


@given(name=st.sampled_from(CONFIG_NAMES), pixels=st.integers(1, 2000), outputs=st.integers(1, 70))
def test_groups_of_a_cold_start(name: str, pixels: int, outputs: int) -> None:
    """Every channel in a group, and a first group whose shape the map fills: no lane is lost."""
    config = get_config(name)
    first = first_rows(best_split(pixels, config), config)
    groups = group_rows(outputs, first, config)
    assert sum(groups[:-1]) < outputs <= sum(groups) or outputs <= first
    lanes = config.p_oc * config.p_px // first
    assert first == config.p_oc or lanes <= pixels
