"""The search for a split plan: legal plans, a policy that learns, runs that repeat themselves."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from penstock.model.errors import ConfigError, DataError
from penstock.model.plans.split import parse_split
from penstock.model.search import run as search_module
from penstock.model.search.candidate import Score, Trial, try_plan
from penstock.model.search.policy import PlanSpace, Policy, Ppo
from penstock.model.search.run import SearchConfig, best_score, search

TINY = Trial(
    network="resnet8", dataset="digits", widths=(8, 8, 8), steps=2, batch_size=16, images=40
)


@pytest.mark.parametrize(("stages", "groups"), [(3, 8), (2, 4), (5, 8), (3, 3)])
def test_policy_writes_legal_plans(stages: int, groups: int) -> None:
    """All of them, and not always the same: SplitPlan itself refuses others."""
    space = PlanSpace(resolutions=3, stages=stages, groups=groups)
    torch.manual_seed(0)
    actions = Policy(space).sample(60, torch.Generator().manual_seed(1))
    assert actions.shape == (60, space.decisions)
    plans = [space.plan(row) for row in actions.tolist()]
    assert all(parse_split(str(plan)) == plan for plan in plans)
    assert all((plan.stages, plan.groups) == (stages, groups) for plan in plans)
    assert len(set(plans)) > 40
    if groups > stages:
        used = {plan.points[2] for plan in plans}
        assert len(used) >= min(6, groups - 1)


def test_likelihood_is_that_of_the_samples() -> None:
    """Frequencies of the plans of a small space against their probabilities."""
    space = PlanSpace(resolutions=1, stages=2, groups=3)
    torch.manual_seed(0)
    policy = Policy(space)
    with torch.no_grad():
        policy.point.bias.copy_(torch.tensor([0.0, 1.0, -0.5]))
    everything = torch.tensor([[point, bit] for point in (1, 2) for bit in (0, 1)])
    logs, entropy = policy.likelihood(everything)
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert 0 < float(entropy) < 0.7
    drawn = policy.sample(8000, torch.Generator().manual_seed(2))
    for row, log in zip(everything, logs.exp().tolist(), strict=True):
        share = float((drawn == row).all(dim=1).double().mean())
        assert share == pytest.approx(log, abs=0.02)


def test_ppo_finds_what_is_rewarded() -> None:
    """Rewards for wide first stages and no reuse: the policy comes to write such plans."""
    space = PlanSpace(resolutions=2, stages=3, groups=8)
    torch.manual_seed(0)
    policy = Policy(space)
    ppo, generator = Ppo(policy), torch.Generator().manual_seed(3)

    def worth(row: list[int]) -> float:
        plan = space.plan(row)
        return sum(points[0] for points in plan.points) - sum(map(sum, plan.reuse))

    means, rewards = [], torch.empty(0)
    for _ in range(40):
        actions = policy.sample(8, generator)
        batch = torch.tensor([worth(row) for row in actions.tolist()], dtype=torch.float32)
        rewards = torch.cat([rewards, batch])
        ppo.update(actions, batch, rewards[-32:])
        means.append(float(batch.mean()))
    assert sum(means[-5:]) / 5 > sum(means[:5]) / 5 + 5


def test_clipping_bounds_a_step() -> None:
    """A ratio far outside the clip gives no gradient in the direction that it already went."""
    space = PlanSpace(resolutions=1, stages=2, groups=3)
    torch.manual_seed(0)
    policy = Policy(space)
    actions = torch.tensor([[1, 1]] * 4 + [[2, 0]] * 4)
    rewards = torch.tensor([1.0] * 4 + [0.0] * 4)
    first = float(policy.likelihood(actions[:1])[0])
    Ppo(policy).update(actions, rewards, rewards)
    moved = float(policy.likelihood(actions[:1])[0]) - first
    assert 0 < moved < 0.8  # four unclipped steps of Adam go further than e^0.2 by much


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Plans in the order of their trials; a trial is a formula instead of a training."""
    order: list[str] = []

    def formula(trial: Trial, split: str) -> Score:
        order.append(split)
        plan = parse_split(split)
        ratio = sum(points[-1] for points in plan.points) / 12
        return Score(
            split=split,
            reward=1 - ratio / 2,
            accuracy=1.0,
            mac_ratio=ratio,
            thresholds=[0.5],
            shares=[1.0, 0.0],
            stage_ratios=[ratio, 1.0],
            last_accuracy=1.0,
        )

    monkeypatch.setattr(search_module, "try_plan", formula)
    return order


