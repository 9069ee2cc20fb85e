"""How S2DNAS cuts a network into stages along its channels (Yuan et al. 2019, section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from penstock.model.errors import ConfigError

GROUPS = 8  # of the channels of every layer (section 4.1)
STAGES = 3
FORM = "such as '8: 3,5/110 3,5/111 2,6/101': groups: points/reuse of each resolution"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Split points and reuse indicators of each resolution, which all its layers share.

    The channels of a layer are `groups` groups in a row.  A row of `points` says after how many
    groups each stage but the last ends, 0 < p1 < p2 < ... < groups: here every stage has channels
    everywhere.  A row of `reuse` is the upper triangle of the indicator matrix, m_01, m_02, ...,
    m_12, ...: whether stage j also reads what stage i < j made at that resolution.
    """

    points: tuple[tuple[int, ...], ...]
    reuse: tuple[tuple[bool, ...], ...]
    groups: int = GROUPS

    def __post_init__(self) -> None:
        if not self.points or len(self.points) != len(self.reuse):
            raise ConfigError(
                f"{len(self.points)} rows of split points, {len(self.reuse)} of reuse indicators",
                "one of each a resolution",
            )
        for row in self.points:
            inside = all(0 < point < self.groups for point in row)
            if (
                not row
                or not inside
                or list(row) != sorted(set(row))
                or len(row) != self.stages - 1
            ):
                raise ConfigError(
                    f"split points {row} of {self.groups} groups",
                    f"{self.stages - 1} increasing numbers from 1 to {self.groups - 1}",
                )
        pairs = self.stages * (self.stages - 1) // 2
        for bits in self.reuse:
            if len(bits) != pairs or not set(bits) <= {False, True}:
                raise ConfigError(
                    f"reuse indicators {bits}", f"{pairs} for {self.stages} stages, each 0 or 1"
                )

    @property
    def stages(self) -> int:
        """Stages, each with a classifier; at least two."""
        return len(self.points[0]) + 1

    def channels(self, resolution: int, count: int) -> tuple[range, ...]:
        """Which of `count` channels each stage has there."""
        ends = (0, *self.points[resolution], self.groups)
        size = count // self.groups
        return tuple(range(a * size, b * size) for a, b in pairwise(ends))

    def sources(self, resolution: int, stage: int) -> tuple[int, ...]:
        """The stages whose maps of that resolution the layers of `stage` read, its own last."""
        pairs = zip(combinations(range(self.stages), 2), self.reuse[resolution], strict=True)
        return (*(i for (i, j), reused in pairs if j == stage and reused), stage)

    def check_resolutions(self, count: int) -> None:
        """Raise ConfigError unless the plan is for so many resolutions."""
        if count != len(self.points):
            raise ConfigError(
                f"a split of {len(self.points)} resolutions for {count}",
                "one row of split points for each stage width",
            )

    def check_channels(self, widths: Sequence[int]) -> None:
        """Raise ConfigError unless layers of so many channels have equal groups."""
        if odd := [width for width in widths if width % self.groups]:
            raise ConfigError(
                f"{odd[0]} channels cannot be cut into {self.groups} equal groups",
                "choose other widths or a split of fewer groups",
            )

    def __str__(self) -> str:
        rows = zip(self.points, self.reuse, strict=True)
        texts = [
            f"{','.join(map(str, points))}/{''.join(str(int(bit)) for bit in bits)}"
            for points, bits in rows
        ]
        return f"{self.groups}: {' '.join(texts)}"


def parse_split(text: str) -> SplitPlan:
    """The plan of "8: 3,5/110 3,5/111 2,6/101", as `str` writes it.  Raises ConfigError."""
    head, _, tail = text.partition(":")
    rows = [re.fullmatch(r"(\d+(?:,\d+)*)/([01]+)", row) for row in tail.split()]
    if not head.strip().isdigit() or not rows or None in rows:
        raise ConfigError(f"split '{text}'", FORM)
    found = [row for row in rows if row is not None]
    return SplitPlan(
        groups=int(head),
        points=tuple(tuple(int(part) for part in row[1].split(",")) for row in found),
        reuse=tuple(tuple(bit == "1" for bit in row[2]) for row in found),
    )


def plain_split(resolutions: int, stages: int = STAGES, groups: int = GROUPS) -> SplitPlan:
    """Stages of about the same width that read everything before them: the search's reference."""
    points = tuple(round(groups * stage / stages) for stage in range(1, stages))
    bits = (True,) * (stages * (stages - 1) // 2)
    return SplitPlan(points=(points,) * resolutions, reuse=(bits,) * resolutions, groups=groups)
