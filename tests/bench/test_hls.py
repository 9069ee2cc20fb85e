"""The table of the HLS core's cycle model."""

import dataclasses

from penstock.bench.hls import Row, hls_cases, hls_table
from penstock.bench.rows.cases import Case
from penstock.bench.rows.networks import TRAINED


def row(masks: str, rtl: float, hls: float) -> Row:
    return Row(network="n", masks=masks, rtl=rtl, hls=hls, differ=0, counters={})


def test_table() -> None:
    lines = hls_table([row("dense", 1000, 1050), row("keep 0.5", 500, 550)]).splitlines()
    assert lines[2] == "| n | dense | 1,000 | 1,050 | 1.050 | 1.00 | 1.00 |"
    assert lines[3] == "| n | keep 0.5 | 500 | 550 | 1.100 | 2.00 | 1.91 |"


def test_the_dense_row_comes_first() -> None:
    for network in ("resnet20", TRAINED):
        cases = list(hls_cases(network, "z7020"))
        assert cases[0].is_dense
        assert [case.is_dense for case in cases[1:]] == [False] * len(cases[1:])
        assert all(isinstance(case, Case) and dataclasses.astuple(case) for case in cases)
