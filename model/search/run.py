"""The architecture search of S2DNAS (Yuan et al. 2019, section 3.3): which plan to split by.

The policy writes a batch of plans, each is tried (`penstock.model.search.candidate`), the rewards
move the policy.  A plan that was tried before keeps its score and costs nothing.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from penstock.model.errors import ConfigError
from penstock.model.files.atomic import write_atomically
from penstock.model.networks.registry import parse_any
from penstock.model.plans.split import GROUPS, STAGES, plain_split
from penstock.model.search.candidate import Score, Trial, check_trial, try_plan
from penstock.model.search.policy import WINDOW, PlanSpace, Policy, Ppo
from penstock.model.train.progress import RunLog, epoch_bar


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """A search: `candidates` plans in batches of `batch`, on `workers` processes."""

    trial: Trial
    candidates: int = 60
    batch: int = 6
    stages: int = STAGES
    groups: int = GROUPS
    mac_bound: float | None = None  # share of the static network's MACs that the best may execute
    workers: int = 1
    out: Path = Path("build/search.json")
    resume: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        for field in ("candidates", "batch", "workers"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field} is {getattr(self, field)}", "it starts at 1")
        if not 2 <= self.stages <= self.groups:
            raise ConfigError(
                f"{self.stages} stages of {self.groups} groups", "two stages or more, a group each"
            )
        for field in ("steps", "batch_size", "images"):
            if getattr(self.trial, field) < 1:
                raise ConfigError(f"{field} is {getattr(self.trial, field)}", "it starts at 1")

    @property
    def space(self) -> PlanSpace:
        """The plans of the network."""
        resolutions = parse_any(self.trial.network).resolutions
        return PlanSpace(resolutions=resolutions, stages=self.stages, groups=self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The best plan, and everything tried in order."""

    best: Score
    tried: list[Score]


def search(config: SearchConfig) -> SearchResult:
    """Search, with a line of `OUT.jsonl` a plan and a state to resume from after every batch.

    The same settings and seed give the same result, with any number of workers and across
    interruptions.  `OUT` has the best plan.  Raises ModelError.
    """
    space = config.space
    check_trial(config.trial, str(plain_split(space.resolutions, config.stages, config.groups)))
    run = _Search(config, space)
    with (
        _pool(config.workers) as pool,
        epoch_bar("plans", config.candidates, len(run.tried), config.quiet) as tick,
    ):
        while len(run.tried) < config.candidates:
            run.batch(pool, tick)
    result = SearchResult(best=best_score(run.tried, config.mac_bound), tried=run.tried)
    content = {"network": config.trial.network, "candidates": len(run.tried), **asdict(result.best)}
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(config.out, lambda file: file.write(text.encode()))
    return result


def best_score(tried: list[Score], mac_bound: float | None = None) -> Score:
    """The highest reward, of plans within the bound if there are any; else the cheapest plan."""
    if mac_bound is None:
        return max(tried, key=lambda score: score.reward)
    within = [score for score in tried if score.mac_ratio <= mac_bound]
    cheapest = min(tried, key=lambda score: score.mac_ratio)
    return best_score(within) if within else cheapest


class _Search:
    """The policy, what was tried, and the random numbers."""

    def __init__(self, config: SearchConfig, space: PlanSpace) -> None:
        self.config, self.space = config, space
        self.generator = torch.Generator().manual_seed(config.trial.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.trial.seed)
            self.policy = Policy(space)
        self.ppo = Ppo(self.policy)
        self.tried: list[Score] = []
        self.log = RunLog(config.out, _settings(config), config.resume)
        if self.log.state is not None:
            with self.log.resuming():
                self._restore(self.log.state["trainer"])

    def _restore(self, state: dict[str, object]) -> None:
        self.tried = [Score(**each) for each in state["tried"]]  # type: ignore[attr-defined]
        self.policy.load_state_dict(state["policy"])  # type: ignore[arg-type]
        self.ppo.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.generator.set_state(state["generator"])  # type: ignore[arg-type]
        self.log.restart([asdict(score) for score in self.tried])

    def batch(self, pool: Executor | None, tick: Callable[[], None]) -> None:
        """One batch of plans and what the policy learns from it."""
        actions = self.policy.sample(self.config.batch, self.generator)
        plans = [str(self.space.plan(row)) for row in actions.tolist()]
        scores = self._scores(plans, pool, tick)
        self.tried += scores
        recent = torch.tensor([score.reward for score in self.tried[-WINDOW:]])
        self.ppo.update(actions, torch.tensor([score.reward for score in scores]), recent)
        state = {
            "tried": [asdict(score) for score in self.tried],
            "policy": self.policy.state_dict(),
            "optimizer": self.ppo.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        self.log.write([asdict(score) for score in scores], state)

    def _scores(
        self, plans: list[str], pool: Executor | None, tick: Callable[[], None]
    ) -> list[Score]:
        """The score of each plan; of several that are the same only one is tried."""
        known = {score.split: score for score in self.tried}
        fresh = [plan for plan in dict.fromkeys(plans) if plan not in known]
        trial = self.config.trial
        if pool is None:
            found: Iterator[Score] = (try_plan(trial, plan) for plan in fresh)
        else:
            found = pool.map(try_plan, [trial] * len(fresh), fresh)
        for score in found:
            known[score.split] = score
            tick()
        for _ in range(len(plans) - len(fresh)):
            tick()
        return [known[plan] for plan in plans]


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """Processes of one thread each; None: this process tries all plans."""
    if workers == 1:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield None
        finally:
            torch.set_num_threads(before)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield pool


def _settings(config: SearchConfig) -> dict[str, object]:
    """What decides the result of the next batch, as plain values; more candidates may follow."""
    trial = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config.trial).items()}
    return {**trial, "batch": config.batch, "stages": config.stages, "groups": config.groups}
