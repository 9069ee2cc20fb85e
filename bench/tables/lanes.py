"""Figures of docs/architecture.md that follow from the compiler's own arithmetic: nothing is run.

Both tables are bounds: cycles in which the array accumulates, without fetches, fills and gates.
"""

import math
from collections.abc import Iterator

from penstock.bench.figures import ROOT, array_realisation
from penstock.compiler.estimate.array_shape import best_split, passes, tiles
from penstock.program.core.config import HwConfig, get_config

DOCUMENTS = (ROOT / "docs" / "architecture.md",)

CONFIG = "z7020"
#: (output channels, side of the output map): the stages of CIFAR's ResNet-20.
LAYERS = ((16, 32), (32, 16), (64, 8))
KEEPS = (0.5, 0.3)
SIDES = (56, 32, 28, 16, 14, 8, 7, 4)


def tiles_of(channels: int, pixels: int, split: int, config: HwConfig) -> int:
    """Tiles of every pass over `channels` surviving output channels."""
    groups = [config.p_oc] * (channels // config.p_oc) + [channels % config.p_oc]
    shapes = [shape for rows in groups for shape in passes(rows, split, config)]
    return sum(tiles(pixels, mode, config) for mode, _ in shapes)


def expected_realisation(
    channels: int, pixels: int, keep: float, split: int, config: HwConfig
) -> float:
    """`array_realisation` of a layer whose channels are kept independently of each other."""
    expected = 0.0
    for kept in range(channels + 1):
        chance = math.comb(channels, kept) * keep**kept * (1 - keep) ** (channels - kept)
        expected += chance * tiles_of(kept, pixels, split, config)
    dense = tiles_of(channels, pixels, split, config)
    return array_realisation(dense_tiles=dense, tiles=expected, keep=keep)


def remainder_table(config: HwConfig) -> Iterator[str]:
    """The bound for random output lists: fixed array, reshaping array."""
    heads = [f"{kind}, keep {keep}" for keep in KEEPS for kind in ("fixed", "reshaping")]
    yield f"| convolution | {' | '.join(heads)} |"
    yield "|---|" + "---:|" * len(heads)
    for channels, side in LAYERS:
        splits = (0, best_split(side * side, config))
        cells = [
            f"{expected_realisation(channels, side * side, keep, split, config):.2f}"
            for keep in KEEPS
            for split in splits
        ]
        yield f"| {channels} channels, {side} x {side} | {' | '.join(cells)} |"


def lane_table(config: HwConfig) -> Iterator[str]:
    """Share of the lanes at work: windows over the linear plane, windows within a row."""
    yield "| map | " + " | ".join(f"{side} x {side}" for side in SIDES) + " |"
    yield "|---|" + "---:|" * len(SIDES)
    linear = [side * side / (tiles(side * side, 0, config) * config.p_px) for side in SIDES]
    rows = [side / (tiles(side, 0, config) * config.p_px) for side in SIDES]
    for name, shares in (("windows of the plane", linear), ("windows of a row", rows)):
        yield f"| {name} | " + " | ".join(f"{share:.2f}" for share in shares) + " |"


def tables() -> dict[str, str]:
    """Both tables by the names of their markers."""
    config = get_config(CONFIG)
    return {
        "remainder": "\n".join(remainder_table(config)),
        "lanes": "\n".join(lane_table(config)),
    }
