"""The split of a partial group into passes: every row once, never more tiles than one pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler.estimate.array_shape import (
    best_split,
    first_mode,
    first_rows,
    group_rows,
    passes,
    tiles,
)
from penstock.program.core.config import CONFIGS, get_config

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


@settings(deadline=None)
@given(
    name=st.sampled_from(CONFIG_NAMES),
    pixels=st.integers(1, 2000),
    outputs=st.integers(1, 70),
    inputs=st.integers(1, 70),
    kernel=st.sampled_from([1, 3, 5]),
    depthwise=st.booleans(),
)
def test_groups_of_a_cold_start(
    name: str, pixels: int, outputs: int, inputs: int, kernel: int, depthwise: bool
) -> None:
    """Every channel in a group; a first group whose shape the map fills, and none waits less."""
    config = get_config(name)
    weights = (outputs, 1 if depthwise else inputs, kernel, kernel)
    beats = 1 + -(-weights[1] * kernel * kernel // 8)
    chosen = first_mode(pixels, config, weights, beats, depthwise=depthwise)
    first = first_rows(best_split(pixels, config) | chosen, config)
    groups = group_rows(outputs, first, config)
    assert sum(groups[:-1]) < outputs <= sum(groups) or outputs <= first
    assert chosen == 0 or config.p_px << chosen <= pixels
    waits = {}
    for mode in range(config.modes):
        if mode == 0 or config.p_px << mode <= pixels:
            waits[mode] = two_groups_wait(mode, pixels, name, weights, beats, depthwise)
    assert waits[chosen] == min(waits.values())
    assert all(waits[mode] > waits[chosen] for mode in waits if mode > chosen)


def two_groups_wait(
    mode: int, pixels: int, name: str, weights: tuple[int, ...], beats: int, depthwise: bool
) -> int:
    """Cycles in which the array has no weights until its second group: a beat or a step a cycle."""
    config = get_config(name)
    rows = min(config.p_oc >> mode, weights[0])
    next_rows = min(config.p_oc, weights[0] - rows)
    shapes = [config.modes - 1] * rows if depthwise else [mode]
    steps = sum(tiles(pixels, shape, config) for shape in shapes) * weights[1] * weights[2] ** 2
    come, left, waited = 0, steps, 0
    while come < (rows + next_rows) * beats:
        come += 1
        if come <= rows * beats or left == 0:
            waited += 1
        else:
            left -= 1
    return waited


@pytest.mark.parametrize(
    "name, pixels, channels, expected",
    [
        ("z7020", 64, 64, 2),  # 2 rows for 146 cycles; the next eight take 584 of the 576 they work
        ("z7020x2", 64, 64, 1),  # 4 rows work 576 cycles, and 16 more rows take 1,168
        ("z7020x2", 256, 32, 3),
        ("z7020x2", 1024, 16, 3),
    ],
)
def test_known_first_groups(name: str, pixels: int, channels: int, expected: int) -> None:
    config = get_config(name)
    beats = 1 + channels * 9 // 8
    assert first_mode(pixels, config, (channels, channels, 3, 3), beats) == expected