def small(folder: Path, **changes: object) -> SearchConfig:
    config = SearchConfig(
        trial=TINY, candidates=24, batch=4, stages=2, groups=4, out=folder / "best.json", quiet=True
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def test_plans_are_tried_once(tmp_path: Path, tried: list[str]) -> None:
    """Repeats are cached; the best of all is the result, the log has every plan."""
    result = search(small(tmp_path, candidates=200))
    assert len(result.tried) == 200 and len(tried) == len(set(tried)) < 200
    assert result.best.reward == max(score.reward for score in result.tried)
    lines = [json.loads(line) for line in (tmp_path / "best.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines] == [score.split for score in result.tried]
    written = json.loads((tmp_path / "best.json").read_text())
    assert written["split"] == result.best.split and written["candidates"] == 200
    late = [score.reward for score in result.tried[-40:]]
    assert sum(late) / 40 > sum(score.reward for score in result.tried[:40]) / 40


def test_bound_on_the_best(tmp_path: Path, tried: list[str]) -> None:
    """The best reward is the least ratio here; a bound below all leaves the cheapest."""
    scores = search(small(tmp_path)).tried
    dear = [replace(score, reward=score.mac_ratio) for score in scores]  # now the other way round
    assert best_score(dear).mac_ratio == max(score.mac_ratio for score in scores)
    bound = sorted(score.mac_ratio for score in scores)[len(scores) // 2]
    assert best_score(dear, bound).mac_ratio == bound
    assert best_score(dear, 0.01).mac_ratio == min(score.mac_ratio for score in scores)


def test_resumed_search_is_the_uninterrupted_one(tmp_path: Path, tried: list[str]) -> None:
    whole = search(small(tmp_path / "a"))
    search(small(tmp_path / "b", candidates=8))
    (tmp_path / "b" / "best.jsonl").write_text("half a li")  # as an interruption may leave it
    resumed = search(small(tmp_path / "b", resume=True))
    assert resumed == whole
    logs = [(tmp_path / folder / "best.jsonl").read_text() for folder in "ab"]
    assert logs[0] == logs[1]
    with pytest.raises(Exception, match="left by a run with other settings: lr"):
        search(small(tmp_path / "b", trial=replace(TINY, lr=0.2), resume=True))


@pytest.mark.long
def test_processes_change_nothing(tmp_path: Path) -> None:
    """Real trials, in this process and in two others."""
    runs = [
        search(small(tmp_path / str(workers), candidates=4, workers=workers)) for workers in (1, 2)
    ]
    assert runs[0] == runs[1]
    best = runs[0].best
    assert best == try_plan(TINY, best.split)
    assert best.reward == pytest.approx(best.accuracy * best.mac_ratio**-0.06)
    mean = sum(a * b for a, b in zip(best.shares, best.stage_ratios, strict=True))
    assert best.mac_ratio == pytest.approx(mean)


def test_steps_train(tmp_path: Path) -> None:
    """More steps than the data has images, which then repeat; bfloat16 too."""
    split = "4: 2/1 2/1 2/1"
    short = try_plan(TINY, split)
    long = try_plan(replace(TINY, steps=90, precision="bf16"), split)
    assert long.last_accuracy > short.last_accuracy + 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: replace(config, candidates=0), "candidates is 0"),
        (lambda config: replace(config, stages=5), "5 stages of 4 groups"),
        (lambda config: replace(config, trial=replace(TINY, steps=0)), "steps is 0"),
        (lambda config: search(replace(config, groups=3)), "8 channels cannot be cut into 3"),
        (lambda config: search(replace(config, trial=Trial())), "CIFAR-10 has no data folder"),
    ],
)
def test_bad_settings(
    tmp_path: Path, change: Callable[[SearchConfig], object], message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        change(small(tmp_path))
