"""ACS-GN (Zou et al.: adaptive channel skipping, section 3.1): every 3x3 has a channel gate.

The gate reads what its convolution reads, that is what the layer before it put out, and masks the
convolution's output channels: 1x1 bottleneck, 3x3 with stride 2, 3x3, average, fully connected,
sigmoid > 1/2.  The mask of the block's last convolution is on the residual branch, where a masked
channel is the shortcut's; a block that changes the shape has none there, for the core could not
skip it.
"""

from __future__ import annotations

from penstock.model.gate_plan import GatePlan, gate_plan
from penstock.model.geometry import ConvPlan

SQUEEZE = 4  # input channels for each of the bottleneck's


def gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The gate of one convolution, whose input has `in_size`."""
    inner = max(conv.in_channels // SQUEEZE, 1)
    rows = ((1, inner, 1), (3, inner, 2), (3, inner, 1))
    return gate_plan(name, conv.in_channels, in_size, rows, conv.channels)
