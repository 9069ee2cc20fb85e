"""What the walk over a traced graph knows of each value: its place, its grid, its sign."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from torch import fx

#: stored: 8 bits on a grid.  accumulator: 32 bits, not requantised yet.  score: of a gate.
Place = Literal["stored", "accumulator", "score"]


class Group:
    """Things that must be equal, merged as the walk finds out; `root` stands for all.

    `signed`, of the root: whether any of its tensors may be below 0.
    """

    def __init__(self) -> None:
        self._parent: Group | None = None
        self.signed = False

    @property
    def root(self) -> Group:
        """The same object for all that were merged."""
        found = self
        while found._parent is not None:
            found = found._parent
        return found

    def merge(self, other: Group) -> None:
        """Make both one."""
        mine, theirs = self.root, other.root
        if mine is not theirs:
            theirs._parent = mine
            mine.signed |= theirs.signed


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The number format of a stored tensor: its scale, and whether it is int8 or uint8."""

    scale: Group = field(default_factory=Group)
    sign: Group = field(default_factory=Group)

    def beside(self) -> Grid:
        """The same scale with a sign of its own, as a residual operand has."""
        return Grid(scale=self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Value:
    """A value of the new graph.

    Attributes:
        node: what computes it.
        label: path of the layer that it comes from, in the module that was traced.
        place: see `Place`.
        grid: of a stored value; of an accumulator the one that it will be stored on, if something
            demands one already (a residual sum has its operand's).
        negative: whether it may be below 0.
        branch: an accumulator that a block's score has scaled.
        summed: an accumulator that already has its residual operand.
    """

    node: fx.Node
    place: Place
    label: str = ""
    grid: Grid | None = None
    negative: bool = True
    branch: bool = False
    summed: bool = False

    def at(self, node: fx.Node, **changes: object) -> Value:
        """The value that `node` makes of this one."""
        return replace(self, node=node, **changes)  # type: ignore[arg-type]

    def at_sign(self, negative: bool) -> Value:
        """The same, known to be below 0 or not."""
        return replace(self, negative=negative)
