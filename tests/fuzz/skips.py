"""A family of random networks in which descriptors are skipped between any two that are not.

Few channels, blocks and gates that decide by the image, mostly in the parallel schedule: units run
side by side, short ones after long ones, at addresses that are used again.
"""

import random as stdlib
from collections import Counter

import numpy as np
import numpy.typing as npt

from penstock.compiler.estimate.activity import activity
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.program.network.exits import exits_taken
from penstock.program.network.package import Package
from tests.fuzz.networks import MAC_BUDGET, Composer, Join, Recipe, with_exits


class _Narrow(Composer):
    """Draws few channels, and gates that neither always open nor always close."""

    def channels(self) -> int:
        return self.random.randint(1, self.random.choice((2, 4, 6, 9)))

    def gate(self, source: int, outputs: int) -> int:
        self.keep = self.random.choice((-0.5, 0.0, 0.0, 0.5))
        return super().gate(source, outputs)


def skipping(random: stdlib.Random) -> Recipe:
    """A random network of narrow blocks, every other one with squeeze-and-excite."""
    sides = [random.randint(1, random.choice((4, 8, 13))) for _ in range(2)]
    compose = _Narrow(random, (random.randint(1, 4), sides[0], sides[1]))
    weights, compose.signed = random.getrandbits(32), compose.chance(0.5)
    compose.grouped = compose.chance(0.2)
    parts = ["block"] * 5 + ["plain", "window"] + ["inverted"] * 2 * compose.grouped
    parts += ["excite"] * 3 * compose.chance(0.5) + ["join"] * 2 * compose.chance(0.2)
    for _ in range(random.randint(3, 9)):
        getattr(compose, random.choice(parts))()
        if compose.macs > MAC_BUDGET:
            break
    if isinstance(compose.layers[-1], Join):  # a Concat is no output
        compose.plain()
    return with_exits(
        Recipe(
            weights=weights,
            shape=compose.maps[0],
            signed=compose.signed,
            gates=tuple(compose.gates),
            layers=tuple(compose.layers),
            classes=random.randint(1, 20) if compose.chance(0.8) else 0,
            schedule="parallel" if compose.chance(0.75) else "sequential",
        )
    )


def skipped_between(package: Package, records: npt.NDArray[np.uint8]) -> Counter[str]:
    """ "CONV .. DENSE" and how often the two ran with nothing but skipped descriptors between."""
    end = COUNTER_BYTES + sum(gate["count"] for gate in package.meta["gates"])
    exits = exits_taken(records, package.meta)
    acts = activity(package, records[:, COUNTER_BYTES:end], exits)
    found: Counter[str] = Counter()
    for image in range(len(records)):
        before, skipped = "", False
        for act in acts:
            if not act.runs[image]:
                skipped = True
                continue
            name = Op(act.op).name
            if before and skipped:
                found[f"{before} .. {name}"] += 1
            before, skipped = name, False
            if act.op == Op.HALT:
                break
    return found
