"""ACS-GN (Zou et al.: adaptive channel skipping, section 3.1): every 3x3 has a channel gate.

The gate reads what its convolution reads, that is what the layer before it put out, and masks the
convolution's output channels: 1x1 bottleneck, 3x3 with stride 2, 3x3, average, fully connected,
sigmoid > 1/2.  The mask of the block's last convolution is on the residual branch, where a masked
channel is the shortcut's; a block that changes the shape has none there, for the core could not
skip it.  A DenseNet's layer has one gate: it reads what the whole layer reads, normalised, and
masks the maps that the layer adds.

ACS-DG (section 3.2) learns the groups of both 3x3, and may have the paper's squeeze-and-excite
block between them.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.plans.layers import ConvPlan

SQUEEZE = 4  # channels of the input, or fewer masked ones, for each of the bottleneck's


def width(conv: ConvPlan) -> int:
    """Channels of a convolution's gate: a quarter of what it reads, or masks if those are fewer."""
    return max(min(conv.in_channels, conv.channels) // SQUEEZE, 1)


def gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The gate of one convolution, whose input has `in_size`."""
    return _gate(name, conv, in_size, width(conv), frozenset())


def grouping_gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The same with learned groups, which take a power of two of channels."""
    inner = 1 << width(conv).bit_length() - 1
    return _gate(name, conv, in_size, inner, frozenset((2, 3)))


def excited_gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The same with squeeze-and-excite between the two (figure 2e of the paper)."""
    return replace(grouping_gate(name, conv, in_size), squeeze=2)


def _gate(
    name: str, conv: ConvPlan, in_size: tuple[int, int], inner: int, grouping: frozenset[int]
) -> GatePlan:
    rows = ((1, inner, 1), (3, inner, 2), (3, inner, 1))
    return gate_plan(name, conv.in_channels, in_size, rows, conv.channels, grouping=grouping)
