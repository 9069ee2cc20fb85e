"""How a partial group of output channels is split into passes of the reshaping array.

A pass in mode k has P_oc >> k rows and tiles of P_px << k pixels (docs/program.md, "Passes").  A
descriptor's `split` names the mode of the next pass for every number of rows that may be left, and
the size of the first group of a convolution in row layout.
"""

import functools

from penstock.program.base.arith import ceil_div
from penstock.program.core.config import HwConfig

#: Sizes of a partial group that `split` tells apart; 2 bits each.
ENTRIES = 8


def entry(rows: int, config: HwConfig) -> int:
    """Index into `split` for a partial group of `rows` rows."""
    unit = max(config.p_oc, ENTRIES)
    return ceil_div(rows * ENTRIES, unit)


def tiles(pixels: int, mode: int, config: HwConfig) -> int:
    """Tiles of one pass over a map of `pixels` pixels."""
    return ceil_div(pixels, config.p_px << mode)


def pass_mode(rows: int, split: int, config: HwConfig) -> int:
    """Mode of the next pass when `rows` rows of the group are left."""
    if rows == config.p_oc:
        return 0
    return min((split >> 2 * entry(rows, config)) & 3, config.modes - 1)


def passes(
    rows: int, split: int, config: HwConfig, *, depthwise: bool = False
) -> list[tuple[int, int]]:
    """(mode, rows) of every pass over a group of `rows` rows.

    A pass of a depthwise convolution is one row in the shape with the fewest rows.
    """
    if depthwise:
        return [(config.modes - 1, 1)] * rows
    result = []
    while rows > 0:
        mode = pass_mode(rows, split, config)
        taken = min(rows, config.p_oc >> mode)
        result.append((mode, taken))
        rows -= taken
    return result


def first_rows(split: int, config: HwConfig) -> int:
    """Rows of the first group of a convolution in row layout."""
    return config.p_oc >> min(split & 3, config.modes - 1)


def group_rows(outputs: int, first: int, config: HwConfig) -> list[int]:
    """Most rows of every group of a convolution of `outputs` channels whose first has `first`."""
    rest = ceil_div(max(outputs - first, 0), config.p_oc)
    return [first] + [config.p_oc] * rest


def first_mode(
    pixels: int,
    config: HwConfig,
    weights: tuple[int, ...],
    row_beats: int,
    *,
    depthwise: bool = False,
) -> int:
    """The mode whose rows are the first group, in row layout: with the fewest cycles of waiting.

    The first group after a GATE arrives cold: the fewer its rows, the earlier the array starts.
    The next group is a whole one, and comes while the first is used: too few rows, and the array
    waits again.  In a shape that the map fills nothing else is lost.

    Args:
        pixels: of the output map.
        config: the core.
        weights: shape of the weights, (O, I, K, K); every channel is taken to survive.
        row_beats: beats of a row: parameters and weights.
        depthwise: a tile is one row, in the shape with the fewest rows.
    """
    outputs, inputs, kernel = weights[:3]
    steps = inputs * kernel * kernel

    def wait(mode: int) -> tuple[int, int]:
        rows = min(config.p_oc >> mode, outputs)
        count = rows * tiles(pixels, config.modes - 1, config)
        used = (count if depthwise else tiles(pixels, mode, config)) * steps
        late = min(config.p_oc, outputs - rows) * row_beats - used
        return rows * row_beats + max(late, 0), -mode

    fits = [m for m in range(config.modes) if m == 0 or config.p_px << m <= pixels]
    return min(fits, key=wait)


def best_split(pixels: int, config: HwConfig) -> int:
    """The `split` of partial groups with the fewest tiles for a map of `pixels` output pixels.

    Every tile of a convolution takes the same cycles whatever its shape, so tiles are the cost.
    """

    @functools.cache
    def cost(rows: int) -> tuple[int, int]:
        """(tiles, mode of the first pass) for `rows` rows."""
        if rows <= 0:
            return 0, 0
        return min(
            (tiles(pixels, mode, config) + cost(rows - (config.p_oc >> mode))[0], mode)
            for mode in range(config.modes)
        )

    split = 0
    for rows in range(1, config.p_oc):
        # Where rows share an entry the largest of them decides: it comes last.
        clear = split & ~(3 << 2 * entry(rows, config))
        split = clear | cost(rows)[1] << 2 * entry(rows, config)
    return split
