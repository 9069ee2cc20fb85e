"""IADI, as far as the ACS paper tells (section 3.1): a channel gate with one convolution.

Like ACS-GN it reads the input of the convolution that it masks.  Its width and stride are this
project's choice; a pool before it would have to see every channel of a masked map.
"""

from __future__ import annotations

from penstock.model.gates.families.acs import width
from penstock.model.gates.plan import GatePlan, gate_plan
from penstock.model.plans.layers import ConvPlan


def gate(name: str, conv: ConvPlan, in_size: tuple[int, int]) -> GatePlan:
    """The gate of one convolution, whose input has `in_size`."""
    rows = ((3, width(conv), 2),)
    return gate_plan(name, conv.in_channels, in_size, rows, conv.channels)
