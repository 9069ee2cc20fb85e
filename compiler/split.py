"""How a partial group of output channels is split into passes of the reshaping array.

A pass in mode k has P_oc >> k rows and tiles of P_px << k pixels (docs/program.md, "Passes").  A
descriptor's `split` names the mode of the next pass for every number of rows that may be left.
"""

import functools

from penstock.program.config import HwConfig

#: Sizes of a partial group that `split` tells apart; 2 bits each.
ENTRIES = 8


def entry(rows: int, config: HwConfig) -> int:
    """Index into `split` for a partial group of `rows` rows."""
    unit = max(config.p_oc, ENTRIES)
    return -(-rows * ENTRIES // unit)


def tiles(pixels: int, mode: int, config: HwConfig) -> int:
    """Tiles of one pass over a map of `pixels` pixels."""
    return -(-pixels // (config.p_px << mode))


def pass_mode(rows: int, split: int, config: HwConfig) -> int:
    """Mode of the next pass when `rows` rows of the group are left."""
    if rows == config.p_oc:
        return 0
    return min((split >> 2 * entry(rows, config)) & 3, config.modes - 1)


def passes(rows: int, split: int, config: HwConfig) -> list[tuple[int, int]]:
    """(mode, rows) of every pass over a group of `rows` rows."""
    result = []
    while rows > 0:
        mode = pass_mode(rows, split, config)
        taken = min(rows, config.p_oc >> mode)
        result.append((mode, taken))
        rows -= taken
    return result


def best_split(pixels: int, config: HwConfig) -> int:
    """The `split` with the fewest tiles for a map of `pixels` output pixels.

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
