"""The demo's figures: definitions of design section 10, on numbers worked out by hand."""

from typing import Any

import pytest

from penstock.bench.demo_report import KEYS, rows
from penstock.bench.figures import ratios

REPORT: dict[str, Any] = {
    "network": "lcnet-resnet8",
    "dataset": "digits",
    "images": 360,
    "accuracy": {"float": 0.99, "qat": 0.985, "integer": 0.98},
    "engines": {
        "golden": {"images": 360, "mismatches": 0},
        "csim": {"images": 360, "mismatches": 0},
        "rtl": {"images": 360, "mismatches": 0},
    },
    "macs": {"dense": 1000.0, "executed": 250.0, "gates": 10.0},
    "cycles": {
        "dense": 100.0,
        "dynamic": 50.0,
        "predicted_dense": 99.0,
        "predicted_dynamic": 51.0,
    },
    "weight_bytes": {"dense": 400.0, "fetched": 110.0, "survivors": 90.0},
    "utilisation": 0.625,
    "realisation_ratio": 0.5,
    "fetch_ratio": 1.1,
    "seconds": 100.0,
}


def test_ratios_by_hand() -> None:
    result = ratios(
        macs={"dense": 1000, "executed": 250},
        cycles={"dense": 100, "dynamic": 50},
        weight_bytes={"dense": 400, "fetched": 110, "survivors": 90},
        dense_weights=360,
        pes=16,
    )
    assert result["utilisation"] == 1000 / (100 * 16)
    assert result["realisation_ratio"] == 2 / 4
    assert result["fetch_ratio"] == pytest.approx((110 / 400) / (90 / 360))


def test_report_keys_are_those_of_the_table() -> None:
    assert set(REPORT) == set(KEYS)
    text = "\n".join(" | ".join(row) for row in rows(REPORT, 80))
    assert "2.00 x faster" in text
    assert "250 (25.0%)" in text
    assert "bytes that differ, HLS core | 0" in text
    milliseconds = (
        "ms an image at 80 MHz, every gate open / gates decide | 0.001 / 0.001 | estimate"
    )
    assert milliseconds in text
    without = REPORT | {"engines": {name: REPORT["engines"][name] for name in ("golden", "rtl")}}
    assert len(rows(without, 80)) == len(rows(REPORT, 80)) - 1


def test_no_figure_claims_a_board() -> None:
    sources = {source for _, _, source in rows(REPORT, 80)}
    assert sources <= {
        "",
        "PyTorch",
        "network",
        "gate scores",
        "estimate",
        "rtl-sim",
        "rtl-sim against golden",
        "csim against golden",
    }
