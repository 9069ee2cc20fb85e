"""Names of kinds, and what a row says a kind loses its cycles to."""

import pytest

from penstock.bench.rows.layers import LOST, Kind, kind_of
from penstock.bench.tables.static import layer_table
from penstock.program.core.descriptor import Op


@pytest.mark.parametrize(
    ("op", "name", "kind"),
    [
        (Op.CONV, "stage1.block0.expand[0:72]", "stage1 expand"),
        (Op.CONV, "stage1.block0.depthwise", "stage1 depthwise"),
        (Op.COPY, "stage2.block0.expand.quantize_output.polyphase[0:72]", "stage2 to polyphase"),
        (Op.COPY, "decoder.up", "decoder interleave"),
        (Op.POOL, "stage0.conv2.pool", "stage0 pool"),
        (Op.CONV, "stage0.conv2", "stage0 conv"),
        (Op.LOAD, "load", "load"),
        (Op.STORE, "store result", "store result"),
    ],
)
def test_kinds(op: Op, name: str, kind: str) -> None:
    assert kind_of(op, name) == kind


def test_a_row() -> None:
    """Two layers of 800 cycles in which 128 multipliers do 64,000 MACs, 600 of them at work."""
    kind = Kind(name="a")
    counters = dict.fromkeys(LOST, 0.0) | {"cycles": 800.0, "mac": 600.0, "weight_wait": 200.0}
    for _ in range(2):
        kind.add(64_000.0, counters)
    nothing = Kind(name="b", counters=dict.fromkeys(("cycles", "mac", *LOST), 0.0))
    kinds = [row.figures(128) for row in (kind, nothing)]
    assert layer_table("net", {"config": "z7020", "kinds": kinds}).splitlines()[2:] == [
        "| a | 128,000 | 1,600 | 0.625 | weights 25%, idle lanes 12% |",
        "| b | 0 | 0 |  |  |",
    ]
