"""The geometry of a gate that is a network of its own: from a map to scores.

    [2x2 max-pool] -> (convolution, batch norm, ReLU [, squeeze-and-excite]) x n -> global average
    [-> fully connected, ReLU] -> fully connected -> score

The families of `penstock.model.gates.families` differ in which map their gates read, in the
convolutions, and in what the scores decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.model.plans.layers import ConvPlan, halved

Row = tuple[int, int, int]  # kernel, channels, stride


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """One gate network; names as in the exported graph."""

    name: str
    halve: bool  # a 2x2 max-pool of stride 2 comes first
    in_channels: int  # of the map that it reads
    convs: tuple[ConvPlan, ...]  # none: it reads the map's average
    outputs: int  # scores
    squeeze: int = 0  # the convolution, from 1, that squeeze-and-excite is behind; 0: there is none
    hidden: int = 0  # outputs of a fully connected layer with a ReLU before the last; 0: none

    @property
    def pooled(self) -> int:
        """Channels of the global average."""
        return self.convs[-1].channels if self.convs else self.in_channels


def gate_plan(
    name: str,
    in_channels: int,
    in_size: tuple[int, int],
    rows: tuple[Row, ...],
    outputs: int,
    *,
    halve: bool = False,
    grouping: frozenset[int] = frozenset(),
    squeeze: int = 0,
    hidden: int = 0,
) -> GatePlan:
    """A gate network on a map; one that is a single row or column is not halved.

    `grouping`: the convolutions, from 1, whose groups are learned.  `squeeze`, `hidden` as in
    `GatePlan`.
    """
    halve = halve and min(in_size) > 1
    size = (in_size[0] // 2, in_size[1] // 2) if halve else in_size
    convs: list[ConvPlan] = []
    source = in_channels
    for number, (kernel, channels, stride) in enumerate(rows, start=1):
        size = halved(size, stride)
        convs.append(
            ConvPlan(
                name=f"{name}.conv{number}",
                in_channels=source,
                channels=channels,
                kernel=kernel,
                stride=stride,
                out_size=size,
                grouping=number in grouping,
            )
        )
        source = channels
    return GatePlan(
        name=name,
        halve=halve,
        in_channels=in_channels,
        convs=tuple(convs),
        outputs=outputs,
        squeeze=squeeze,
        hidden=hidden,
    )
