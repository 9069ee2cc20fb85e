"""Between which numbers the codes of a function still change."""

from collections.abc import Callable

import numpy as np

from penstock.compiler.importer.curves.apply import apply
from penstock.compiler.importer.curves.find import Curves
from penstock.compiler.importer.curves.functions import Reals
from penstock.compiler.importer.net import Net
from penstock.compiler.numerics import quantize

#: Numbers at which a function is tried, and how often, between closer ends each time.
POINTS, TRIES = 1 << 14, 3
#: Beyond where its codes change the ends are so much further apart.
MARGIN = 1.05

Codes = Callable[[Reals], Reals]


def codes_of_curve(
    net: Net, curves: Curves, name: str, scale: float, signed: bool, zero: int = 0
) -> Codes:
    """The codes of tensor `name`, which is inside, of numbers of its root."""

    def codes(x: Reals) -> Reals:
        real = np.nan_to_num(apply(net, curves, name, x))
        return quantize(real, scale, signed, zero).astype(np.float64)

    return codes


def reach(codes: Codes, low: float, high: float) -> tuple[float, float]:
    """The part of low .. high beyond which nothing changes; all of it where nothing ever does."""
    for _ in range(TRIES):
        points = np.linspace(low, high, POINTS)
        made = codes(points)
        changes = np.flatnonzero(made[1:] != made[:-1])
        if not len(changes):
            break
        first, last = float(points[changes[0]]), float(points[changes[-1] + 1])
        low = max(low, first * (MARGIN if first < 0 else 1 / MARGIN))
        high = min(high, last * (MARGIN if last > 0 else 1 / MARGIN))
    return low, high
