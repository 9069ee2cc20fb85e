"""The tables of other systems; NNgen itself is measured by `make bench-peers` alone."""

import ast
from pathlib import Path

from penstock.bench.peers.published import PUBLISHED
from penstock.bench.peers.run import SCRIPT
from penstock.bench.peers.tables import measured_table, own_rows, published_table

NNGEN = {"network": "resnet20", "latency": 40, "multipliers": 144}
ROW = {
    "network": "resnet20",
    "config": "z7020",
    "schedule": "sequential",
    "split": True,
    "keep": 1.0,
    "blocks_skipped": 0.0,
    "cycles": 327567.4,
    "utilisation": 0.9734,
}


def test_own_rows_are_dense_or_half() -> None:
    others = [
        {**ROW, "split": False},
        {**ROW, "keep": 0.7},
        {**ROW, "network": "resnet18"},
        {**ROW, "blocks_skipped": 1 / 3},
    ]
    assert own_rows([ROW, *others]) == [{**ROW, "multipliers": 128}]


def test_tables() -> None:
    rows = [{**NNGEN, "cycles": 446633, "utilisation": 0.6346}]
    table = measured_table(own_rows([ROW]), rows).splitlines()
    nngen = "| ResNet-20, dense | NNgen 1.3.4, memory latency 40 | 144 | 446,633 | 0.635 |"
    assert table[2:] == [nngen, "| ResNet-20, dense | Penstock z7020 | 128 | 327,567 | 0.973 |"]
    published = published_table().splitlines()
    assert "*published*" in published[0]
    assert len(published) == 2 + len(PUBLISHED)
    assert all(entry.source for entry in PUBLISHED)


def test_the_script_for_nngen_stands_alone() -> None:
    for node in ast.walk(ast.parse(Path(SCRIPT).read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("penstock")
