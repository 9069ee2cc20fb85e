"""No run of the regression workload takes other cycles than the recorded ones."""

from tests.quality.cycles import differences, measured, stored


def test_no_cycle_differs() -> None:
    """After a wanted change: `python -m tests.quality.cycles`, and say the cycles in the commit."""
    assert differences(stored(), measured()) == []


def test_a_difference_is_a_line() -> None:
    before, after = {"a": [10, 1], "b": [20, 2], "c": [30, 3]}, {"a": [10, 1], "b": [21, 2]}
    assert differences(before, after) == ["b: 20 -> 21 cycles", "c: 30 -> - cycles"]
    assert differences(before, before | {"a": [10, 9]}) == ["a: 10 -> 10 cycles"]
