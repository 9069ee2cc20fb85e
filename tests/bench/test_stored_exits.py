"""The stored figures of early exits (bench/results/exits), against what they have to reach."""

import json
from typing import Any

import pytest

from penstock.bench.exits import STORE
from penstock.model.zoo import zoo_names

RESULTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(STORE.glob("*.json"))
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_byte_agrees(name: str) -> None:
    assert RESULTS[name]["images"] >= 100
    assert set(RESULTS[name]["mismatches"]) == {"csim", "rtl"}
    assert not any(RESULTS[name]["mismatches"].values())


@pytest.mark.parametrize("name", sorted(set(RESULTS) & set(zoo_names())))
def test_exits_are_worth_their_cycles(name: str) -> None:
    """MACs left out are cycles left out, and an image that takes no exit pays little for them."""
    result = RESULTS[name]
    assert result["network_realisation"] >= 0.90
    assert 0 <= result["untaken_cycles"] <= 0.01 * result["cycles"]["static"]
