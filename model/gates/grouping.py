"""Dynamic grouping convolution of ACS-DG (Zou et al., section 3.2): learned groups.

The convolution's weights are masked by a C x C matrix, the Kronecker product of K = log2(C)
matrices of 2 x 2, each the identity or all ones (equations 3 and 4).  A factor is one bit of the
channel's number, the first the most significant: where it is the identity, inputs and outputs must
agree in that bit.  So the identities' bits number the groups and the others the channels in one,
and after a permutation of channels the convolution is an ordinary grouped one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.model.errors import ConfigError

# Every factor starts all ones, a dense convolution, near enough to 0 to change its sign.
OPEN = 0.1


class GroupingConv(nn.Conv2d):
    """A convolution without bias whose groups are learned: in training form, a masked dense one.

    `relations`: float [K], g-hat of the paper; factor k is all ones where it is >= 0.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        if channels & (channels - 1):
            raise ConfigError(
                f"{channels} channels cannot be grouped by bits", "use a power of two"
            )
        super().__init__(channels, channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.relations = nn.Parameter(torch.full((channels.bit_length() - 1,), OPEN))

    def gates(self) -> Tensor:
        """Float [K]: 1 where a factor is all ones, 0 the identity; gradients straight through."""
        hard = (self.relations >= 0).to(self.relations.dtype)
        return hard + (self.relations - self.relations.detach())

    def relationship(self) -> Tensor:
        """The matrix M, float [C, C] of 0 and 1 (equation 3)."""
        mask = self.weight.new_ones(1, 1)
        one, identity = self.weight.new_ones(2, 2), torch.eye(2).to(self.weight)
        for gate in self.gates():
            mask = torch.kron(mask, gate * one + (1 - gate) * identity)
        return mask

    def live_share(self) -> Tensor:
        """Live links 2^(K + sum of the gates) over those of a dense one, a scalar."""
        return ((1 + self.gates()) / 2).prod()

    def forward(self, x: Tensor) -> Tensor:
        """Float [N, C, H, W] -> float [N, C, H', W']."""
        weight = self.weight * self.relationship()[:, :, None, None]
        return F.conv2d(x, weight, None, self.stride, self.padding)

    @property
    def identities(self) -> list[int]:
        """The factors that are the identity, in order."""
        return [k for k, value in enumerate(self.relations.tolist()) if value < 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledLayer:
    """A convolution and its batch norm as exported: plain or in groups.

    `order`: the convolution's input i is channel order[i] of the map before it; empty: as it is.
    `lies`: channel i of its own map is channel lies[i] of the masked chain's; empty: as it is.
    """

    conv: nn.Conv2d
    bn: nn.BatchNorm2d
    order: tuple[int, ...] = ()
    lies: tuple[int, ...] = ()


@torch.no_grad()
def settle(
    layers: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], fc: nn.Linear
) -> tuple[list[SettledLayer], nn.Linear]:
    """A chain of convolutions and the dense layer on its average, with plain groups.

    Computes what the masked chain computes.  Each map's channels are ordered so that its producer's
    groups and its reader's follow one another; where that is impossible the reader has an `order`.
    """
    before, after = _orders([conv for conv, _ in layers])
    settled: list[SettledLayer] = []
    there = list(range(layers[0][0].in_channels))  # channels of the map, as they lie
    for (conv, bn), reads, writes in zip(layers, before, after, strict=True):
        inputs = there if reads is None else reads
        outputs = list(range(conv.out_channels)) if writes is None else writes
        order = [there.index(channel) for channel in inputs]
        kept = tuple(order) if order != sorted(order) else ()
        settled.append(
            SettledLayer(
                conv=_permuted(conv, inputs, outputs),
                bn=_permuted_norm(bn, outputs),
                order=kept,
                lies=tuple(outputs),
            )
        )
        there = outputs
    dense = nn.Linear(fc.in_features, fc.out_features)
    dense.weight.copy_(fc.weight[:, there])
    dense.bias.copy_(fc.bias)
    return settled, dense


def settled_groups(conv: nn.Conv2d) -> int:
    """Groups of a gate's convolution as exported."""
    return 2 ** len(conv.identities) if isinstance(conv, GroupingConv) else 1


def _orders(convs: Sequence[nn.Conv2d]) -> tuple[list[list[int] | None], list[list[int] | None]]:
    """The channels each convolution reads and writes in order; None: as they are numbered."""
    reads: list[list[int] | None] = [None] * len(convs)
    writes: list[list[int] | None] = [None] * len(convs)
    for index, conv in enumerate(convs):
        if not isinstance(conv, GroupingConv):
            continue
        following = convs[index + 1] if index + 1 < len(convs) else None
        own = conv.identities
        inside = reads[index]
        outside = inside or own + _others(own, conv)
        if isinstance(following, GroupingConv):
            outside, reads[index + 1] = _between(own, following)
        # The groups are in one order on both sides.
        inside = inside or outside
        outside = inside[: len(own)] + [bit for bit in outside if bit not in own]
        reads[index], writes[index] = inside, outside
        before = convs[index - 1] if index else None
        if before is not None and not isinstance(before, GroupingConv):
            writes[index - 1] = inside
    return [_numbers(bits) for bits in reads], [_numbers(bits) for bits in writes]


def _others(bits: list[int], conv: GroupingConv) -> list[int]:
    return [bit for bit in range(len(conv.relations)) if bit not in bits]


def _between(own: list[int], reader: GroupingConv) -> tuple[list[int], list[int]]:
    """Bits, most significant first, of a map between two grouping convolutions: of the map as it
    lies, and as the second one reads it.

    `own`: the first one's identities.  If either's groups consist of the other's, both orders are
    the same.  Otherwise the channels of a group of the reader lie at equal distances.
    """
    theirs = reader.identities
    both = [bit for bit in own if bit in theirs]
    mine, readers = ([b for b in bits if b not in both] for bits in (own, theirs))
    neither = [bit for bit in _others(own, reader) if bit not in theirs]
    if not mine or not readers:
        bits = both + mine + readers + neither
        return bits, bits
    return both + mine + neither + readers, both + readers + mine + neither


def _numbers(bits: list[int] | None) -> list[int] | None:
    """The channels in the order in which their bits, most significant first, count up."""
    if bits is None:
        return None
    channels = [0]
    for bit in bits:
        weight = 1 << (len(bits) - 1 - bit)
        channels = [channel + digit * weight for channel in channels for digit in (0, 1)]
    return channels


def _permuted(conv: nn.Conv2d, inputs: list[int], outputs: list[int]) -> nn.Conv2d:
    """The convolution on reordered channels; a grouping one with its groups alone."""
    groups = settled_groups(conv)
    weight = conv.weight[outputs][:, inputs]
    blocks = torch.stack(weight.chunk(groups)).chunk(groups, dim=2)  # [groups, O / g, I / g, K, K]
    weight = torch.cat([block[group] for group, block in enumerate(blocks)])
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        stride=conv.stride[0],
        padding=int(conv.padding[0]),
        groups=groups,
        bias=False,
    )
    plain.weight.copy_(weight)
    return plain


def _permuted_norm(bn: nn.BatchNorm2d, outputs: list[int]) -> nn.BatchNorm2d:
    """The batch norm of reordered channels."""
    copy = nn.BatchNorm2d(bn.num_features, eps=bn.eps)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(copy, name).copy_(getattr(bn, name)[outputs])
    return copy.eval()
