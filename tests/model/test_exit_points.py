"""Thresholds of networks whose exits have costs: reward, tolerance, sweep, figures of each exit."""

import pytest
import torch

from penstock.model.train.early_exit import ExitLogits
from penstock.model.train.exit_points import GRID, NEVER, ExitTable

COSTS = [100, 300, 1000]


def table() -> ExitTable:
    """Five images; exit 0 is right about the first three, exit 1 about four, the end about all.

    Confidences fall from image to image, so that thresholds part them.
    """
    labels = torch.tensor([0, 0, 0, 0, 1])
    first = torch.tensor([[9.0, 0], [4, 0], [1.2, 0], [0, 0.5], [0.3, 0]])
    second = torch.tensor([[9.0, 0], [5, 0], [3, 0], [2, 0], [0.4, 0]])
    last = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1]])
    return ExitTable(ExitLogits(logits=[first, second, last], labels=labels), COSTS)


def test_figures_agree_with_the_exits() -> None:
    found = table()
    for thresholds in ([0.9, 0.9], [0.5, NEVER], [NEVER, 0.5], [NEVER, NEVER], [0.3, 0.3]):
        accuracy, macs = found.figures(thresholds)
        taken = found.found.taken(thresholds)
        assert accuracy == found.found.accuracy(thresholds)
        assert macs == pytest.approx(sum(COSTS[exit_] for exit_ in taken.tolist()) / 5)


def test_point() -> None:
    point = table().point([0.7, 0.8])
    assert point.shares == [0.6, 0.2, 0.2]
    assert point.accuracies == [1.0, 1.0, 1.0] and point.accuracy == 1.0
    assert point.macs == pytest.approx(0.6 * 100 + 0.2 * 300 + 0.2 * 1000)
    assert point.reward(1000, -0.5) == pytest.approx((point.macs / 1000) ** -0.5)
    assert table().point([0.3, 0.3]).accuracies == [0.6, None, None]


def test_choices_by_reward_and_tolerance() -> None:
    found = table()
    exact = found.cheapest(0.0)
    assert exact.accuracy == 1.0 and exact.shares == [0.6, 0.2, 0.2]
    assert found.cheapest(0.2).shares == [0.6, 0.4, 0.0]  # cheaper, and wrong about one
    assert found.best(1000, 0.0).accuracy == 1.0  # cost does not count
    assert found.best(1000, -9.0).shares == [1.0, 0.0, 0.0]  # nothing else counts
    best = found.best(1000)
    tried = [found.point((a, b)).reward(1000) for a in GRID[::5] for b in GRID[::5]]
    assert best.reward(1000) >= max(tried)


def test_margin_asks_for_more_than_a_tie() -> None:
    """An exit that is wrong about one image and right about another: as good, but by chance."""
    labels = torch.zeros(50, dtype=torch.int64)
    early, last = torch.tensor([[3.0, 0]] * 50), torch.tensor([[1.0, 0]] * 50)
    early[0], last[1] = torch.tensor([0, 2.0]), torch.tensor([0, 1.0])
    found = ExitTable(ExitLogits(logits=[early, last], labels=labels), [1, 10])
    assert found.cheapest(0.0).shares == [1.0, 0.0]
    careful = found.cheapest(0.0, margin=1.0)  # of the two only the image that is gained may end
    assert careful.thresholds[0] > 0.88 and careful.shares == [0.98, 0.02]
    assert found.cheapest(0.03, margin=1.0).shares == [1.0, 0.0]


def test_sweep_is_a_front() -> None:
    front = table().sweep()
    assert [point.accuracy for point in front] == [0.6, 0.8, 1.0]
    macs = [point.macs for point in front]
    assert macs == sorted(macs) and macs[0] == 100 and len(set(macs)) == 3
    assert front[-1].macs == table().cheapest(0.0).macs


def test_more_exits_than_a_grid_can_hold() -> None:
    logits = [torch.tensor([[float(n), 0.0], [0.0, 1.0]]) for n in (1, 2, 3, 4)]
    found = ExitTable(ExitLogits(logits=logits, labels=torch.tensor([0, 1])), [1, 2, 3, 4])
    assert len(found.choices()) == len(GRID) ** 2
    assert found.cheapest(0.0).macs == 1.0
