"""The table of MLPerf Tiny's networks, of figures made up."""

from typing import Any

from penstock.bench.tables.mlperf import lines

RAN: dict[str, Any] = {
    "cycles": 1000.0,
    "predicted": 1010.0,
    "macs": 5000,
    "weight_bytes": 80.0,
    "read_bytes": 90.0,
    "images": 2,
    "at_once": 1,
    "mismatches": {"rtl": 0},
    "host": [],
}
REFUSED = {"refused": "net.onnx (z7020): too large; take another core"}


def test_what_is_refused_has_a_row_with_the_reason() -> None:
    others = {"z7020x2": {"ic_float": RAN, "ic_float_4": REFUSED}}
    stored = {
        "config": "z7020",
        "board": "pynq-z2",
        "networks": {"ic_float": RAN, "ad_int8": REFUSED},
        "others": others,
    }
    rows = [line for line in lines(stored) if line.startswith("|")]
    assert rows[2].startswith("| image classification, ResNet-8, float | 5,000 | 1,000 | +1.00% |")
    assert rows[3].startswith("| anomaly detection, autoencoder, int8 | refused: too large |")
    assert "on `z7020x2` at 125 MHz | 5,000 |" in rows[4]
    assert "at 125 MHz, 4 images a run | refused: too large |" in rows[5]
    assert len({row.count("|") for row in rows[:6]}) == 1
