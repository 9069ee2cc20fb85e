"""The Programs of recipes and zoo are the pinned ones, byte for byte."""

import json

import pytest
import torch

from tests.model.pinned import PINNED, cases, filled, pin, recipe_names, recipe_network

STORED = json.loads(PINNED.read_text())


def distinct() -> list[str]:
    """One name of each pinned network: several recipes train the same one."""
    by_config = {repr(recipe_network(name)): f"recipe {name}" for name in recipe_names()}
    return [*by_config.values(), *(name for name in cases() if name.startswith("zoo "))]


@pytest.mark.parametrize("name", distinct())
def test_program_is_the_pinned_one(name: str) -> None:
    assert pin(cases()[name]()) == STORED[name], "wanted? python -m tests.model.pinned --write"


def test_every_network_is_pinned() -> None:
    assert sorted(STORED) == sorted(cases())


def test_filling_goes_by_name_alone() -> None:
    like = torch.zeros(3, 4, 1, 1)
    assert torch.equal(filled("a.weight", like), filled("a.weight", like + 1))
    assert not torch.equal(filled("a.weight", like), filled("b.weight", like))
