"""A fixed slice of `make fuzz ONNX=...`: random ONNX graphs against onnxruntime."""

import pytest

from tests.fuzz.onnx.metamorphic import differences
from tests.fuzz.onnx.run import fuzz_onnx

QDQ = range(120)
RANGES = range(60)
FLOAT = range(90)
UNCHANGED = range(10)
#: Share of a slice that must be accepted, or it tests refusals alone.
ACCEPTED = 0.4


@pytest.mark.parametrize("family, seeds", [("qdq", QDQ), ("ranges", RANGES), ("float", FLOAT)])
def test_graphs_compute_what_onnxruntime_does(family: str, seeds: range) -> None:
    figures = fuzz_onnx(family, seeds, jobs=1)
    print(figures)
    assert figures["failures"] == []
    assert figures["accepted"] >= ACCEPTED


@pytest.mark.parametrize("seed", UNCHANGED)
@pytest.mark.parametrize("quantized", [True, False])
def test_names_order_operator_set_and_units_change_nothing(seed: int, quantized: bool) -> None:
    found, made = differences(seed, quantized)
    assert made >= 3 and not found
